"""Two encoders, task by task: paired differences with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from bench.budget import FULL, Budget
from bench.discover import pick
from bench.leaderboard.collect import SuiteResults
from bench.leaderboard.evidence import UnitKey
from bench.leaderboard.replicates import all_replicates
from bench.metrics.uncertainty import holm, nest_seeds, paired_difference, seed_draws
from bench.words import family

Cells = dict[tuple[str, str], dict[int, tuple[float, np.ndarray]]]
"""(task, protocol) -> seed -> value and replicates (B,)."""


@dataclass(frozen=True)
class TaskDifference:
    """first - second on one task under one protocol and budget; `p` is two-sided, `p_holm` over all rows."""

    task: str
    protocol: str
    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    seeds: int
    paired: bool
    """Whether the predictions of both were drawn again; otherwise intervals in records stand in, which makes wider."""


def compare(collection: SuiteResults, first: str, second: str, *, budget: Budget = FULL) -> list[TaskDifference]:
    """Every task both encoders have done at `budget`, on the seeds both have, in the order of tasks and protocols.

    A seed is a label subset: the difference is between the same ones. The test images are resampled alike for both;
    seeds are resampled too where there are several. Raises UserError for an encoder without results.
    """
    sides, unpaired = list[Cells](), set[tuple[str, str, str, int]]()
    for name in (first, second):
        side, left = _cells(collection, name, budget)
        sides.append(side)
        unpaired |= {key[1:] for key in left}  # without the encoder
    rows = []
    for task, protocol in sorted(set(sides[0]) & set(sides[1])):
        cells = sides[0][task, protocol], sides[1][task, protocol]
        seeds = sorted(set(cells[0]) & set(cells[1]))
        if not seeds:
            continue
        by_seed = [np.stack([cell[seed][1] for seed in seeds]) for cell in cells]
        chosen = seed_draws(f"{task}/{budget}", len(seeds), by_seed[0].shape[1])
        a, b = (nest_seeds(draws, chosen) for draws in by_seed)
        first_mean, second_mean = (float(np.mean([cell[seed][0] for seed in seeds])) for cell in cells)
        found = paired_difference(first_mean, second_mean, a, b)
        if found.low is not None and found.high is not None:
            metric = collection.tasks[task].metric
            rows.append(TaskDifference(
                task, protocol, metric, first_mean, second_mean, found.value, found.low, found.high, _p(a - b),
                math.nan, len(seeds), not any((task, protocol, budget, seed) in unpaired for seed in seeds),
            ))  # fmt: skip
    adjusted = holm(np.array([row.p for row in rows]))
    return [replace(row, p_holm=float(p)) for row, p in zip(rows, adjusted, strict=True)]


def _p(differences: np.ndarray) -> float:
    """Two-sided bootstrap p-value: twice the smaller share of replicates on one side of 0, never 0 itself."""
    known = differences[~np.isnan(differences)]
    tail = min((known <= 0).sum(), (known >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(known) + 1)))


def _cells(collection: SuiteResults, name: str, budget: Budget) -> tuple[Cells, frozenset[UnitKey]]:
    """What one encoder has at one budget, and which of its units are approximated."""
    results = pick(dict(collection.results), name, what="encoder with results", where=collection.suite)
    wanted = {(family(record.unit.protocol), budget) for record in results.records}
    draws, approximated = all_replicates(results, collection.at_hand, wanted)
    cells: Cells = {}
    for record in results.records:
        unit = record.unit
        key = (name, unit.task, unit.protocol, unit.budget, unit.seed)
        if unit.budget == budget and record.status == "done" and record.primary:
            cells.setdefault((unit.task, unit.protocol), {})[unit.seed] = (record.primary.value, draws[key])
    return cells, approximated
