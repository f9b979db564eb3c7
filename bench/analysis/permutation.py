"""Permutation tests at the level of encoders: labels are shuffled across encoders, within strata.

n is the number of encoders, never of encoder x task rows: paradigm varies between encoders only.
"""

from __future__ import annotations

import numpy as np


def shuffles(strata: np.ndarray, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers shuffled within strata; int64 (permutations, E), the first row is the identity."""
    n = len(strata)
    order = np.tile(np.arange(n), (permutations, 1))
    for name in np.unique(strata):
        rows = np.flatnonzero(strata == name)
        keys = rng.random((permutations - 1, len(rows)))
        order[1:, rows] = rows[np.argsort(keys, axis=1)]
    return order


def blocked_weights(first: np.ndarray, second: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Weights a, float64 (E,), so that a @ y is the mean of `first` less the mean of `second` within strata.

    Strata are pooled with weights n1 n2 / (n1 + n2), the least-squares estimate with stratum effects. A stratum that
    lacks one of the groups has weight 0; all zeros when no stratum holds both. Invariant under shuffles within strata.

    >>> blocked_weights(np.array([1, 1, 0], bool), np.array([0, 0, 1], bool), np.array(["a"] * 3))
    array([ 0.5,  0.5, -1. ])
    """
    a = np.zeros(len(strata))
    total = 0.0
    for name in np.unique(strata):
        here = strata == name
        n1, n2 = (first & here).sum(), (second & here).sum()
        if n1 and n2:
            weight = n1 * n2 / (n1 + n2)
            a += weight * ((first & here) / n1 - (second & here) / n2)
            total += weight
    return a / total if total else a


def p_contrast(y: np.ndarray, a: np.ndarray, strata: np.ndarray, permutations: int, rng: np.random.Generator) -> float:
    """Two-sided p of |a @ y| when the values y (E,) are shuffled over encoders within strata (identity counted)."""
    null = y[shuffles(strata, permutations, rng)] @ a
    return float((np.abs(null) >= abs(null[0]) - 1e-12).mean())


def within_strata(z: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Rows of z (E, M) less the mean of their stratum."""
    out = np.array(z, float)
    for name in np.unique(strata):
        out[strata == name] -= out[strata == name].mean(axis=0)
    return out


def between(z: np.ndarray, onehot: np.ndarray) -> np.ndarray:
    """Sum of squares between groups: z (..., E, M), onehot (G, E) -> (...,), summed over M."""
    sums = onehot @ z
    return ((sums**2).sum(axis=-1) / onehot.sum(axis=1)).sum(axis=-1)


def p_dispersion(
    z: np.ndarray, onehot: np.ndarray, strata: np.ndarray, permutations: int, rng: np.random.Generator
) -> float:
    """One-sided p of the between-group sum of squares of z (E, M) under shuffles within strata (identity counted)."""
    z = within_strata(z, strata)
    null = between(z[shuffles(strata, permutations, rng)], onehot)
    return float((null >= null[0] * (1 - 1e-12)).mean())
