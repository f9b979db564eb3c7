"""The journal of a run: one atomic file for each finished unit, sealed into one file of records.

    runs/<encoder>/<suite>/
        run.json              what is being run: how it is executed, suite fingerprint, units of the suite
        units/<key>.json|npz  finished units, written whole or not at all
        records.jsonl         sealed records, sorted by unit key
        superseded.jsonl      records that do not hold now, kept until their units have run again
        predictions/<task>.npz  predictions of both, arrays named "<unit key>/<test split>"
        probes/<digest>.npz   features of the probe images that records name

A unit's predictions are written before its record, so a record never points at nothing. Kill the process at
any instant: on restart every record that exists is complete, and units without one run again. A file that is damaged
all the same is named in `damaged`, and what it held is not there.
"""

from __future__ import annotations

import bz2
import io
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout

from bench.errors import RunError, SubmissionError, UserError
from bench.features.probe import Probe
from bench.files import (
    canonical_json,
    missing_folders,
    npz_bytes,
    npz_names,
    remove_leftovers,
    sealed,
    sha256_arrays,
    unsealed,
    write_atomic,
)
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.records import MAX_RECORD_BYTES, Record

RECORDS = ("records.jsonl", "records.jsonl.bz2")
SUPERSEDED = "superseded.jsonl"
PROBES = "probes"
MAX_RECORDS_BYTES = 64 * 1024**2
READ = 1024**2
"""Bytes that are unpacked at a time: in small parts bz2 takes twice as long."""
MAX_RECORDS = 20_000
"""Of a file of records, unpacked: the largest suite has 3,328 of 3 kB."""


class Journal:
    """Finished units of one run folder. As a context manager it holds the folder's lock against a second run;
    workers of the run that holds it write without."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[str] = []
        """One message for each file, or line of one, that cannot be read."""
        self._lock = FileLock(folder / ".lock")
        self._made: list[Path] = []
        """Folders made for this run, the deepest first."""

    def __enter__(self) -> Journal:
        self._made = missing_folders(self.folder)
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
        # Refused before a unit was done, in a folder of its own: nothing is left of it.
        if self._made and not any((self.folder / name).exists() for name in ("units", "records.jsonl")):
            with suppress(OSError):
                shutil.rmtree(self.folder)
                for folder in self._made[1:]:
                    (folder / "encoder.toml").unlink(missing_ok=True)
                    folder.rmdir()
        self._lock.release()

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Say in `run.json` what is being run."""
        path, text = self.folder / "run.json", canonical_json(sealed(identity))
        if not path.is_file() or path.read_bytes() != text.encode():
            write_atomic(path, text)

    def claimed(self) -> dict[str, Any]:
        """What `run.json` says; {} where it is not there or not readable."""
        try:
            path = self.folder / "run.json"
            found = unsealed(json.loads(path.read_text(encoding="utf-8")), where=path)
        except (OSError, ValueError, UserError):
            return {}
        return found if isinstance(found, dict) else {}

    def adopt(self, probe: Probe) -> Probe:
        """The probe kept in this folder that equals `probe` within the tolerance; else `probe`, which is now kept."""
        if probe.arrays and (kept := kept_probe(self.folder, probe)) is not None:
            return kept
        if probe.arrays:
            probe.write(self.folder / PROBES)
        return probe

    def write(self, record: Record, outputs: Mapping[str, np.ndarray]) -> None:
        """Store one finished unit: predictions first, then the record, each atomic and flushed to disk."""
        base = self.folder / "units" / record.unit.key
        if outputs:
            write_atomic(base.with_name(base.name + ".npz"), npz_bytes(outputs))
        write_atomic(base.with_name(base.name + ".json"), record.to_json())

    def records(self, task: str | None = None) -> dict[str, Record]:
        """Unit key -> record of every finished unit (of one task), sealed or not, also failed ones."""
        alone = sorted((self.folder / "units").glob(f"{task}.*.json" if task else "*.json"))
        read = (record for path in alone for record in _records_in(path, self.damaged))
        found = {r.unit.key: r for r in (*self._sealed, *read) if task in (None, r.unit.task)}
        return dict(sorted(found.items()))

    @property
    def superseded(self) -> dict[str, Record]:
        """Unit key -> record that does not hold now, of units that have not run again yet."""
        return {r.unit.key: r for r in _records_in(self.folder / SUPERSEDED, self.damaged)}

    def done(self, task: str) -> set[str]:
        """Keys of the finished units of one task; failed ones are left out, so that they run again."""
        return {key for key, record in self.records(task).items() if record.status != "failed"}

    @cached_property
    def _sealed(self) -> list[Record]:
        return _records_in(self.folder / "records.jsonl", self.damaged)

    def lost(self, records: Iterable[Record]) -> dict[str, str]:
        """Unit key -> what is wrong, for each done record whose predictions are missing, damaged or others."""
        found = {}
        for task, members in _done_by_task(records).items():
            together = _arrays(self.folder / "predictions" / f"{task}.npz", self.damaged)
            for record in members:
                key, unit = record.unit.key, self.folder / "units" / f"{record.unit.key}.npz"
                outputs = _arrays(unit, self.damaged) or outputs_of(key, together)
                if not outputs or sha256_arrays(outputs) != record.predictions_sha256:
                    found[key] = "the predictions are missing or damaged"
        return found

    def note_missing(self, known: Collection[str]) -> None:
        """Say in `damaged` of which units, none of them `known`, there are predictions but no record (any more).

        Nothing of as many units as `damaged` names lines of the records: those are told already.
        """
        missing: dict[str, int] = {}
        for path in sorted((self.folder / "predictions").glob("*.npz")):
            try:
                held = {name.rpartition("/")[0] for name in npz_names(path)}
            except UserError as error:
                _note(str(error), self.damaged)
                continue
            missing[path.name] = len(held - set(known))
        records = self.folder / "records.jsonl"
        if sum(missing.values()) <= sum(message.startswith(f"{records}, line") for message in self.damaged):
            return
        for name, n in missing.items():
            if n:
                _note(
                    f"{records}: has no record of {'1 unit' if n == 1 else f'{n} units'} with predictions in {name}",
                    self.damaged,
                )

    def sort_out(self, changed: Collection[str], restamped: Callable[[Record], Record]) -> None:
        """Take the records of the units `changed` out of what stands; they are kept until their units have run again.

        Superseded records that are not `changed` (any more) stand again. restamped: a standing record as it is to be.
        """
        before, superseded = self.records(), self.superseded
        held = superseded | before
        standing = {key: restamped(record) for key, record in held.items() if key not in changed}
        if standing == before and set(superseded) == set(held) - set(standing):
            return
        self.seal()
        self._write_lines(SUPERSEDED, [held[key] for key in sorted(changed) if key in held])
        self._write_lines("records.jsonl", [standing[key] for key in sorted(standing)])
        self.__dict__.pop("_sealed", None)

    def seal(self) -> list[Record]:
        """Gather all units into records.jsonl and one predictions file a task; safe to repeat at any point."""
        records, units = self.records(), self.folder / "units"
        fresh: dict[str, dict[str, dict[str, np.ndarray]]] = defaultdict(dict)
        for path in units.glob("*.json"):
            if (key := path.stem) in records:
                outputs = _arrays(units / f"{key}.npz", self.damaged)
                if outputs or records[key].status != "done":  # else sealed already, and half removed
                    fresh[records[key].unit.task][key] = outputs
        for task, of_task in fresh.items():
            self._add_predictions(task, of_task)
        superseded = self.superseded
        self._write_lines("records.jsonl", records.values())
        self._write_lines(SUPERSEDED, [record for key, record in superseded.items() if key not in records])
        shutil.rmtree(units, ignore_errors=True)
        self.__dict__.pop("_sealed", None)
        return list(records.values())

    def _add_predictions(self, task: str, fresh: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Put the outputs of units (by key) into the task's file, in the place of what it held of them."""
        path = self.folder / "predictions" / f"{task}.npz"
        before = {n: a for n, a in _arrays(path, self.damaged).items() if n.rpartition("/")[0] not in fresh}
        added = {f"{key}/{split}": array for key, outputs in fresh.items() for split, array in outputs.items()}
        if before or added:
            write_atomic(path, predictions_bytes(before | added, small=False))

    def _write_lines(self, name: str, records: Iterable[Record]) -> None:
        """A file of records; one of none but `records.jsonl` is removed."""
        text = "".join(record.to_json() + "\n" for record in records)
        if text or name != SUPERSEDED:
            write_atomic(self.folder / name, text)
        else:
            (self.folder / name).unlink(missing_ok=True)


def kept_probe(folder: Path, probe: Probe) -> Probe | None:
    """The probe kept in a run or submission folder that equals `probe` within the tolerance, if any."""
    probes = folder / PROBES
    for path in (probes / f"{probe.digest}.npz", *sorted(probes.glob("*.npz"))):
        with suppress(UserError):
            if probe.same(kept := Probe.read(path)):
                return kept
    return None


def _records_in(path: Path, damaged: list[str]) -> list[Record]:
    """Records of a file, one a line; [] when it is not there. What cannot be read is named in `damaged`."""
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n") if path.is_file() else [], 1):
        try:
            if line:
                found.append(Record.from_json(line.decode(errors="surrogateescape"), where=f"{path}, line {number}"))
        except UserError as error:
            _note(str(error), damaged)
    return found


def _note(message: str, damaged: list[str]) -> None:
    if message not in damaged:
        damaged.append(message)


def _arrays(path: Path, damaged: list[str]) -> dict[str, np.ndarray]:
    """Predictions of a file; {} when it is not there, or damaged, which is then said in `damaged`."""
    try:
        return read_predictions(path) if path.exists() else {}
    except UserError as error:
        _note(str(error), damaged)
        return {}


def outputs_of(key: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Test split -> array, of one unit."""
    return {name.removeprefix(f"{key}/"): a for name, a in arrays.items() if name.startswith(f"{key}/")}


def _done_by_task(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.status == "done":
            found[record.unit.task].append(record)
    return found


def read_records(folder: Path) -> list[Record]:
    """Sealed records of a run or submission folder; [] when there are none. Raises SubmissionError, CardError."""
    path = records_file(folder)
    if path is None:
        return []
    try:
        packed = path.suffix == ".bz2"
        with bz2.open(path, "rb") if packed else open(path, "rb") as file, io.BufferedReader(file, READ) as reader:
            lines = _lines(reader, path)
            return [Record.from_json(line, where=f"{path}:{n}") for n, line in enumerate(lines, 1)]
    except (OSError, EOFError) as error:
        raise SubmissionError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=path) from None


def records_file(folder: Path) -> Path | None:
    """`records.jsonl` of a folder, plain or (in a compact submission) `.bz2`; None when there is none."""
    return next((p for name in RECORDS if (p := folder / name).is_file()), None)


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """Lines of bounded length, as text, of a file of bounded (unpacked) length. Raises SubmissionError."""
    total = count = 0
    while line := file.readline(MAX_RECORD_BYTES + 1):
        total, count = total + len(line), count + 1
        if total > MAX_RECORDS_BYTES or count > MAX_RECORDS:
            what = f"unpacks to more than {MAX_RECORDS_BYTES:,} bytes or {MAX_RECORDS:,} records"
            raise SubmissionError(what, where=path)
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

    partial: pass over records without predictions, and tasks without a file. Raises UserError when predictions are
    missing or their hash is not the record's.
    """
    for task, members in _done_by_task(records).items():
        path = folder / "predictions" / f"{task}.npz"
        arrays = {} if partial and not path.is_file() else read_predictions(path)
        for record in members:
            outputs = outputs_of(record.unit.key, arrays)
            if not outputs and partial:
                continue
            if not outputs:
                raise UserError(f"has no predictions of unit {record.unit.key}", where=path)
            if sha256_arrays(outputs) != record.predictions_sha256:
                raise UserError(f"predictions of unit {record.unit.key} differ from the hash in its record", where=path)
            yield record, outputs
