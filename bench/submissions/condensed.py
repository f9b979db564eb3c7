"""What a compact submission keeps of units that feed a board with few labels: `<suite>/condensed/<task>.npz`, an array
a unit: what the primary metric reads of the predictions (bench.metrics.condensed), or the metric's bootstrap replicates
where these are smaller. The metric and its resamples stay: boards are paired, scores checked."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.errors import DataError
from bench.files import read_npz, write_atomic
from bench.metrics.condensed import condensed, condensed_areas, restored
from bench.metrics.products import Weights
from bench.metrics.resample import REPLICATES, resample_counts, with_point
from bench.metrics.scored import primary_of_areas, primary_replicates
from bench.recipes import feeds_board, feeds_full_board
from bench.runs.predictions import predictions_bytes
from bench.runs.records import Record

FIRST_SCORING = 2
"""Scoring version from which a compact submission must hold them; those made before it are not sent again."""
DRAWN = np.dtype(np.float16)
"""Of replicates, which are kept as differences from the metric itself."""
REPLICATES_BYTES = REPLICATES * DRAWN.itemsize
"""They are kept where what the metric reads is larger than this."""
DRAWN_TOLERANCE = 5e-4
"""By which an interval of replicates that were kept may differ."""


def is_condensed(record: Record) -> bool:
    """Whether a compact submission keeps the condensed predictions of this unit."""
    protocol, budget = record.unit.protocol, record.unit.budget
    return record.status == "done" and feeds_board(protocol, budget) and not feeds_full_board(protocol, budget)


def write_condensed(folder: Path, data: TaskData, outputs: Mapping[str, np.ndarray], scoring: int) -> None:
    """Condense predictions on "test", unit key -> output, into the file of their task; none where there are none."""
    arrays = {key: _smaller(data, output, scoring) for key, output in outputs.items()}
    if arrays:
        write_atomic(condensed_file(folder, data.task), predictions_bytes(arrays))


def read_condensed(folder: Path, task: Task) -> dict[str, np.ndarray]:
    """Unit key -> what is kept of it; {} without a file. Raises UserError for a file that is damaged."""
    path = condensed_file(folder, task)
    return read_npz(path) if path.is_file() else {}


def replicates_condensed(data: TaskData, kept: np.ndarray, counts: Weights, record: Record) -> np.ndarray:
    """The primary metric under `counts` (`with_point`), float64 (1 + B,). Raises DataError for other arrays."""
    task, test = data.task, data.tests["test"]
    if kept.dtype != DRAWN and task.kind == "dense":
        found = condensed_areas(task, kept, data.test_pixels)
        return primary_of_areas(task, found, counts, scoring=record.scoring)
    if kept.dtype != DRAWN:
        return primary_replicates(task, restored(task, kept, test.labels), test, counts, scoring=record.scoring)
    if kept.shape != (REPLICATES,) or record.primary is None:
        raise DataError(f"replicates are {kept.shape}, expected ({REPLICATES},)", where=task.name)
    return record.primary.value + np.concatenate([[0.0], kept.astype(np.float64)])


def may_be_drawn(data: TaskData) -> bool:
    """Whether what the primary metric reads of predictions on "test" can be larger than its replicates."""
    n, k = len(data.tests["test"]), len(data.task.classes)
    dense = data.task.kind == "dense"
    numbers, largest = (n * k * (k - 1), int(data.test_pixels.max())) if dense else (n * k, max(n, k))
    return numbers * np.min_scalar_type(largest).itemsize > REPLICATES_BYTES


def tolerance_of(kept: np.ndarray, exact: float) -> float:
    """By how much an interval may differ that is recomputed from what was kept."""
    return DRAWN_TOLERANCE if kept.dtype == DRAWN else exact


def _smaller(data: TaskData, output: np.ndarray, scoring: int) -> np.ndarray:
    test = data.tests["test"]
    kept = condensed(data.task, output, test.labels)
    if kept.nbytes <= REPLICATES_BYTES:
        return kept
    counts = with_point(resample_counts(data.task.name, "test", test.ids, test.groups), len(test))
    point, *draws = primary_replicates(data.task, output, test, counts, scoring=scoring)
    return (np.array(draws) - point).astype(DRAWN)


def condensed_file(folder: Path, task: Task) -> Path:
    """Where a submission's results on a suite keep the condensed predictions of a task."""
    return folder / "condensed" / f"{task.name}.npz"
