"""Paired bootstrap nested over encoders, tasks and seeds."""

from __future__ import annotations

import numpy as np


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
