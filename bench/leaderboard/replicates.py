"""Bootstrap replicates of primary metrics, recomputed from stored predictions and cached by content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from bench.budget import Budget
from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.errors import RunError, UserError
from bench.files import canonical_json, sha256_file, sha256_text, write_atomic
from bench.leaderboard.at_hand import AtHand
from bench.leaderboard.evidence import UnitKey
from bench.locate import home
from bench.metrics.products import Weights
from bench.metrics.resample import REPLICATES, resample_counts, seeded, with_point
from bench.metrics.scored import primary_replicates
from bench.protocols.base import base_split
from bench.runs.journal import read_outputs
from bench.runs.records import Record
from bench.submissions.cases import QUANTISED, Kept, cases_file, read_cases, replicates_kept
from bench.submissions.condensed import condensed_file, read_condensed, replicates_condensed
from bench.submissions.folder import Results
from bench.words import family

TOLERANCE = 1e-6
"""Between a score in a record and the same computed here; larger than what rounding does."""


@dataclass(frozen=True)
class Source:
    """What the primary metric of a unit on one test split is computed from.

    computed: weights (r, n) -> the primary metric in each row, (r,). digest: hash of the files in which a compact
    submission keeps it, "" for whole predictions, which have the hash in the record. tolerance: as TOLERANCE.
    """

    computed: Callable[[Weights], np.ndarray]
    digest: str = ""
    tolerance: float = TOLERANCE


def folder() -> Path:
    """Where replicates are kept."""
    return home() / "replicates"


def replicates(record: Record, data: TaskData, source: Source) -> np.ndarray:
    """Replicates of the record's primary metric on "test", float64 (2000,), recomputed into the cache.

    Raises UserError when `data` is not what the record was made on.
    """
    task, split = data.task, data.tests["test"]
    if record.data_sha256 != data.sha256:
        raise UserError("results were made on other data than is at hand", where=f"{record.encoder}, {task.name}")
    counts = _counts(task.name, tuple(split.ids), None if split.groups is None else tuple(split.groups))
    draws = source.computed(with_point(counts, len(split)))[1:]
    data_bytes = draws.astype("<f8").tobytes()
    with suppress(RunError):  # a cache that takes nothing costs time, no result
        write_atomic(_path(record, task, source.digest), sha256(data_bytes).digest() + data_bytes)
    return draws


def cached(record: Record, task: Task, digest: str = "") -> np.ndarray | None:
    """Replicates from the cache, or None when they are not there or not readable. digest: as in `Source`."""
    try:
        held = _path(record, task, digest).read_bytes()
    except OSError:
        return None
    whole = len(held) == 32 + 8 * REPLICATES and sha256(held[32:]).digest() == held[:32]
    return np.frombuffer(held, "<f8", offset=32) if whole else None


def all_replicates(
    results: Results, data: AtHand, wanted: Collection[tuple[str, Budget]], only: str | None = None
) -> tuple[dict[UnitKey, np.ndarray], frozenset[UnitKey]]:
    """Replicates of every done unit of these families of protocols and budgets, and which had to be approximated.

    only: of this task alone; default, of all. Where a task's data is not at hand, or predictions are missing, the
    interval in the record stands in: normal draws, independent between encoders, which makes differences wider.
    """
    found: dict[UnitKey, np.ndarray] = {}
    by_task = _wanted(results, wanted, only)
    for name, records in by_task.items():
        known = _cached(results, data.tasks[name], records)
        found |= known
        if left := [r for r in records if _key(r) not in known]:
            with suppress(UserError):
                for key, draws in _recomputed(results, data.load(name), left):
                    found[key] = draws
    approximated = {_key(r): approximate(r) for mine in by_task.values() for r in mine if _key(r) not in found}
    return found | approximated, frozenset(approximated)


def _wanted(results: Results, wanted: Collection[tuple[str, Budget]], only: str | None) -> dict[str, list[Record]]:
    """Task -> its done records of these families of protocols and budgets."""
    tasks = results.by_task if only is None else {only: results.by_task.get(only, [])}
    done = {name: [r for r in mine if r.status == "done" and r.primary] for name, mine in tasks.items()}
    return {
        name: [r for r in mine if (family(r.unit.protocol), r.unit.budget) in wanted] for name, mine in done.items()
    }


def _cached(results: Results, task: Task, records: list[Record]) -> dict[UnitKey, np.ndarray]:
    """What the cache knows: computed from the predictions in the record, or from what a compact submission keeps."""
    kept = _digest(results.folder, task)
    tried = ((r, cached(r, task, digest)) for r in records for digest in dict.fromkeys(["", kept]))
    return {_key(r): draws for r, draws in tried if draws is not None}


def approximate(record: Record) -> np.ndarray:
    """Normal draws with the width of the record's own interval; NaN where it has none."""
    primary = record.primary
    if primary is None or primary.low is None or primary.high is None:
        return np.full(REPLICATES, np.nan)
    spread = (primary.high - primary.low) / (2 * 1.959964)
    return primary.value + spread * seeded(canonical_json(_key(record))).standard_normal(REPLICATES)


def _recomputed(results: Results, data: TaskData, records: list[Record]) -> Iterator[tuple[UnitKey, np.ndarray]]:
    """Of each unit with predictions."""
    kept = {key: s["test"] for key, s in kept_sources(results.folder, data, records).items() if "test" in s}
    for record in records:
        if (source := kept.get(record.unit.key)) is not None:
            yield _key(record), replicates(record, data, source)
    whole = [r for r in records if r.unit.key not in kept]
    for record, outputs in read_outputs(results.folder, whole, partial=True):
        yield _key(record), replicates(record, data, whole_source(record, data, "test", outputs["test"]))


def whole_source(record: Record, data: TaskData, name: str, output: np.ndarray) -> Source:
    """Of whole predictions on the test split `name`."""
    split = data.tests[base_split(name)]
    return Source(partial(primary_replicates, data.task, output, split, scoring=record.scoring))


def kept_sources(place: Path, data: TaskData, records: list[Record]) -> dict[str, dict[str, Source]]:
    """Unit key -> test split -> what a compact submission keeps in the place of its predictions."""
    task, digest, found = data.task, _digest(place, data.task), dict[str, dict[str, Source]]()
    cases, condensed = read_cases(place, task), read_condensed(place, task)
    for record in records:
        if parts := cases.get(record.unit.key, Kept()).splits:
            of = partial(partial, replicates_kept, task, scoring=record.scoring)
            found[record.unit.key] = {
                name: Source(of(part, data.tests[base_split(name)]), digest, QUANTISED)
                for name, part in parts.items()
                if base_split(name) in data.tests
            }
        elif (array := condensed.get(record.unit.key)) is not None:
            computed = partial(replicates_condensed, data, array, record=record)
            found[record.unit.key] = {"test": Source(computed, digest)}
    return found


def _digest(folder: Path, task: Task) -> str:
    """Hash of the files in which a compact submission keeps units of a task; "" where it has none."""
    files = [path for path in (cases_file(folder, task), condensed_file(folder, task)) if path.is_file()]
    return sha256_text(" ".join(map(sha256_file, files))) if files else ""


@cache
def _counts(task: str, ids: tuple[str, ...], groups: tuple[str, ...] | None) -> np.ndarray:
    return resample_counts(task, "test", np.array(ids), None if groups is None else np.array(groups))


def _key(record: Record) -> UnitKey:
    unit = record.unit
    return record.encoder, unit.task, unit.protocol, unit.budget, unit.seed


def _path(record: Record, task: Task, digest: str) -> Path:
    evidence = digest or record.predictions_sha256
    about = [
        record.scoring,
        REPLICATES,
        task.sha256,
        record.data_sha256,
        evidence,
        record.primary and record.primary.value,
        *([record.unit.key] if digest else []),
    ]
    name = sha256_text(canonical_json(about))
    return folder() / name[:2] / f"{name}.f64"
