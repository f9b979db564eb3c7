"""From a finished run to the folder a pull request carries."""

import errno
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from bench.data.task import suite_names
from bench.discover import pick
from bench.encoders.card import EncoderCard, read_card
from bench.encoders.load import source_of
from bench.encoders.source import Place
from bench.encoders.weights import inside
from bench.errors import RunError, SubmissionError
from bench.files import exchange, missing_folders, npz_names, write_atomic
from bench.identity import made_with
from bench.runs.journal import PROBES, read_outputs, read_records
from bench.runs.kept import kept_plan
from bench.runs.plan import Plan, make_plan, plan_of
from bench.submissions.compact import compact as make_compact
from bench.submissions.compact import keep_only
from bench.submissions.folder import result_folders
from bench.submissions.intake import MAX_BYTES


@dataclass(frozen=True)
class Bundle:
    """A submission folder that is ready to be sent.

    own: suite of one's own -> names of its tasks, which are thereby published. kept_back: runs that were not asked
    for. weights: whether it carries them.
    """

    card: EncoderCard
    folder: Path
    suites: tuple[str, ...]
    own: Mapping[str, tuple[str, ...]]
    kept_back: tuple[str, ...]
    n_records: int
    size: int
    weights: bool


def bundle(
    card_path: Path,
    run_root: Path,
    out: Path,
    suites: Sequence[str] = (),
    *,
    with_weights: bool = False,
    compact: bool = False,
) -> Bundle:
    """Gather sealed runs of an encoder into `out`/<encoder>. All or nothing; other suites that are there stay.

    suites: the runs to send; may be left out where there is one of a shipped suite. One of one's own is sent only when
    it is named. compact: pack the records, and keep of the predictions what boards and rescoring need
    (bench.submissions.compact; the tasks' data are read). The rest can be checked by rerunning only, so it needs the
    weights.

    Raises SubmissionError when it is not clear which run is meant or none is complete, a unit is missing, or the
    folder is over 20 MB without weights.
    """
    if not card_path.exists():
        fix = "give the folder with its encoder.toml; reference encoders come with the package"
        raise SubmissionError("no such folder or card", where=card_path, fix=fix)
    card = read_card(card_path)
    source = card_path if card_path.is_dir() else card_path.parent
    there = {p.parent.name: p.parent for p in sorted((run_root / card.name).glob("*/records.jsonl"))}
    if not there:
        fix = f"run it first: medssl run {quote(str(card_path))}"
        raise SubmissionError(f"no results of {card.name!r}", where=run_root, fix=fix)
    runs = [there[name] for name in _chosen(there, suites, where=run_root / card.name)]
    plans = {run.name: plan_of_run(run) for run in runs}
    target = out / card.name
    target = target.resolve() if target.is_symlink() else target
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    fresh = missing_folders(partial.parent)
    try:
        partial.mkdir(parents=True)
        n_records = sum(_copy_run(card, run, plans[run.name], partial / run.name) for run in runs)
        shutil.copyfile(source / "encoder.toml" if card_path.is_dir() else card_path, partial / "encoder.toml")
        for extra in ("training.json", "README.md"):
            if (source / extra).is_file():
                shutil.copyfile(source / extra, partial / extra)
        for run in (p for p in partial.iterdir() if compact and p.is_dir()):
            make_compact(run, plans[run.name])
        kept = _keep_others(card, target, partial)
        _bounded(partial, compact)
        weights = with_weights and _copy_weights(card, source, partial)
        weights = weights or (bool(kept) and _copy_weights(card, target, partial))
        if compact and not weights and card.source.get("weights") and not public_weights(card):
            raise SubmissionError("a compact submission carries its weights", where=card.name, fix="add --with-weights")
        size = sum(p.stat().st_size for p in partial.rglob("*") if p.is_file())
        exchange(partial, target)
    except OSError as error:
        fix = "free some space and submit again" if error.errno == errno.ENOSPC else "choose another --out"
        raise RunError(f"cannot be written: {error.strerror or error}", where=out, fix=fix) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # what was refused leaves no empty folder behind
            for folder in fresh:
                folder.rmdir()
    own = {name: tuple(plan.tasks) for name, plan in plans.items() if name not in suite_names()}
    kept_back = tuple(name for name in there if name not in plans)
    return Bundle(card, target, (*plans, *kept), own, kept_back, n_records, size, weights)


def public_weights(card: EncoderCard) -> str:
    """The package or repository that the card's weights come from; "" for a file beside the card."""
    return card.source.get("package") or card.source.get("repository") or ""


def _chosen(runs: Mapping[str, Path], suites: Sequence[str], where: Path) -> list[str]:
    """The runs to send: those named, else the only one of a shipped suite, or the only whole one. Raises
    SubmissionError, UserError."""
    if suites:
        return [name for name in dict.fromkeys(suites) if pick(dict(runs), name, what="run", where=where)]
    public = [name for name in runs if name in suite_names()]
    if len(public) == 1:
        return public
    whole = [name for name in public if not _missing(runs[name], make_plan(name))]
    if len(whole) == 1:
        return whole
    if public:
        names = " ".join(f"--suite {name}" for name in whole or public)
        what = f"finished runs of {len(whole)} suites" if whole else f"no finished run, parts of {len(public)} suites"
        fix = f"name those to send: {names}" if whole else "run one whole: the same command, without --task"
        raise SubmissionError(what, where=where, fix=fix)
    names = ", ".join(runs)
    raise SubmissionError(
        f"the runs are on tasks of your own ({names}), which only those who have the data can verify",
        where=where,
        fix="share the scores with 'medssl runs export scores.csv'; to publish one all the same, name it with --suite",
    )


def plan_of_run(run: Path) -> Plan:
    """The plan of a run folder: of the shipped suite, or as the run kept it. Raises SubmissionError without one."""
    if run.name in suite_names():
        return make_plan(run.name)
    if kept := kept_plan(run):
        plan = plan_of(kept)
        if strange := [use.name for use in kept.suite.protocols if use.name not in plan.protocols]:
            raise SubmissionError(f"protocol {strange[0]!r} is not installed here", where=run, fix="install it")
        return plan
    raise SubmissionError("does not tell what its suite consists of", where=run, fix="run the same command again")


def _copy_run(card: EncoderCard, run: Path, plan: Plan, target: Path) -> int:
    """Copy the records of the plan's units and their predictions, and nothing else of the run; returns their number."""
    wanted = plan.keys
    records = [record for record in read_records(run) if record.unit.key in wanted]
    foreign = [r for r in records if r.card_sha256 != card.sha256 and not made_with(r.identity, card)]
    if foreign:
        raise SubmissionError(
            "the run was made with another version of the card", where=run, fix="run it again with this card"
        )
    if missing := _missing(run, plan):
        raise SubmissionError(
            f"{len(missing)} units are missing, e.g. {missing[0]}",
            where=run,
            fix="run all tasks of the suite: the same command, without --task",
        )
    for _ in read_outputs(run, records):
        pass  # their hashes are those of the records
    (target / "predictions").mkdir(parents=True)
    for task in sorted({record.unit.task for record in records if record.status == "done"}):
        path = target / "predictions" / f"{task}.npz"
        shutil.copyfile(run / "predictions" / path.name, path)
        if {name.rpartition("/")[0] for name in npz_names(path)} - wanted:
            keep_only(path, wanted)
    write_atomic(target / "records.jsonl", "".join(record.to_json() + "\n" for record in records))
    named = {record.identity.encoder.probe for record in records if record.identity is not None}
    for path in (path for path in (run / PROBES).glob("*.npz") if path.stem in named):
        (target / PROBES).mkdir(exist_ok=True)
        shutil.copyfile(path, target / PROBES / path.name)
    return len(records)


def _missing(run: Path, plan: Plan) -> list[str]:
    """Units of the plan that the run has no record of, sorted."""
    return sorted(plan.keys - {record.unit.key for record in read_records(run)})


def _keep_others(card: EncoderCard, target: Path, partial: Path) -> list[str]:
    """Keep the other suites of a submission that is there already; returns their names.

    Raises SubmissionError where they were made with another version of the card: they would be lost.
    """
    others = [f for f in (result_folders(target) if target.is_dir() else []) if not (partial / f.name).exists()]
    if others and read_card(target).sha256 != card.sha256:
        what = f"holds results on {', '.join(f.name for f in others)} of another version of the card"
        raise SubmissionError(what, where=target, fix="move that folder away, or send these suites again too")
    for folder in others:
        shutil.copytree(folder, partial / folder.name)
    return [folder.name for folder in others]


def _copy_weights(card: EncoderCard, source: Path, target: Path) -> bool:
    files = source_of(card, where=source).own_files(source)
    for name in files:
        path = inside(name, Place(source), where=card.name)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
    return bool(files)


def _bounded(folder: Path, compact: bool) -> None:
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    if size > MAX_BYTES:
        raise SubmissionError(
            f"is {size / 1e6:.1f} MB without weights, over the limit of {MAX_BYTES / 1e6:.0f} MB",
            where=folder.name.removeprefix(".").removesuffix(".partial"),
            fix="submit one suite at a time" if compact else "add --compact, or submit one suite at a time",
        )
