"""Everything on disk that a board is made of: cards, records, tasks, badges, as one long table."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from bench.data.task import Task
from bench.discover import members
from bench.encoders.card import EncoderCard
from bench.leaderboard import comparable
from bench.leaderboard.at_hand import AtHand
from bench.leaderboard.find import FoundResults, find
from bench.leaderboard.frame import to_frame
from bench.locate import shipped
from bench.protocols.base import Protocol
from bench.recipes import BoardRecipe
from bench.runs.plan import Plan, own_cards
from bench.submissions.badge import Verification
from bench.submissions.contamination import contamination
from bench.submissions.folder import Results
from bench.submissions.structure import copies
from bench.submissions.withdrawn import Withdrawal, read_withdrawals
from bench.words import Badge, family


@dataclass(frozen=True)
class SuiteResults:
    """All results of one suite.

    results: encoder name -> its records and folder. fingerprint: of the suite, shared by every record of a shipped one.
    """

    suite: str
    fingerprint: str
    results: Mapping[str, Results]
    tasks: Mapping[str, Task]
    protocols: Mapping[str, Protocol]
    badges: Mapping[str, Badge]
    local: frozenset[str] = frozenset()
    """Encoders whose results come from a run folder of one's own, not from `submissions/`."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Encoder -> why its results, or some of them, are not counted (another fingerprint, other data, withdrawn)."""
    plan: Plan | None = None
    """What the suite consists of; None where that is not known here."""
    verdicts: Mapping[str, Verification] = field(default_factory=dict)
    """Encoder -> what stands behind its badge, where it has one."""
    at_hand: AtHand = field(default_factory=lambda: AtHand({}))
    """The data of its tasks."""

    @property
    def synthetic(self) -> bool:
        """Whether no image of its tasks is a real one."""
        return all(task.synthetic for task in self.tasks.values())

    @property
    def origin(self) -> Path | None:
        """Where one's own task cards lie; None for a suite of shipped tasks, and where it is not known."""
        return self.plan.origin if self.plan else None

    @cached_property
    def unfinished(self) -> frozenset[tuple[str, str, str, str]]:
        """(encoder, task, protocol, budget) of the suite's units that are neither done nor refused."""
        planned = [unit for task in self.plan.tasks.values() for unit in self.plan.units(task)] if self.plan else []
        over = {
            name: {r.unit.key for r in result.records if r.status != "failed"} for name, result in self.results.items()
        }
        return frozenset(
            (name, unit.task, unit.protocol, unit.budget)
            for name, keys in over.items()
            for unit in planned
            if unit.key not in keys
        )

    def unscored(self, recipe: BoardRecipe) -> tuple[str, ...]:
        """What must be told on the board of a recipe: which tasks of the suite nobody has a result on yet."""
        if self.plan is None:
            return ()
        feeds = set(recipe.protocols.values())
        mine = {t for t, task in self.plan.tasks.items() if feeds & {family(u.protocol) for u in self.plan.units(task)}}
        if not (idle := sorted(mine - set(self.tasks))):
            return ()
        return (
            f"{len(idle)} of {len(mine)} tasks of {self.suite} have no result yet and count nowhere here: "
            f"{', '.join(idle[:6])}{', ...' if len(idle) > 6 else ''}",
        )

    @property
    def kinds(self) -> set[str]:
        """Kinds of the tasks that boards are made of."""
        return {task.kind for task in self.tasks.values() if not task.left_out}

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


class Collections(dict[str, SuiteResults]):
    """Suite name -> collection. left_out: folder of results -> why nothing of it is in any collection."""

    def __init__(self, found: Mapping[str, SuiteResults], left_out: Mapping[Path, str]) -> None:
        super().__init__(found)
        self.left_out = dict(left_out)


def default_roots() -> tuple[list[Path], list[Path]]:
    """(submission folders, run folders) that exist here: `submissions/` of the package or of this folder, `runs/`."""
    submissions = dict.fromkeys(p for p in (shipped("submissions"), Path("submissions").resolve()) if p.is_dir())
    return list(submissions), [p for p in [Path("runs")] if p.is_dir()]


def collect(
    roots: Sequence[Path],
    *,
    local: Sequence[Path] = (),
    tasks: Path | None = None,
    suites: Container[str] | None = None,
) -> Collections:
    """Suite name -> collection, from submission folders (`roots`) and run folders of one's own (`local`).

    A folder that cannot be read is named in `left_out` and stops nothing. Results whose fingerprint is not that of the
    suite as it is shipped here are set aside with the reason, never mixed in, however many they are; so are those that
    a `withdrawn.toml` of `roots` takes back, though not one's own runs. A suite of one's own is what its newest run
    kept; `tasks`, cards of one's own, tell of results that kept none. suites: read only these. Raises CardError for
    the cards and for withdrawals.
    """
    cards = own_cards(tasks) if tasks else {}
    back = read_withdrawals(roots)
    found = find(roots, local, suites)
    return Collections(
        {suite: _collection(suite, entries, cards, back) for suite, entries in sorted(found.suites.items())},
        found.left_out,
    )


def _collection(
    suite: str, entries: Mapping[str, FoundResults], cards: comparable.Cards, back: Sequence[Withdrawal]
) -> SuiteResults:
    results = {name: entry.result for name, entry in entries.items()}
    gone = {
        name: f"withdrawn: {withdrawal.text}"
        for name, entry in entries.items()
        for withdrawal in back
        if not entry.local and withdrawal.covers(name, entry.result.card.version)
    }
    gone |= _copies({name: entry for name, entry in entries.items() if name not in gone})
    verified = {name for name, entry in entries.items() if entry.badge != "declared"} - set(gone)
    standing = {name: result for name, result in results.items() if name not in gone}
    kept = comparable.of_suite(suite, standing, verified, cards)
    protocols = members("bench.protocols", "PROTOCOL")
    used = {record.unit.task for result in kept.results.values() for record in result.records}
    tasks = {name: kept.tasks[name] for name in sorted(used)}
    return SuiteResults(
        suite,
        kept.fingerprint,
        dict(sorted(kept.results.items())),
        tasks,
        protocols,
        {name: entries[name].badge for name in kept.results},
        frozenset(name for name in kept.results if entries[name].local),
        gone | kept.left_out,
        kept.plan,
        {name: v for name in kept.results if (v := entries[name].verdict) and entries[name].badge != "declared"},
        kept.at_hand,
    )


def _copies(entries: Mapping[str, FoundResults]) -> dict[str, str]:
    """Submissions whose predictions are those of another that was verified before -> why they do not count.

    `verify` refuses them, so that a badge of theirs was given otherwise. One's own runs may be of any encoder.
    """
    sent = [entry for entry in entries.values() if not entry.local]
    since = {e.result.card.name: e.verdict.verified if e.verdict and e.badge != "declared" else "" for e in sent}
    found, known = dict[str, str](), dict[str, str]()
    for entry in sorted(sent, key=lambda e: (not since[e.result.card.name], since[e.result.card.name])):
        name, records = entry.result.card.name, entry.result.records
        if told := copies(records, known):
            badge = f", and its badge, {entry.badge}, is not verified" if since[name] else ""
            found[name] = f"{'; '.join(told)}, whose badge is older{badge}: medssl verify tells"
        elif since[name]:
            known |= {r.predictions_sha256: name for r in records if r.predictions_sha256}
    return found
