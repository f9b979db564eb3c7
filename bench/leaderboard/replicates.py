"""Bootstrap replicates of primary metrics, recomputed from stored predictions and cached by content."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.data.task import Task
from bench.errors import UserError
from bench.files import canonical_json, sha256_text, write_atomic
from bench.leaderboard.evidence import UnitKey
from bench.locate import home
from bench.metrics.resample import REPLICATES, resample_counts, seeded, with_point
from bench.metrics.scored import primary_replicates
from bench.runs.journal import read_outputs
from bench.runs.records import Interval, Record
from bench.submissions.condensed import read_condensed
from bench.submissions.folder import Results
from bench.words import family

TOLERANCE = 1e-6
"""Between a score in a record and the same computed here; larger than what rounding does."""


def replicates(record: Record, task: Task, data: TaskData, output: np.ndarray) -> np.ndarray:
    """Replicates of the record's primary metric on "test", float64 (2000,), from the cache or recomputed into it.

    output: the unit's predictions on "test", or others of the same primary metric. Raises UserError when `data` is not
    what the record was made on, or the metric is not the record's.
    """
    if record.data_sha256 != data.sha256:
        raise UserError("results were made on other data than is at hand", where=f"{record.encoder}, {task.name}")
    split = data.tests["test"]
    counts = _counts(task.name, tuple(split.ids), None if split.groups is None else tuple(split.groups))
    point, *_ = draws = primary_replicates(task, output, split, with_point(counts, len(split)), scoring=record.scoring)
    if not (record.primary and abs(point - record.primary.value) < TOLERANCE):
        raise UserError("predictions do not give the score in the record", where=f"{record.encoder}, {record.unit.key}")
    draws = draws[1:]
    buffer = io.BytesIO()
    np.save(buffer, draws, allow_pickle=False)
    write_atomic(_path(record, task), buffer.getvalue())
    return draws


def cached(record: Record, task: Task) -> np.ndarray | None:
    """Replicates from the cache, or None when they are not there or not readable."""
    try:
        draws = np.load(_path(record, task), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return draws if draws.shape == (REPLICATES,) and draws.dtype == np.float64 else None


def all_replicates(
    results: Results, tasks: dict[str, Task], protocols: set[str], folders: Mapping[str, Path | None] | None = None
) -> tuple[dict[UnitKey, np.ndarray], frozenset[UnitKey]]:
    """Replicates of every done unit of these protocols, in any version, and which of them had to be approximated.

    Where a task's data is not at hand (folders: where cards of one's own start), or predictions are missing, the
    interval in the record stands in: normal draws, independent between encoders, which makes differences wider.
    """
    families = {family(name) for name in protocols}
    wanted = [r for r in results.records if r.status == "done" and family(r.unit.protocol) in families and r.primary]
    found = {_key(r): draws for r in wanted if (draws := cached(r, tasks[r.unit.task])) is not None}
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in wanted:
        if _key(record) not in found:
            by_task[record.unit.task].append(record)
    for name, records in by_task.items():
        try:
            found |= dict(_recomputed(results, tasks[name], records, (folders or {}).get(name)))
        except UserError:
            continue
    left = {_key(r): approximate(r) for r in wanted if _key(r) not in found}
    return found | left, frozenset(left)


def approximate(record: Record) -> np.ndarray:
    """Normal draws with the width of the record's own interval; NaN where it has none."""
    primary: Interval = record.primary
    if primary.low is None or primary.high is None:
        return np.full(REPLICATES, np.nan)
    spread = (primary.high - primary.low) / (2 * 1.959964)
    return primary.value + spread * seeded(canonical_json(_key(record))).standard_normal(REPLICATES)


def _recomputed(
    results: Results, task: Task, records: list[Record], folder: Path | None
) -> Iterator[tuple[UnitKey, np.ndarray]]:
    data = load_task(task, folder=folder)
    left = {_key(record): record for record in records}
    for record, outputs in read_outputs(results.folder, records, partial=True):
        yield _key(record), replicates(left.pop(_key(record)), task, data, outputs["test"])
    for record, output in read_condensed(results.folder, data, list(left.values())):
        yield _key(record), replicates(record, task, data, output)


@cache
def _counts(task: str, ids: tuple[str, ...], groups: tuple[str, ...] | None) -> np.ndarray:
    return resample_counts(task, "test", np.array(ids), None if groups is None else np.array(groups))


def _key(record: Record) -> UnitKey:
    unit = record.unit
    return record.encoder, unit.task, unit.protocol, unit.budget, unit.seed


def _path(record: Record, task: Task) -> Path:
    about = [record.scoring, REPLICATES, task.sha256, record.data_sha256, record.predictions_sha256]
    digest = sha256_text(canonical_json(about))
    return home() / "replicates" / digest[:2] / f"{digest}.npy"
