"""The layout of a submission, and reading it.

submissions/<encoder>/
    encoder.toml
    weights.safetensors         optional
    <suite>/records.jsonl       every unit of the suite (.bz2 in a compact submission)
    <suite>/predictions/<task>.npz  of every unit (of those that feed a board at all labels in a compact one)
    badge.json                  written by `medssl verify`, never by the author
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.encoders.card import EncoderCard, read_card
from bench.errors import SubmissionError
from bench.runs.journal import RECORDS, read_records
from bench.runs.records import Record


@dataclass(frozen=True)
class Results:
    """The records of one encoder on one suite; `folder` also holds `predictions/`."""

    card: EncoderCard
    suite: str
    folder: Path
    records: list[Record]


def read_results(encoder_folder: Path) -> Iterator[Results]:
    """Results of each suite of a submission or run folder. Raises CardError, SubmissionError."""
    card = read_card(encoder_folder)
    for path in sorted({p.parent: p for name in RECORDS for p in encoder_folder.glob(f"*/{name}")}.values()):
        yield Results(card, path.parent.name, path.parent, _own(read_records(path.parent), card, path))


def encoder_folders(root: Path) -> list[Path]:
    """Folders below `root` that hold an encoder card; `root` itself when it is one."""
    if (root / "encoder.toml").is_file():
        return [root]
    return sorted(p.parent for p in root.glob("*/encoder.toml"))


def _own(records: list[Record], card: EncoderCard, path: Path) -> list[Record]:
    seen: set[str] = set()
    for record in records:
        if record.encoder != card.name or record.card_sha256 != card.sha256:
            raise SubmissionError(
                f"unit {record.unit.key} belongs to another encoder or another version of the card",
                where=path,
                fix="run it again with the card that is submitted",
            )
        if record.unit.key in seen:
            raise SubmissionError(f"unit {record.unit.key} is recorded twice", where=path)
        seen.add(record.unit.key)
    return records
