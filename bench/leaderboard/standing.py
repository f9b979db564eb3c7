"""Ranks, rank intervals and tiers, and how they bend when tasks or weights change."""

from __future__ import annotations

import numpy as np

from bench.metrics.resample import seeded
from bench.metrics.uncertainty import paired_difference

WEIGHTINGS = 1000


def ranks_of(scores: np.ndarray) -> np.ndarray:
    """Competition rank down the first axis, 1 is best, equals share the better rank: int64, same shape.

    >>> ranks_of(np.array([0.2, 0.9, 0.9, 0.1])).tolist()
    [3, 1, 1, 4]
    """
    ordered = np.sort(-scores, axis=0)
    if scores.ndim == 1:
        return np.searchsorted(ordered, -scores) + 1
    return np.stack([np.searchsorted(o, -s) + 1 for o, s in zip(ordered.T, scores.T, strict=True)], axis=1)


def rank_range(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2.5th and 97.5th percentile of each encoder's rank over the columns: (e, r) -> two int64 (e,)."""
    ranks = ranks_of(scores)
    low = np.quantile(ranks, 0.025, axis=1, method="lower")
    return low.astype(int), np.quantile(ranks, 0.975, axis=1, method="higher").astype(int)


def tiers(points: np.ndarray, replicates: np.ndarray) -> np.ndarray:
    """Tier of each encoder, 1 is best, int64 (e,); points (e,), replicates (e, b) on shared resamples.

    Going down from the best, an encoder opens a new tier when the paired 95 % interval of its difference to the
    best of the current tier excludes 0; else it joins. So everyone in a tier is tied with its first.
    """
    found = np.empty(len(points), dtype=np.int64)
    tier, head = 0, None
    for i in np.argsort(-points, kind="stable"):
        if head is None or paired_difference(points[head], points[i], replicates[head], replicates[i]).clear:
            tier, head = tier + 1, i
        found[i] = tier
    return found


def win_rate(points: np.ndarray) -> np.ndarray:
    """Share of other encoders beaten, mean over tasks, a tie counts half: (e, t) -> (e,); NaN for one encoder."""
    e = len(points)
    if e < 2:
        return np.full(e, np.nan)
    beaten = (points[:, None] > points[None]) + 0.5 * (points[:, None] == points[None])
    return (beaten.sum(axis=1) - 0.5).mean(axis=1) / (e - 1)


def random_weightings(cells: int) -> np.ndarray:
    """1,000 weightings of the cells, uniform on the simplex (Dirichlet of ones), always the same: (1000, cells)."""
    return seeded(f"weightings\x00{cells}").dirichlet(np.ones(cells), size=WEIGHTINGS)
