"""What a board knows: a score and its bootstrap replicates for each encoder x task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.leaderboard.frame import normalised
from bench.leaderboard.weights import Tasks
from bench.metrics.resample import REPLICATES
from bench.metrics.uncertainty import nest_seeds, seed_draws
from bench.recipes import BoardRecipe
from bench.words import family

UnitKey = tuple[str, str, str, str, int]
"""encoder, task, protocol, budget, seed"""
ReplicatesOf = Callable[[UnitKey], "np.ndarray | None"]
"""Replicates of a unit's primary metric on "test", float64 (b,), the same b for every unit; None where unknown."""


@dataclass(frozen=True)
class Known:
    """Bootstrap replicates of units.

    draws: float64 (b,) each. approximated: the units whose draws stand in for predictions or data not at hand.
    """

    draws: dict[UnitKey, np.ndarray]
    approximated: frozenset[UnitKey]

    def notes(self, recipe: BoardRecipe) -> tuple[str, ...]:
        """What must be told on the board of a recipe: how many units that feed it are approximated."""

        def feeds_it(key: UnitKey) -> bool:
            return family(key[2]) in recipe.protocols.values() and key[3] in recipe.budgets

        mine = set(filter(feeds_it, self.draws))
        if not (left := len(mine & self.approximated)):
            return ()
        return (
            f"{left:,} of {len(mine):,} results could not be resampled (data or predictions not at hand): their "
            "intervals are approximated from the records, without pairing.",
        )


class Result(NamedTuple):
    """One unit's primary metric on "test", with what a board must know of its encoder and task."""

    encoder: str
    task: str
    protocol: str
    budget: str
    seed: int
    value: float
    score: float
    chance: float
    contaminated: str
    paradigm: str
    badge: str
    repeat_of: str | None
    kind: str
    modality: str
    origin: str

    @property
    def key(self) -> UnitKey:
        """What names the unit."""
        return self[:5]


@dataclass(frozen=True)
class Evidence:
    """Normalised scores of one recipe.

    encoders, paradigms, badges: words (e,), by name. repeat_of: (e,), the encoder of which one is another pretraining
    seed, or None. points: float64 (e, t), NaN where an encoder lacks the task.
    replicates: float32 (e, t, b), NaN where unknown. contaminated: (e, t) of yes, no, unknown.
    runs: every normalised score over task x budget x seed of each encoder, sorted.
    """

    encoders: list[str]
    paradigms: list[str]
    badges: list[str]
    repeat_of: list[str | None]
    tasks: Tasks
    points: np.ndarray
    replicates: np.ndarray
    contaminated: np.ndarray
    runs: list[np.ndarray]


def gather(
    frame: pd.DataFrame,
    recipe: BoardRecipe,
    replicates_of: ReplicatesOf,
    unfinished: Collection[tuple[str, str, str, str]] = (),
    replicates: int = REPLICATES,
) -> Evidence | None:
    """The evidence for one board from the long table, or None when no unit feeds it.

    A task's metric is the mean over seeds; it is normalised, then averaged over budgets. unfinished:
    (encoder, task, protocol, budget) with units that were planned and are neither done nor refused: such a task
    counts as missing, so that leaving out hard units cannot pay.
    """
    cells: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in _results(frame, recipe):
        cells[result.encoder, result.task].append(result)
    if not cells:
        return None
    by_encoder = {units[0].encoder: units[0] for units in cells.values()}
    by_task = {units[0].task: units[0] for units in cells.values()}
    encoders = sorted(by_encoder)
    tasks = sorted(by_task.values(), key=lambda u: (u.kind, u.modality, u.task))
    shape = len(encoders), len(tasks)
    points, draws = np.full(shape, np.nan), np.full((*shape, replicates), np.nan, np.float32)
    states = np.full(shape, "unknown", dtype=object)
    absent = {(e, t) for e, t, p, b in unfinished if b in recipe.budgets and family(p) in recipe.protocols.values()}
    for i, encoder in enumerate(encoders):
        for j, task in enumerate(tasks):
            if units := cells.get((encoder, task.task)):
                states[i, j] = units[0].contaminated
                if (encoder, task.task) not in absent:
                    points[i, j], draws[i, j] = _task_score(units, replicates_of, replicates)
    return Evidence(
        encoders,
        [by_encoder[name].paradigm for name in encoders],
        [by_encoder[name].badge for name in encoders],
        [by_encoder[name].repeat_of for name in encoders],
        Tasks(*(np.array([getattr(u, a) for u in tasks]) for a in ("task", "kind", "modality", "origin"))),
        points,
        draws,
        states,
        [np.sort([u.score for (e, _), units in cells.items() if e == name for u in units]) for name in encoders],
    )


def counting(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the long table that can feed a board: primary metrics on "test" of tasks in the averages."""
    return frame[frame["primary"] & (frame["split"] == "test") & frame["left_out"].isna()]


def feeds(frame: pd.DataFrame, recipe: BoardRecipe) -> bool:
    """Whether any row of the long table counts on the board of a recipe."""
    return not _rows(frame, recipe).empty


def _rows(frame: pd.DataFrame, recipe: BoardRecipe) -> pd.DataFrame:
    rows = counting(frame)
    answering = rows["protocol"].map(family) == rows["kind"].map(dict(recipe.protocols))
    return rows[rows["budget"].isin(recipe.budgets) & answering]


def _results(frame: pd.DataFrame, recipe: BoardRecipe) -> Iterator[Result]:
    rows = _rows(frame, recipe)
    rows = rows.assign(repeat_of=rows["repeat_of"].astype(object).where(rows["repeat_of"].notna(), None))
    return map(Result._make, zip(*(rows[name].tolist() for name in Result._fields), strict=True))


def _task_score(units: list[Result], replicates_of: ReplicatesOf, replicates: int) -> tuple[float, np.ndarray]:
    points, draws = [], []
    for budget in sorted({u.budget for u in units}):
        seeds = sorted((u for u in units if u.budget == budget), key=lambda u: u.seed)
        points.append(normalised(float(np.mean([u.value for u in seeds])), seeds[0].chance))
        by_seed = np.stack([_known(replicates_of(u.key), replicates) for u in seeds])
        nested = nest_seeds(by_seed, _draws(f"{seeds[0].task}\x00{budget}", len(seeds), replicates))
        draws.append(normalised(nested, seeds[0].chance))
    return float(np.mean(points)), np.mean(draws, axis=0)


@cache
def _draws(name: str, seeds: int, replicates: int) -> np.ndarray:
    return seed_draws(name, seeds, replicates)


def _known(draws: np.ndarray | None, replicates: int) -> np.ndarray:
    """Replicates with the few undefined ones set to the mean of the others, so that pairing is kept."""
    if draws is None or np.isnan(draws).all():
        return np.full(replicates, np.nan)
    return np.where(np.isnan(draws), np.nanmean(draws), draws)
