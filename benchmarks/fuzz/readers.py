"""What reads a stranger's bytes: one function a reader, and valid inputs to start from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from bench.data.task import Suite, Task
from bench.encoders.card import EncoderCard
from bench.encoders.embedding_files import read_embeddings
from bench.errors import UserError
from bench.files import npz_bytes
from bench.metrics.interval import Interval
from bench.runs.journal import read_records
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.records import Provenance, Record, Unit
from bench.strict import parse_toml
from bench.submissions.badge import FILE, badge_of, read_verdicts
from bench.submissions.folder import read_results
from bench.submissions.intake import inspect, inspect_npz

ROOT = Path(__file__).resolve().parents[2]
SEPARATOR = b"\n--- next file ---\n"
"""Between card, records, predictions and badge in an input of the reader "bundle"."""
MAX_MESSAGE = 10_000
"""Characters: twenty problems of a card, each with its key and the valid ones."""
FILES = ("encoder.toml", "tasks/records.jsonl", "tasks/predictions/which.npz", "../badges.jsonl")


@cache
def scratch() -> Path:
    """A folder of this process's own."""
    return Path(tempfile.mkdtemp(prefix="medssl-fuzz-"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _card(data: bytes) -> None:
    card = EncoderCard.parse(parse_toml(_text(data), where="fuzz"), where="fuzz")
    assert len(card.sha256) == 64


def _task(data: bytes) -> None:
    Task.parse(parse_toml(_text(data), where="fuzz"), where="fuzz")


def _suite(data: bytes) -> None:
    Suite.parse(parse_toml(_text(data), where="fuzz"), where="fuzz")


def _record(data: bytes) -> None:
    record = Record.from_json(_text(data))
    assert Record.from_json(record.to_json()) == record


def _records(data: bytes) -> None:
    (scratch() / "records.jsonl").write_bytes(data)
    read_records(scratch())


def _npz(data: bytes) -> None:
    path = scratch() / "input.npz"
    path.write_bytes(data)
    inspect_npz(path)
    read_predictions(path)


def _embeddings(data: bytes) -> None:
    path = scratch() / "embeddings.npz"
    path.write_bytes(data)
    read_embeddings(path)


def _badge(data: bytes) -> None:
    (scratch() / FILE).write_bytes(data)
    read_verdicts(scratch())


def _bundle(data: bytes) -> None:
    """A whole folder: what `verify` reads before it looks at the numbers."""
    folder = scratch() / "honest"
    (folder / "tasks" / "predictions").mkdir(parents=True, exist_ok=True)
    parts = data.split(SEPARATOR, len(FILES) - 1)
    for name, part in zip(FILES, parts + [b""] * len(FILES), strict=False):
        (folder / name).write_bytes(part)
    badge_of(folder, "tasks")
    inspect(folder)
    inspect_npz(folder / FILES[2])
    list(read_results(folder))
    read_predictions(folder / FILES[2])


READERS: dict[str, Callable[[bytes], None]] = {
    "card": _card, "task": _task, "suite": _suite, "record": _record, "records": _records, "npz": _npz,
    "embeddings": _embeddings, "badge": _badge, "bundle": _bundle,
}  # fmt: skip
BINARY = {"npz", "embeddings"}


def read(reader: str, data: bytes) -> bool:
    """Whether the reader takes the input. Anything it raises but a UserError with a sane message is a finding."""
    try:
        READERS[reader](data)
    except UserError as error:
        message = str(error)
        assert message.isprintable(), ascii(message)[:200]
        assert len(message) < MAX_MESSAGE, len(message)
        return False
    return True


@cache
def seeds(reader: str) -> tuple[bytes, ...]:
    """Valid inputs."""
    cards = tuple(p.read_bytes() for p in sorted((ROOT / "bench/encoders/reference").glob("*.toml")))
    first = EncoderCard.parse(parse_toml(_text(cards[0]), where="seed"), where="seed")
    record, own = (_valid_record(card).to_json().encode() for card in (None, first))
    masks = {"which.knn-v1.100pct.0/test": np.eye(3, 2, dtype=np.float32), "b": np.zeros((2, 4, 4), np.uint8)}
    npz = predictions_bytes(masks)
    badge = {
        "schema": 2, "encoder": "a", "suite": "tasks", "badge": "rescored", "contents_sha256": "0" * 64,
        "covers": {"units": 1, "rescored": 1, "whole": True}, "verified": "2026-01-01", "medssl": "0",
    }  # fmt: skip
    vectors = {"train/ids": np.array(["train/0", "train/1"]), "train/pooled": np.ones((2, 3), np.float32)}
    return {
        "card": cards,
        "task": tuple(p.read_bytes() for p in sorted((ROOT / "tasks/phantom").glob("*.toml"))[:4]),
        "suite": tuple(p.read_bytes() for p in sorted((ROOT / "tasks/suites").glob("phantom*.toml"))),
        "record": (record,),
        "records": (record + b"\n" + record + b"\n",),
        "npz": (npz, npz_bytes({"a": np.ones((3, 2), np.float64)})),
        "embeddings": (npz_bytes(vectors),),
        "badge": (json.dumps(badge).encode(),),
        "bundle": (SEPARATOR.join([cards[0], own + b"\n", npz, json.dumps(badge).encode()]),),
    }[reader]


def _valid_record(card: EncoderCard | None) -> Record:
    made = Provenance(
        command="c", created="2026-01-01", medssl="0", python="3", packages={}, platform="p", device="cpu",
        precision="fp32", threads=1, suite="s", suite_fingerprint="0" * 64,
    )  # fmt: skip
    return Record(
        status="done", encoder=card.name if card else "e", encoder_version="1",
        card_sha256=card.sha256 if card else "1" * 64, data_sha256="2" * 64, protocol_sha256="3" * 64, n_labels=3,
        metric="auroc", made_by=made, unit=Unit(task="t", protocol="knn-v1", budget="100%", seed=0),
        metrics={"test": {"auroc": Interval(value=0.5, low=0.4, high=0.6)}},
    )  # fmt: skip
