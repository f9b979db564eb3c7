"""What a board knows: a score and its bootstrap replicates for each encoder x task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.leaderboard.recipes import Recipe
from bench.metrics.resample import REPLICATES
from bench.metrics.uncertainty import nest_seeds, seed_draws

UnitKey = tuple[str, str, str, str, int]
"""encoder, task, protocol, budget, seed"""
ReplicatesOf = Callable[[UnitKey], "np.ndarray | None"]
"""Replicates of a unit's primary metric on "test", float64 (b,), the same b for every unit; None where unknown."""


@dataclass(frozen=True)
class Evidence:
    """Normalised scores of one recipe.

    encoders (e), tasks (t): one row each, by name; tasks carry kind, modality, origin; encoders carry paradigm, badge.
    points: float64 (e, t), NaN where an encoder lacks the task. replicates: float32 (e, t, b), NaN where unknown.
    runs: encoder -> every normalised score over task x budget x seed. contaminated: (e, t) of yes, no, unknown.
    """

    encoders: pd.DataFrame
    tasks: pd.DataFrame
    points: np.ndarray
    replicates: np.ndarray
    runs: dict[str, np.ndarray]
    contaminated: np.ndarray


def gather(
    frame: pd.DataFrame,
    recipe: Recipe,
    replicates_of: ReplicatesOf,
    unfinished: Collection[tuple[str, str, str, str]] = (),
    replicates: int = REPLICATES,
) -> Evidence | None:
    """The evidence for one board from the long table, or None when no unit feeds it.

    A task's metric is the mean over seeds; it is normalised, clipped at 0, then averaged over budgets. unfinished:
    (encoder, task, protocol, budget) with units that were planned and are neither done nor refused: such a task
    counts as missing, so that leaving out hard units cannot pay.
    """
    rows = frame[frame.primary & (frame.split == "test") & frame.budget.isin(recipe.budgets) & frame.left_out.isna()]
    rows = rows[rows.protocol == rows.kind.map(dict(recipe.protocols))]
    if rows.empty:
        return None
    encoders = rows.drop_duplicates("encoder").set_index("encoder")[["paradigm", "badge"]].sort_index()
    columns = ["kind", "modality", "origin", "chance"]
    tasks = rows.drop_duplicates("task").set_index("task")[columns].sort_index()
    tasks = tasks.sort_values(["kind", "modality"], kind="stable")
    e, t = len(encoders), len(tasks)
    points, spread = np.full((e, t), np.nan), np.full((e, t, replicates), np.nan, np.float32)
    states = np.full((e, t), "unknown", dtype=object)
    absent = {(name, task) for name, task, protocol, budget in unfinished
              if budget in recipe.budgets and protocol in recipe.protocols.values()}  # fmt: skip
    for (encoder, task), cell in rows.groupby(["encoder", "task"], sort=False):
        i, j = encoders.index.get_loc(encoder), tasks.index.get_loc(task)
        states[i, j] = cell.contaminated.iloc[0]
        if (encoder, task) not in absent:
            points[i, j], spread[i, j] = _task_score(cell, replicates_of, replicates)
    runs = {name: np.sort(group.score.to_numpy(float)) for name, group in rows.groupby("encoder")}
    return Evidence(encoders, tasks, points, spread, runs, states)


def _task_score(cell: pd.DataFrame, replicates_of: ReplicatesOf, replicates: int) -> tuple[float, np.ndarray]:
    points, draws = [], []
    for budget, units in cell.sort_values("seed").groupby("budget", sort=True):
        chance = float(units.chance.iloc[0])
        points.append(_normalised(np.array([units.value.mean()]), chance)[0])
        by_seed = np.stack([_known(replicates_of(key), replicates) for key in _keys(units)])
        nested = nest_seeds(by_seed, seed_draws(f"{cell.task.iloc[0]}\x00{budget}", len(units), replicates))
        draws.append(_normalised(nested, chance))
    return float(np.mean(points)), np.mean(draws, axis=0).astype(np.float32)


def _keys(units: pd.DataFrame) -> list[UnitKey]:
    return [(u.encoder, u.task, u.protocol, u.budget, int(u.seed)) for u in units.itertuples()]


def _known(draws: np.ndarray | None, replicates: int) -> np.ndarray:
    """Replicates with the few undefined ones set to the mean of the others, so that pairing is kept."""
    if draws is None or np.isnan(draws).all():
        return np.full(replicates, np.nan)
    return np.where(np.isnan(draws), np.nanmean(draws), draws)


def _normalised(values: np.ndarray, chance: float) -> np.ndarray:
    """`bench.leaderboard.frame.normalised` on an array, NaN kept."""
    return np.maximum(0.0, (values - chance) / (1.0 - chance))
