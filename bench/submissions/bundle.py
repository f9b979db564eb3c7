"""From a finished run to the folder a pull request carries."""

from __future__ import annotations

import bz2
import shutil
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from bench.encoders.card import EncoderCard, read_card
from bench.errors import SubmissionError
from bench.files import write_atomic
from bench.leaderboard.recipes import feeds_full_board
from bench.runs.journal import read_outputs, read_records
from bench.runs.plan import make_plan
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.records import Record

MAX_BUNDLE_BYTES = 20 * 1024**2


@dataclass(frozen=True)
class Bundle:
    """A submission folder that is ready to be sent. `weights` says whether it carries the weights."""

    card: EncoderCard
    folder: Path
    suites: tuple[str, ...]
    n_records: int
    size: int
    weights: bool


def bundle(card_path: Path, run_root: Path, out: Path, *, with_weights: bool = False, compact: bool = False) -> Bundle:
    """Gather the sealed runs of an encoder into `out`/<encoder>. All or nothing.

    compact: pack the records and keep only the predictions of units that feed a board at all labels. The rest can be
    checked by rerunning only, so it needs the weights.

    Raises SubmissionError when no run is complete, a unit is missing, or the folder is over 20 MB without weights.
    """
    if not card_path.exists():
        fix = "give the folder with its encoder.toml; reference encoders come with the package"
        raise SubmissionError("no such folder or card", where=card_path, fix=fix)
    card = read_card(card_path)
    source = card_path if card_path.is_dir() else card_path.parent
    runs = sorted(p.parent for p in (run_root / card.name).glob("*/records.jsonl"))
    if not runs:
        raise SubmissionError(
            f"no finished run of {card.name!r}", where=run_root, fix=f"run it first: medssl run {quote(str(card_path))}"
        )
    target, partial = out / card.name, out / f".{card.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        n_records = sum(_copy_run(card, run, partial / run.name) for run in runs)
        shutil.copyfile(source / "encoder.toml" if card_path.is_dir() else card_path, partial / "encoder.toml")
        _bounded(partial)
        for extra in ("training.json", "README.md"):
            if (source / extra).is_file():
                shutil.copyfile(source / extra, partial / extra)
        for run in (p for p in partial.iterdir() if compact and p.is_dir()):
            _compact(run)
        weights = with_weights and _copy_weights(card, source, partial)
        if compact and not weights and card.source.get("weights"):
            raise SubmissionError("a compact submission carries its weights", where=card.name, fix="add --with-weights")
        size = sum(p.stat().st_size for p in partial.rglob("*") if p.is_file())
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Bundle(card, target, tuple(r.name for r in runs), n_records, size, weights)


def _copy_run(card: EncoderCard, run: Path, target: Path) -> int:
    records = read_records(run)
    foreign = [r for r in records if r.card_sha256 != card.sha256]
    if foreign:
        raise SubmissionError(
            "the run was made with another version of the card", where=run, fix="run it again with this card"
        )
    if missing := missing_units(run.name, {r.unit.key for r in records}):
        raise SubmissionError(
            f"{len(missing)} units are missing, e.g. {missing[0]}",
            where=run,
            fix="run the same command again to finish",
        )
    for _ in read_outputs(run, records):
        pass
    shutil.copytree(run, target, ignore=shutil.ignore_patterns("units", ".lock", "run.json", "suite.json"))
    return len(records)


def _compact(run: Path) -> None:
    plain = run / "records.jsonl"
    records = read_records(run)
    write_atomic(run / "records.jsonl.bz2", bz2.compress(plain.read_bytes()))
    plain.unlink()
    kept = {record.unit.key for record in records if keeps_predictions(record)}
    for path in (run / "predictions").glob("*.npz"):
        arrays = {name: a for name, a in read_predictions(path).items() if name.rpartition("/")[0] in kept}
        write_atomic(path, predictions_bytes(arrays))


def keeps_predictions(record: Record) -> bool:
    """Whether a compact submission must hold the predictions of this unit."""
    return record.status == "done" and feeds_full_board(record.unit.protocol, record.unit.budget)


def missing_units(suite: str, present: set[str]) -> list[str]:
    """Units of a shipped suite that have no record; [] for a suite that is not shipped."""
    from bench.data.task import suite_names

    if suite not in suite_names():
        return []
    plan = make_plan(suite)
    wanted = [unit.key for task in plan.tasks.values() for unit in plan.units(task)]
    return [key for key in wanted if key not in present]


def _copy_weights(card: EncoderCard, source: Path, target: Path) -> bool:
    name = card.source.get("weights")
    if not name or not (source / name).is_file():
        return False
    shutil.copyfile(source / name, target / Path(name).name)
    return True


def _bounded(folder: Path) -> None:
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    if size > MAX_BUNDLE_BYTES:
        raise SubmissionError(
            f"is {size / 1e6:.1f} MB without weights, over the limit of {MAX_BUNDLE_BYTES / 1e6:.0f} MB",
            where=folder,
            fix="submit one suite at a time",
        )
