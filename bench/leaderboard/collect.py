"""Everything on disk that a board is made of: cards, records, tasks, badges, as one long table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from bench.data.task import Task, shipped_tasks, suite_names, tasks_in
from bench.discover import members
from bench.encoders.card import EncoderCard
from bench.errors import SubmissionError
from bench.leaderboard.frame import to_frame
from bench.leaderboard.withdrawn import read_withdrawals
from bench.locate import shipped
from bench.protocols.base import Protocol
from bench.runs.plan import make_plan
from bench.runs.records import Unit
from bench.runs.run import fingerprint_of
from bench.submissions.badge import badge_of
from bench.submissions.contamination import contamination
from bench.submissions.folder import Results, encoder_folders, read_results


@dataclass(frozen=True)
class Collection:
    """All results of one suite.

    results: encoder name -> its records and folder. fingerprint: of the suite, shared by every record.
    """

    suite: str
    fingerprint: str
    results: Mapping[str, Results]
    tasks: Mapping[str, Task]
    protocols: Mapping[str, Protocol]
    badges: Mapping[str, str]
    local: frozenset[str] = frozenset()
    """Encoders whose results come from a run folder of one's own, not from `submissions/`."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Encoder -> why its results on this suite are not counted (another fingerprint, withdrawn)."""

    folder: Path | None = None
    """Where relative paths of task cards of one's own start."""

    @cached_property
    def unfinished(self) -> frozenset[tuple[str, str, str, str]]:
        """(encoder, task, protocol, budget) of the suite's units that are neither done nor refused."""
        planned = _planned(self.suite, self.folder)
        over = {
            name: {r.unit.key for r in result.records if r.status != "failed"} for name, result in self.results.items()
        }
        return frozenset(
            (name, unit.task, unit.protocol, unit.budget)
            for name, keys in over.items()
            for unit in planned
            if unit.key not in keys
        )

    @property
    def cards(self) -> dict[str, EncoderCard]:
        """Encoder name -> card."""
        return {name: result.card for name, result in self.results.items()}

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The long table of bench.leaderboard.frame."""
        records = [record for result in self.results.values() for record in result.records]
        cells = {
            (card.name, task.name): contamination(card, task).state
            for card in self.cards.values()
            for task in self.tasks.values()
        }
        return to_frame(records, self.cards, self.tasks, self.protocols, self.badges, cells)


def _planned(suite: str, folder: Path | None) -> list[Unit]:
    """Every unit of a shipped suite, or of the cards in `folder`; none where the suite is not known here."""
    if suite not in suite_names() and folder is None:
        return []
    plan = make_plan(suite if suite in suite_names() else None, folder)
    return [unit for task in plan.tasks.values() for unit in plan.units(task)]


def default_roots() -> tuple[list[Path], list[Path]]:
    """(submission folders, run folders) that exist here: `submissions/` of the package or of this folder, `runs/`."""
    submissions = dict.fromkeys(p for p in (shipped("submissions"), Path("submissions").resolve()) if p.is_dir())
    return list(submissions), [p for p in [Path("runs")] if p.is_dir()]


def collect(roots: Sequence[Path], *, local: Sequence[Path] = (), tasks: Path | None = None) -> dict[str, Collection]:
    """Suite name -> collection, from submission folders (`roots`) and run folders of one's own (`local`).

    Results whose fingerprint is not that of the suite as it is shipped here are set aside with the reason, never
    mixed in, however many they are; so are those that a `withdrawn.toml` of `roots` takes back, though not one's own
    runs. For a suite that is not shipped the most common fingerprint counts, among verified results where there are
    any. Raises CardError, SubmissionError (also when two folders claim one encoder name).
    """
    known = {**shipped_tasks(), **(tasks_in(tasks) if tasks else {})}
    by_suite: dict[str, dict[str, Results]] = {}
    own: set[str] = set()
    badges: dict[str, str] = {}
    for root in [*roots, *local]:
        for folder in encoder_folders(root):
            for result in read_results(folder):
                suite = by_suite.setdefault(result.suite, {})
                if result.card.name in suite:
                    if root in local and suite[result.card.name].card.sha256 == result.card.sha256:
                        continue  # one's own run of what has been submitted already
                    raise SubmissionError(f"the encoder name {result.card.name!r} is taken", where=folder)
                suite[result.card.name] = result
                badges[result.card.name] = badge_of(folder)
                own.update({result.card.name} if root in local else ())
    back = {(w.encoder, w.version): w.text for w in read_withdrawals(roots) if w.encoder not in own}
    return {
        name: _collection(name, results, known, badges, own, tasks, back) for name, results in sorted(by_suite.items())
    }


def _collection(
    suite: str,
    results: dict[str, Results],
    known: Mapping[str, Task],
    badges: Mapping[str, str],
    own: set[str],
    folder: Path | None,
    back: Mapping[tuple[str, str], str],
) -> Collection:
    versions = {name: (name, result.card.version) for name, result in results.items()}
    gone = {name: f"withdrawn: {back[key]}" for name, key in versions.items() if key in back}
    prints = {name: _fingerprint(result) for name, result in results.items()}
    official = _official(suite, folder, set(prints.values()))
    standing = set(results) - set(gone) or set(results)
    verified = {name for name in standing if badges[name] != "declared"} or standing
    counts = official or _most_common(prints[name] for name in verified)
    why = f"not {counts[:12]}" + (", that of the suite as it is now; run it again" if official else "")
    left_out = {name: f"suite fingerprint {found[:12]}, {why}" for name, found in prints.items() if found != counts}
    left_out |= gone
    left_out |= _other_data({name: result for name, result in results.items() if name not in left_out}, verified)
    kept = {name: result for name, result in sorted(results.items()) if name not in left_out}
    used = {record.unit.task for result in kept.values() for record in result.records}
    return Collection(
        suite,
        counts,
        kept,
        {name: _known(known, name, suite) for name in sorted(used)},
        members("bench.protocols", "PROTOCOL"),
        {name: badges[name] for name in kept},
        frozenset(own & set(kept)),
        left_out,
        folder,
    )


def _official(suite: str, folder: Path | None, found: set[str]) -> str | None:
    """Fingerprint of a suite as it is shipped with this version, or None for one that is not shipped.

    Without a result on the shipped suite it is that of the suite's protocols on the task cards in `folder`.
    """
    if suite not in suite_names():
        return None
    shipped_print = fingerprint_of(make_plan(suite))
    return shipped_print if folder is None or shipped_print in found else fingerprint_of(make_plan(suite, folder))


def _other_data(results: Mapping[str, Results], verified: frozenset[str] | set[str]) -> dict[str, str]:
    """Encoder -> reason, where a task's images or labels differ from those most encoders were scored on.

    The `verified` ones decide where a task has any.
    """
    seen: dict[str, list[tuple[bool, str]]] = {}
    for name, result in results.items():
        for task, data in {(r.unit.task, r.data_sha256) for r in result.records}:
            seen.setdefault(task, []).append((name in verified, data))
    common = {
        task: _most_common([data for sure, data in hashes if sure] or [data for _, data in hashes])
        for task, hashes in seen.items()
    }
    return {
        name: f"scored on other data of {record.unit.task}"
        for name, result in results.items()
        for record in result.records
        if record.data_sha256 != common[record.unit.task]
    }


def _most_common(values: Iterable[str]) -> str:
    values = list(values)
    return max(sorted(set(values)), key=values.count)


def _fingerprint(result: Results) -> str:
    prints = {record.made_by.suite_fingerprint for record in result.records}
    if len(prints) != 1:
        raise SubmissionError(f"holds records of {len(prints)} suite fingerprints, expected one", where=result.folder)
    return prints.pop()


def _known(known: Mapping[str, Task], name: str, suite: str) -> Task:
    if name not in known:
        raise SubmissionError(f"results on the unknown task {name!r}", where=suite, fix="pass its folder with --tasks")
    return known[name]
