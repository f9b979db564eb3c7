"""Score against the share of labels: at each share the board's own statistic, with its bootstrap interval."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from bench.budget import Budget
from bench.leaderboard.evidence import Evidence, ReplicatesOf, gather
from bench.leaderboard.weights import Tasks, task_weights
from bench.metrics.resample import REPLICATES, percentile_interval
from bench.publish.model import Curve, Estimate
from bench.recipes import FROZEN, BoardRecipe

Curves = Mapping[tuple[str, ...], Mapping[str, Curve]]
"""Kinds of task ("dense", "global") -> encoder -> curve."""
KINDS = (("dense", "global"), ("global",), ("dense",))


def label_curves(
    frame: pd.DataFrame,
    replicates_of: ReplicatesOf,
    unfinished: Collection[tuple[str, str, str, str]] = (),
    replicates: int = REPLICATES,
) -> Curves:
    """The label curves of the frozen boards (see `bench.leaderboard.evidence.gather` for the arguments).

    A point is the score the board would show if all its results had that share of labels; its interval is that of
    the mean over tasks, from paired replicates. A share that some tasks lack has no point, and an encoder has one only
    where it has every task: all points of a curve are over the same tasks.
    """
    budgets = [b for b in map(Budget, frame["budget"].unique()) if b.kind == "%"]
    recipes = {b.share: BoardRecipe("Labels", FROZEN, (b,), "") for b in sorted(budgets, key=lambda b: b.share)}
    found = {share: gather(frame, r, replicates_of, unfinished, replicates) for share, r in recipes.items()}
    curves: dict[tuple[str, ...], dict[str, list]] = {kinds: {} for kinds in KINDS}
    for kinds in KINDS:
        every = set().union(*(_tasks(evidence, kinds) for evidence in found.values()))
        for share, evidence in found.items():
            if evidence is not None and every and _tasks(evidence, kinds) == every:
                for encoder, estimate in _scores(evidence, kinds):
                    curves[kinds].setdefault(encoder, []).append((share, estimate))
    return {kinds: {e: tuple(points) for e, points in mine.items()} for kinds, mine in curves.items()}


def _tasks(evidence: Evidence | None, kinds: tuple[str, ...]) -> set[str]:
    return set() if evidence is None else set(evidence.tasks.names[np.isin(evidence.tasks.kinds, kinds)].tolist())


def _scores(evidence: Evidence, kinds: tuple[str, ...]) -> list[tuple[str, Estimate]]:
    tasks = evidence.tasks
    mine = np.isin(tasks.kinds, kinds)
    part = Tasks(tasks.names[mine], tasks.kinds[mine], tasks.modalities[mine], tasks.origins[mine])
    weights = task_weights(part, np.ones(mine.sum(), bool))[0]
    found = []
    for encoder, points, draws in zip(evidence.encoders, evidence.points, evidence.replicates, strict=True):
        if not np.isnan(points[mine]).any():
            low, high = percentile_interval(weights @ draws[mine].astype(np.float64))
            estimate = Estimate(float(weights @ points[mine]), *(np.nan if e is None else e for e in (low, high)))
            found.append((encoder, estimate))
    return found
