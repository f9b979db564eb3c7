"""What a compact submission keeps of units that feed a board with few labels: `<suite>/condensed/<task>.npz`, an array
a unit (bench.metrics.condensed). The primary metric and its resamples stay exact: boards are paired, scores checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.files import read_npz, write_atomic
from bench.leaderboard.recipes import feeds_board, feeds_full_board
from bench.metrics.condensed import condensed, restored
from bench.runs.predictions import predictions_bytes
from bench.runs.records import Record

FIRST_SCORING = 2
"""Scoring version from which a compact submission must hold them; those made before it are not sent again."""


def is_condensed(record: Record) -> bool:
    """Whether a compact submission keeps the condensed predictions of this unit."""
    protocol, budget = record.unit.protocol, record.unit.budget
    return record.status == "done" and feeds_board(protocol, budget) and not feeds_full_board(protocol, budget)


def write_condensed(folder: Path, data: TaskData, outputs: Mapping[str, np.ndarray]) -> None:
    """Condense predictions on "test", unit key -> output, into the file of their task."""
    labels = data.tests["test"].labels
    arrays = {key: condensed(data.task, output, labels) for key, output in outputs.items()}
    write_atomic(_path(folder, data.task), predictions_bytes(arrays))


def read_condensed(folder: Path, data: TaskData, records: list[Record]) -> Iterator[tuple[Record, np.ndarray]]:
    """Each of the records that has condensed predictions, with predictions of the same primary metric on "test".

    Raises UserError for a file that is damaged or does not fit the data.
    """
    path = _path(folder, data.task)
    arrays = read_npz(path) if path.is_file() else {}
    for record in records:
        if (kept := arrays.get(record.unit.key)) is not None:
            yield record, restored(data.task, kept, data.tests["test"].labels)


def _path(folder: Path, task: Task) -> Path:
    return folder / "condensed" / f"{task.name}.npz"
