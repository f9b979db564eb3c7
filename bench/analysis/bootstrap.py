"""Paired bootstrap nested over encoders, tasks and seeds."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, t


def counts(labels: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each row is drawn, float64 (resamples, n): rows are drawn with replacement within equal labels."""
    labels = np.asarray(labels)
    out = np.zeros((resamples, len(labels)))
    for name in np.unique(labels):
        rows = np.flatnonzero(labels == name)
        drawn = rng.integers(len(rows), size=(resamples, len(rows)))
        np.add.at(out, (np.arange(resamples)[:, None], rows[drawn]), 1.0)
    return out


def cluster_counts(clusters: np.ndarray, labels: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """As `counts`, but whole clusters are drawn; a cluster's label is that of its first row."""
    _, first, member = np.unique(clusters, return_index=True, return_inverse=True)
    return counts(np.asarray(labels)[first], resamples, rng)[:, member.reshape(-1)]


def encoder_means(
    values: np.ndarray, weight: np.ndarray, column_counts: np.ndarray, seed_counts: np.ndarray
) -> np.ndarray:
    """Weighted mean of each encoder under each resample, (B, E).

    values (E, C, S) with NaN where missing; weight (C,); column_counts (B, C); seed_counts (B, S). The same draws for
    every encoder: resamples are paired. NaN where a resample leaves an encoder nothing.
    """
    there = np.isfinite(values)
    filled = np.where(there, values, 0.0)
    w = column_counts * weight
    total = np.einsum("bc,ecs,bs->be", w, filled, seed_counts, optimize=True)
    mass = np.einsum("bc,ecs,bs->be", w, there.astype(float), seed_counts, optimize=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mass > 0, total / mass, np.nan)


def expanded(estimate: float, draws: np.ndarray, groups: list[int]) -> tuple[float, float] | tuple[None, None]:
    """95 % percentile interval, widened for few units (expanded percentile; Hesterberg 2015, Am. Stat. 69:371).

    groups: number of units in each resampled group. The half-widths are multiplied by t / z with
    sum(groups) - len(groups) degrees of freedom, and by sqrt(n / (n - 1)) of the smallest group.
    (None, None) when a group has a single unit.
    """
    draws = draws[np.isfinite(draws)]
    free = sum(groups) - len(groups)
    if free < 1 or min(groups) < 2 or len(draws) < 100:
        return None, None
    factor = t.ppf(0.975, free) / norm.ppf(0.975) * np.sqrt(min(groups) / (min(groups) - 1))
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(estimate + factor * (low - estimate)), float(estimate + factor * (high - estimate))


def p_from(draws: np.ndarray) -> float:
    """Two-sided p of zero from bootstrap draws: twice the smaller tail, with one draw added to each."""
    draws = draws[np.isfinite(draws)]
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(draws) + 1)))
