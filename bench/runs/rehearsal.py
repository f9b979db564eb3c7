"""What a unit costs: a few units of a task run for good on some of its images, and what follows for all of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from bench.allocator import freed_memory_returned
from bench.budget import FULL, Budget
from bench.data.budgets import presence
from bench.data.dataset import Split, TaskData, evenly
from bench.encoders.base import Encoder
from bench.encoders.features import Features
from bench.features.extract import extract, usual_batch
from bench.features.looks import looked_at
from bench.identity import Measure
from bench.memory import PeakMemory
from bench.memory import held as memory_held
from bench.protocols.base import Protocol
from bench.runs.journal import Journal
from bench.runs.records import Unit
from bench.runs.score_task import Setting, Work

IMAGES = 16
"""Encoded at least; as many as SECONDS allow of each split."""
SECONDS, GRID_SECONDS = 0.4, 1.2
"""Of each split, and of one with grids: probes of patches that repeat are easier than those of true ones."""
ROWS, GRIDS, VOLUME_GRIDS = 128, 32, 12
"""Rows of a split: of global tasks, of dense tasks and protocols that encode images again, of dense volumes."""
VOLUMES = 4
OF_A_CLASS = 8


@dataclass(frozen=True)
class UnitCost:
    """Seconds of a unit with `rows` training and `tested` test images: fixed + rows * row + tested * test; of one that
    learns from all, with the validation split beside it, fixed + rows * whole + tested * test. Of a lazy protocol all
    but the last is for one test image."""

    fixed: float = 0.0
    row: float = 0.0
    whole: float = 0.0
    test: float = 0.0
    once: float = 0.0
    """Of the first unit of a task alone: what a protocol prepares for all of them."""


@dataclass(frozen=True)
class Rehearsal:
    """Seconds of an image and bytes of its features; vectors of an image that a protocol reads, and their length; the
    cost of units by protocol."""

    per_image: float
    image_bytes: int
    parts: Mapping[str, tuple[int, int]]
    units: Mapping[str, UnitCost]
    working_bytes: int = 0
    """Memory of encoding a batch, beside what the process holds before and after."""


def rehearse(
    encoder: Encoder, data: TaskData, protocols: Iterable[Protocol], units: Sequence[Unit], train: int
) -> Rehearsal:
    """Encode some images of each split, and run the least, a larger and the largest budget of each protocol on them.

    train: images of the training split, of which `data` may hold fewer. Raises DataError, EncoderError as the run
    itself would.
    """
    protocols = list(protocols)
    dense = any(p.reads_grid for p in protocols)
    again = any(p.board in ("fine-tune", "robustness") for p in protocols)
    volumes = data.task.volume and dense
    most = VOLUME_GRIDS if volumes else GRIDS if dense or again else ROWS
    small = replace(data, **_small(data, most), known={})
    peak = PeakMemory()
    with peak.watched(every=0.005):
        per_image = _seconds_an_image(encoder, small.train, dense, VOLUMES if volumes else IMAGES)
        held = {name: _features(encoder, split, dense, per_image, volumes) for name, split in small.splits.items()}
    working = peak.look() * 2**20
    freed_memory_returned()
    working = (working - memory_held()) * _of_a_batch(encoder, small.train, dense, per_image, train)
    work = Work(encoder, small.task, None, Setting("", "rehearsal", "0" * 64, measure=Measure(encoder)))
    work.data, work.together = small, False  # what one unit takes is asked
    work.features.held = {(name, grid): features for name, features in held.items() for grid in (False, True)}
    with tempfile.TemporaryDirectory() as folder:
        costs = {p.name: _cost(work, p, units, Journal(Path(folder)), train) for p in protocols}
    some = held["train"]
    size = sum(a.nbytes for a in (some.pooled, some.grid) if a is not None) // len(some)
    parts = {p.name: some.parts(p.reads_grid and some.grid is not None) for p in protocols}
    return Rehearsal(per_image, size, parts, costs, max(0, int(working)))


def _small(data: TaskData, most: int) -> dict[str, Any]:
    tests = {name: _some(data, split, most) for name, split in data.tests.items()}
    return {"train": _some(data, data.train, most), "val": _some(data, data.val, most), "tests": tests}


def _some(data: TaskData, split: Split, most: int) -> Split:
    """`most` rows of a split, evenly spread, with some of each class."""
    if len(split) <= most:
        return split
    rows = evenly(len(split), most)
    if data.task.kind == "global" and (present := presence(data.task, split.labels)).ndim == 2:
        rows = np.union1d(rows, np.concatenate([np.flatnonzero(column)[:OF_A_CLASS] for column in present.T]))
    return split.rows(rows)


def _seconds_an_image(encoder: Encoder, train: Split, dense: bool, images: int) -> float:
    """The fastest of three passes: the first also loads what is loaded once, the last is a batch as a run has it, as
    far as time allows."""

    def one(images: int) -> float:
        started = time.perf_counter()
        n = len(_encoded(encoder, train, dense, images))
        return (time.perf_counter() - started) / n

    first = one(images)
    if first * images >= 20 * SECONDS:
        return first
    again = min(first, one(images))
    full = min(usual_batch(encoder.device), int(SECONDS / again))
    return min(again, one(full)) if full > images else again


def _of_a_batch(encoder: Encoder, split: Split, dense: bool, per_image: float, train: int) -> float:
    """How many times as many images a batch of the run has as were encoded at most at once (slices fill batches)."""
    if split.images.ndim > 4:
        return 1.0
    encoded = max(IMAGES, int((GRID_SECONDS if dense else SECONDS) / per_image))
    return max(1.0, min(usual_batch(encoder.device), train) / encoded)


def _encoded(encoder: Encoder, split: Split, dense: bool, images: int) -> Features:
    """Of the first images, and of these again where there are fewer."""
    rows = np.arange(images) % len(split)
    spacing, sizes = (None if a is None else a[rows] for a in (split.spacing, split.sizes))
    looks = looked_at(encoder, split)[rows]
    return extract(encoder, looks, dense=dense and sizes is None, spacing=spacing, sizes=sizes)


def _features(encoder: Encoder, split: Split, dense: bool, per_image: float, volumes: bool) -> Features:
    """Of every row: true ones as far as time allows, then these again with a little noise."""
    seconds = GRID_SECONDS if dense else SECONDS
    images = min(len(split), VOLUMES if volumes else max(IMAGES, int(seconds / per_image)))
    measured = _encoded(encoder, split, dense, images)
    rng = np.random.default_rng(0)

    def grown(array: np.ndarray) -> np.ndarray:
        if len(array) == len(split):
            return array
        more = array[np.arange(len(array), len(split)) % len(array)]
        noise = 0.1 * (array.std() + 1e-6) * rng.standard_normal(more.shape, dtype=np.float32)
        return np.concatenate([array, more + noise])

    return Features(*(None if array is None else grown(array) for array in measured.arrays))


def _cost(work: Work, protocol: Protocol, units: Sequence[Unit], journal: Journal, train: int) -> UnitCost:
    """From the least budget (at most a quarter), twice where units are quick, since the first prepares for all, the
    largest part of the labels, and all of them."""
    n, k = len(work.data.train), len(work.task.classes)
    mine = sorted((unit for unit in units if unit.protocol == protocol.name), key=lambda u: u.budget.images(n, k))
    likes = [(unit, like) for unit in mine if (like := _like(work, protocol, unit, train, n))]
    part = [pair for pair in likes if pair[1].budget != FULL]
    full = [like for _, like in likes if like.budget == FULL]
    least = [_like(work, protocol, unit, train, n // 4) or like for unit, like in part[: 1 + (not protocol.reads_grid)]]
    few = [*least, *(like for _, like in part[-1:])] or full[:2]
    asked = dict.fromkeys([*few, *full[:1]])
    solved, all_labels, rest, last = [], 0.0, [], time.perf_counter()
    for record, outputs in work.run(protocol, list(asked)):
        journal.write(record, outputs)
        now = time.perf_counter()
        if record.status == "done":
            solve = record.cost.seconds["solve"]
            if record.unit.budget == FULL:
                all_labels = solve
            if record.unit in few:
                solved.append((record.n_labels, solve))
            rest.append(now - last - solve)
        last = now
    tested = sum(map(len, work.data.tests.values()))
    if not rest:
        return UnitCost()
    line = _line(solved) if solved else UnitCost()
    row, fixed, whole = line.row, line.fixed, max(0.0, all_labels - line.fixed) / n
    if protocol.lazy:
        row, fixed, whole = row / tested, fixed / tested, whole / tested
    return UnitCost(fixed, row, whole, mean(rest[1:] or rest) / tested, line.once)


def _like(work: Work, protocol: Protocol, unit: Unit, train: int, most: int) -> Unit | None:
    """The unit with as many labels as it has of `train` images, but at most so many; None where refused."""
    counted, k = unit, len(work.task.classes)
    if unit.budget.kind == "%" and unit.budget != FULL:
        labels = max(1, min(most, unit.budget.images(train, k)))
        counted = unit.model_copy(update={"budget": Budget(f"n={labels}")})
    drawn = (like for like in (counted, unit) if not isinstance(work.drawn(protocol, like), str))
    return next(drawn, None)


def _line(solved: Sequence[tuple[int, float]]) -> UnitCost:
    """Through the last two of (training images, seconds); what the first took beyond it was for all."""
    many, more = solved[-1]
    few, less = solved[-2] if len(solved) > 1 else (0, 0.0)
    row = max(0.0, more - less) / (many - few) if many > few else 0.0
    fixed = max(0.0, more - row * many)
    rows, first = solved[0]
    return UnitCost(fixed, row, once=max(0.0, first - fixed - row * rows))
