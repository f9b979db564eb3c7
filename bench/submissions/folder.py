"""The layout of a submission, and reading it.

submissions/<encoder>/
    encoder.toml
    weights.safetensors         optional
    <suite>/records.jsonl       every unit of the suite (.bz2 in a compact submission)
    <suite>/predictions/<task>.npz  of every unit (of those that feed a board at all labels in a compact one)
    <suite>/cases/<task>.npz        of a compact one: scores of cases, where these predictions would be large
    <suite>/condensed/<task>.npz    of a compact one: what the primary metric reads of the units of other boards
    <suite>/probes/<digest>.npz the encoder's features of a few fixed images, for who reruns it
submissions/badges.jsonl        written by `medssl verify`, never by an author
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from bench.encoders.card import EncoderCard, read_card
from bench.errors import SubmissionError, UserError
from bench.identity import made_with
from bench.runs.journal import RECORDS, read_records, records_file
from bench.runs.kept import KeptPlan, kept_plan
from bench.runs.records import Record


@dataclass(frozen=True)
class Results:
    """The records of one encoder on one suite; `folder` also holds `predictions/`. plan: as a run folder keeps it."""

    card: EncoderCard
    suite: str
    folder: Path
    records: list[Record]
    plan: KeptPlan | None = None

    @cached_property
    def by_task(self) -> dict[str, list[Record]]:
        """Task -> its records."""
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.unit.task, []).append(record)
        return found


def read_results(encoder_folder: Path) -> Iterator[Results]:
    """Results of each suite of a submission or run folder. Raises CardError, SubmissionError."""
    read_card(encoder_folder)
    yield from map(read_result, _suites(encoder_folder))


def read_result(folder: Path) -> Results:
    """Results of one suite, <encoder>/<suite>. Raises CardError, SubmissionError."""
    card = read_card(folder.parent)
    if not (records := read_records(folder)):
        raise SubmissionError(
            "holds no records", where=records_file(folder) or folder, fix="run the same command again"
        )
    return Results(card, folder.name, folder, _own(records, card, folder), kept_plan(folder))


def encoder_folders(root: Path) -> list[Path]:
    """Folders below `root` that hold an encoder card; `root` itself when it is one."""
    if (root / "encoder.toml").is_file():
        return [root]
    return sorted(p.parent for p in root.glob("*/encoder.toml"))


def result_folders(root: Path) -> list[Path]:
    """Folders <encoder>/<suite> with results below `root`, which may be one of them or an encoder's.

    Folders that are not named like their encoder come last, so that they take no other's name.
    """
    if records_file(root) and (root.parent / "encoder.toml").is_file():
        return [root]
    return [suite for folder in sorted(encoder_folders(root), key=_is_named_otherwise) for suite in _suites(folder)]


def unsealed_folders(root: Path) -> list[Path]:
    """Folders below `root` of runs that were interrupted before any result was sealed."""
    runs = {path.parent for pattern in ("run.json", "*/run.json", "*/*/run.json") for path in root.glob(pattern)}
    return sorted(folder for folder in runs if not records_file(folder))


def _suites(encoder_folder: Path) -> list[Path]:
    return sorted({path.parent for name in RECORDS for path in encoder_folder.glob(f"*/{name}")})


def _is_named_otherwise(folder: Path) -> bool:
    try:
        return read_card(folder).name != folder.name
    except UserError:
        return True


def _own(records: list[Record], card: EncoderCard, path: Path) -> list[Record]:
    seen: set[str] = set()
    whole, same = card.sha256, cache(lambda identity: made_with(identity, card))
    for record in records:
        if record.encoder != card.name or not (record.card_sha256 == whole or same(record.identity)):
            raise SubmissionError(
                f"unit {record.unit.key} belongs to another encoder or another version of the card",
                where=path,
                fix="run it again with the card that is submitted",
            )
        if record.unit.key in seen:
            raise SubmissionError(f"unit {record.unit.key} is recorded twice", where=path)
        seen.add(record.unit.key)
    return records
