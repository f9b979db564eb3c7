"""The journal of a run: one atomic file for each finished unit, sealed into one file of records.

    runs/<encoder>/<suite>/
        run.json              what is being run: encoder card, suite fingerprint
        units/<key>.json|npz  finished units, written whole or not at all
        records.jsonl         sealed records, sorted by unit key
        predictions/<task>.npz  their predictions, arrays named "<unit key>/<test split>"

A unit's predictions are written before its record, so a record never points at nothing. Kill the process at
any instant: on restart every record that exists is complete, and units without one run again.
"""

from __future__ import annotations

import bz2
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout

from bench.errors import RunError, SubmissionError, UserError
from bench.files import canonical_json, npz_bytes, read_npz, remove_leftovers, sha256_arrays, write_atomic
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.records import MAX_RECORD_BYTES, Record

RECORDS = ("records.jsonl", "records.jsonl.bz2")
MAX_RECORDS_BYTES = 256 * 1024**2
"""Of a file of records, unpacked."""


class Journal:
    """Finished units of one run folder. As a context manager it holds the folder's lock against a second run;
    workers of the run that holds it write without."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> Journal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                "another run is writing to this folder", where=self.folder, fix="wait for it, or choose another --out"
            ) from None
        except OSError as error:
            raise RunError(
                f"cannot be written: {error.strerror}", where=self.folder, fix="choose another --out"
            ) from None
        remove_leftovers(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def claim(self, identity: Mapping[str, str]) -> None:
        """Bind the folder to what is run; RunError when it already holds results of something else."""
        path = self.folder / "run.json"
        text = canonical_json(dict(identity))
        if not path.exists():
            write_atomic(path, text)
            return
        held = json.loads(path.read_text())
        for key, value in identity.items():
            if held.get(key) != value:
                raise RunError(
                    f"holds results of another {key.replace('_', ' ')} ({str(held.get(key))[:16]}, now {value[:16]})",
                    where=self.folder,
                    fix="choose another --out, or remove the folder",
                )

    def write(self, record: Record, outputs: Mapping[str, np.ndarray]) -> None:
        """Store one finished unit: predictions first, then the record, each atomic and flushed to disk."""
        base = self.folder / "units" / record.unit.key
        if outputs:
            write_atomic(base.with_name(base.name + ".npz"), npz_bytes(outputs))
        write_atomic(base.with_name(base.name + ".json"), record.to_json())

    def records(self, task: str | None = None) -> dict[str, Record]:
        """Unit key -> record of every finished unit (of one task), sealed or not, also failed ones."""
        unsealed = sorted((self.folder / "units").glob(f"{task}.*.json" if task else "*.json"))
        read = (Record.from_json(path.read_text(), where=path) for path in unsealed)
        found = {r.unit.key: r for r in (*self._sealed, *read) if task in (None, r.unit.task)}
        return dict(sorted(found.items()))

    def done(self, task: str) -> set[str]:
        """Keys of the finished units of one task; failed ones are left out, so that they run again."""
        return {key for key, record in self.records(task).items() if record.status != "failed"}

    @cached_property
    def _sealed(self) -> list[Record]:
        return read_records(self.folder)

    def seal(self) -> list[Record]:
        """Gather all units into records.jsonl and one predictions file a task; safe to repeat at any point."""
        records = self.records()
        units = self.folder / "units"
        by_task: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
        for key in records:
            path = units / f"{key}.npz"
            if path.exists():
                arrays = read_npz(path)
                by_task[records[key].unit.task].update({f"{key}/{split}": a for split, a in arrays.items()})
        for task, arrays in by_task.items():
            path = self.folder / "predictions" / f"{task}.npz"
            before = read_predictions(path) if path.exists() else {}
            write_atomic(path, predictions_bytes(before | arrays))
        write_atomic(self.folder / "records.jsonl", "".join(r.to_json() + "\n" for r in records.values()))
        shutil.rmtree(units, ignore_errors=True)
        self.__dict__.pop("_sealed", None)
        return list(records.values())


def read_records(folder: Path) -> list[Record]:
    """Sealed records of a run or submission folder; [] when there are none. Raises SubmissionError, CardError."""
    path = records_file(folder)
    if path is None:
        return []
    try:
        with bz2.open(path, "rb") if path.suffix == ".bz2" else open(path, "rb") as file:
            return [Record.from_json(line, where=f"{path}:{n}") for n, line in enumerate(_lines(file, path), 1)]
    except (OSError, EOFError) as error:
        raise SubmissionError(f"cannot be read: {error}", where=path) from None


def records_file(folder: Path) -> Path | None:
    """`records.jsonl` of a folder, plain or (in a compact submission) `.bz2`; None when there is none."""
    return next((p for name in RECORDS if (p := folder / name).is_file()), None)


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """Lines of bounded length, as text, of a file of bounded (unpacked) length. Raises SubmissionError."""
    total = 0
    while line := file.readline(MAX_RECORD_BYTES + 1):
        total += len(line)
        if total > MAX_RECORDS_BYTES:
            raise SubmissionError(f"unpacks to more than {MAX_RECORDS_BYTES:,} bytes", where=path)
        if len(line) > MAX_RECORD_BYTES:
            raise SubmissionError(f"a record is over the limit of {MAX_RECORD_BYTES:,} bytes", where=path)
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SubmissionError(f"is not UTF-8 text (byte {error.start})", where=path) from None


def read_outputs(
    folder: Path, records: list[Record], *, partial: bool = False
) -> Iterator[tuple[Record, dict[str, np.ndarray]]]:
    """Each done record with its predictions by test split, one predictions file in memory at a time.

    partial: pass over records without predictions. Raises UserError when predictions are missing or their hash is not
    the record's.
    """
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.status == "done":
            by_task[record.unit.task].append(record)
    for task, members in by_task.items():
        path = folder / "predictions" / f"{task}.npz"
        arrays = read_predictions(path)
        for record in members:
            prefix = f"{record.unit.key}/"
            outputs = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            if not outputs and partial:
                continue
            if not outputs:
                raise UserError(f"has no predictions of unit {record.unit.key}", where=path)
            if sha256_arrays(outputs) != record.predictions_sha256:
                raise UserError(f"predictions of unit {record.unit.key} differ from the hash in its record", where=path)
            yield record, outputs
