"""What a run will take, from a short calibration: time, memory, disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psutil

from bench.budget import FULL
from bench.data.budgets import subsets, why_invalid
from bench.data.dataset import Split, TaskData
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.encoders.features import Features
from bench.errors import NotForThisEncoderError
from bench.features.extract import extract
from bench.features.looks import looked_at
from bench.features.roomy import HELD
from bench.locate import home
from bench.protocols.base import Labelled, Problem, Protocol, Unlabelled
from bench.runs.plan import Plan
from bench.runs.stand_in import data_of

CALIBRATION_IMAGES = 16
CALIBRATION_ROWS = 96
VOLUMES = 4
VOLUME_ROWS = 12
"""The same of volumes, whose grids are large."""


@dataclass(frozen=True)
class TaskEstimate:
    """Expectation for one task. `solve_seconds` grows from a small problem linearly in the training images."""

    task: str
    units: int
    images: int
    encode_seconds: float
    solve_seconds: float
    feature_bytes: int
    solver_bytes: int = 0
    """Memory of the protocol that takes most, beside the features."""
    prepared: bool = True
    """False: the data are not on this machine, and the card's counts with made-up images stand for them."""
    mapped_bytes: int = 0
    """Of the features, those that lie in files while they are used (`bench.features.roomy`)."""


@dataclass(frozen=True)
class Estimate:
    """Expectation for a run; about a factor of two either way."""

    tasks: tuple[TaskEstimate, ...]
    memory_bytes: int
    disk_free: int

    @property
    def seconds(self) -> float:
        """Wall time in one process."""
        return sum(t.encode_seconds + t.solve_seconds for t in self.tasks)

    @property
    def disk_bytes(self) -> int:
        """Features kept on disk, the largest part of what a run writes."""
        return sum(t.feature_bytes for t in self.tasks)


def estimate(encoder: Encoder, plan: Plan, *, accept_checksum: bool = False) -> Estimate:
    """Estimate the run of `plan`: 16 images are encoded and each protocol is run once on a small problem, a task.

    Data that are not prepared yet are not touched when the card says how many images there are: noise stands for
    them, measured once for all tasks of one shape. Raises DataError, EncoderError as the run itself would.
    """
    known: dict[object, Calibration] = {}
    found = tuple(_of_task(encoder, plan, plan.tasks[name], accept_checksum, known) for name in plan.selected)
    largest = max((t.feature_bytes - t.mapped_bytes + t.solver_bytes for t in found), default=0)
    home().mkdir(parents=True, exist_ok=True)
    return Estimate(found, psutil.Process().memory_info().rss + largest, shutil.disk_usage(home()).free)


class Calibration(NamedTuple):
    """What was measured on a small problem: seconds and bytes of an image, the width of a feature as solvers hold it,
    and the seconds a training row of each protocol."""

    per_image: float
    image_bytes: int
    width: int
    per_row: dict[str, float]


def _of_task(
    encoder: Encoder, plan: Plan, task: Task, accept_checksum: bool, known: dict[object, Calibration]
) -> TaskEstimate:
    data, counts, prepared = data_of(plan, task, accept_checksum=accept_checksum)
    units = plan.units(task)
    names = dict.fromkeys(unit.protocol for unit in units)
    dense = any(plan.protocols[n].reads_grid for n in names)
    images = sum(counts.values())
    like = task.name if prepared else _shape(data, names)
    try:
        found = known.get(like) or _calibrated(encoder, data, dense, [plan.protocols[name] for name in names])
    except NotForThisEncoderError:
        return TaskEstimate(task.name, len(units), images, 0.0, 0.0, 0, prepared=prepared)
    known[like] = found
    k = len(task.classes)
    solve = sum(found.per_row[unit.protocol] * unit.budget.images(counts["train"], k) for unit in units)
    solver = max(plan.protocols[n].memory_bytes(images, found.width, k) for n in names)
    size = images * found.image_bytes
    mapped = max(0, size - HELD * len(counts)) if task.volume and dense else 0
    return TaskEstimate(task.name, len(units), images, images * found.per_image, solve, size, solver, prepared, mapped)


def _shape(data: TaskData, names: Iterable[str]) -> tuple[object, ...]:
    """What the cost of made-up data depends on."""
    task = data.task
    sizes = [split.images.shape for split in data.splits.values()]
    return task.kind, task.target, task.metric, len(task.classes), *sizes, *names


def _calibrated(encoder: Encoder, data: TaskData, dense: bool, protocols: Iterable[Protocol]) -> Calibration:
    problem, per_image, image_bytes = _small_problem(encoder, data, dense)
    return Calibration(per_image, image_bytes, _width(problem), {p.name: _row_seconds(p, problem) for p in protocols})


def _width(problem: Problem) -> int:
    """Numbers of a feature that a solver holds at a time: the global vector, or what stands for it in a grid."""
    features = problem.train.features
    if features.grid is None or features.grid.ndim == 5:
        return features.pooled.shape[1]
    return features.grid[0].size // 8


def _small_problem(encoder: Encoder, data: TaskData, dense: bool) -> tuple[Problem, float, int]:
    """A problem of few rows, seconds to encode one image, and bytes of its features."""
    started = time.perf_counter()
    volumes = data.task.volume and dense
    few, some = (VOLUMES, VOLUME_ROWS) if volumes else (CALIBRATION_IMAGES, CALIBRATION_ROWS)
    few, rows = slice(0, few), slice(0, some)
    spacing = None if data.train.spacing is None else data.train.spacing[few]
    sizes = None if data.train.sizes is None else data.train.sizes[few]
    some_images = looked_at(encoder, data.train)[few]
    measured = extract(encoder, some_images, dense=dense and sizes is None, spacing=spacing, sizes=sizes)
    per_image = (time.perf_counter() - started) / len(measured)

    def labelled(split: Split) -> Labelled:
        features = _repeated(measured, len(split.ids[rows]))
        groups = None if split.groups is None else split.groups[rows]
        own = None if split.sizes is None else split.sizes[rows]
        apart = None if split.spacing is None else split.spacing[rows]
        return Labelled(features, split.labels[rows], groups, split.images[rows], own, apart)

    train, val, test = labelled(data.train), labelled(data.val), labelled(data.tests["test"])
    mask_size = data.train.labels.shape[1:] if data.task.kind == "dense" else None
    tests = {"test": Unlabelled(test.features, test.images, test.spacing, test.sizes)}
    problem = Problem(data.task, train, val, tests, mask_size, encoder)
    size = sum(a.nbytes for a in (measured.pooled, measured.grid) if a is not None) // len(measured)
    return problem, per_image, size


def _repeated(features: Features, n: int) -> Features:
    """Features of `n` rows: those measured, repeated, with a little noise so that no two rows are equal."""
    rng = np.random.default_rng(0)

    def grown(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        rows = array[np.arange(n) % len(array)]
        return rows + 0.1 * (array.std() + 1e-6) * rng.standard_normal(rows.shape, dtype=np.float32)

    return Features(grown(features.pooled), grown(features.grid), grown(features.members))


def _row_seconds(protocol: Protocol, problem: Problem) -> float:
    """Seconds a training row, from one unit on the small problem."""
    if protocol.refuses(problem.task):
        return 0.0
    drawn = subsets(problem.task, problem.train.labels, problem.train.groups, FULL, [0])
    if why_invalid(problem.task, problem.train.labels, drawn[0]):
        return 0.0
    started = time.perf_counter()
    list(protocol.predict(problem, drawn))
    return (time.perf_counter() - started) / len(drawn[0].rows)
