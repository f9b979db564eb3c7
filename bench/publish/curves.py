"""Score against the share of labels: at each share the board's own statistic, with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from bench.leaderboard.evidence import Evidence, ReplicatesOf, gather
from bench.leaderboard.recipes import FROZEN, Recipe
from bench.leaderboard.weights import Tasks, task_weights
from bench.metrics.resample import REPLICATES, percentile_interval
from bench.publish.model import Curve, Estimate

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
    the mean over tasks, from paired replicates. An encoder has a point only where it has every task.
    """
    shares = sorted({float(f) for f in frame["fraction"].dropna().unique()})
    curves: dict[tuple[str, ...], dict[str, list]] = {kinds: {} for kinds in KINDS}
    for share in shares:
        recipe = Recipe("Labels", FROZEN, (f"{100 * share:g}%",), "")
        evidence = gather(frame, recipe, replicates_of, unfinished, replicates)
        for kinds in KINDS if evidence else ():
            for encoder, estimate in _scores(evidence, kinds):
                curves[kinds].setdefault(encoder, []).append((share, estimate))
    return {kinds: {e: tuple(points) for e, points in found.items()} for kinds, found in curves.items()}


def _scores(evidence: Evidence, kinds: tuple[str, ...]) -> list[tuple[str, Estimate]]:
    tasks = evidence.tasks
    mine = np.isin(tasks.kinds, kinds)
    if not mine.any():
        return []
    part = Tasks(tasks.names[mine], tasks.kinds[mine], tasks.modalities[mine], tasks.origins[mine])
    weights = task_weights(part, np.ones(mine.sum(), bool))[0]
    found = []
    for encoder, points, draws in zip(evidence.encoders, evidence.points, evidence.replicates, strict=True):
        if not np.isnan(points[mine]).any():
            low, high = percentile_interval(weights @ draws[mine].astype(np.float64))
            estimate = Estimate(float(weights @ points[mine]), *(np.nan if e is None else e for e in (low, high)))
            found.append((encoder, estimate))
    return found
