"""AUROC and average precision under case weights: one sort a class, then sums of weights between the positives."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from bench.metrics.resample import ratio

_BLOCK = 2048


def auroc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, ties counted half, in [0, 1]; NaN where a replicate lacks a class.

    positive: bool (n,). scores: (n,), higher means positive. weights: (r, n) counts. Returns float64 (r,).

    >>> auroc(np.array([False, True, True]), np.array([0.2, 0.2, 0.9]), np.ones((1, 3)))
    array([0.75])
    """
    return ranking(positive, scores, weights)[0]


def average_precision(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision (step-wise area under precision-recall, not interpolated); arguments as `auroc`."""
    return ranking(positive, scores, weights)[1]


def ranking(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision of each replicate, sharing one sort: two float64 (r,)."""
    blocks = [_ranking(positive, scores, weights[b : b + _BLOCK].T) for b in range(0, len(weights), _BLOCK)]
    return np.concatenate([a for a, _ in blocks]), np.concatenate([p for _, p in blocks])


def _ranking(positive: np.ndarray, scores: np.ndarray, cases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Only thresholds at the g distinct scores of positives matter. Each negative falls below, or on, one of them;
    # its row of weights is added there by a sparse product. Sums of counts are exact in float32 below 2**24.
    cases = np.ascontiguousarray(cases, dtype=np.float32 if cases.dtype == np.uint8 else np.float64)
    thresholds, group = np.unique(scores[positive], return_inverse=True)
    g = len(thresholds)
    negative = np.flatnonzero(~positive)
    place = np.searchsorted(thresholds, scores[negative])
    tied = (place < g) & (thresholds[np.minimum(place, g - 1)] == scores[negative]) if g else np.zeros(len(place), bool)
    at = _sum_rows(group, np.flatnonzero(positive), g, cases)
    below = _sum_rows(place[~tied], negative[~tied], g + 1, cases)
    on = _sum_rows(place[tied], negative[tied], g, cases) if tied.any() else np.zeros((g, 1), cases.dtype)
    return _areas(at, below, on)


def _areas(at: np.ndarray, below: np.ndarray, on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positives = at.sum(axis=0, dtype=np.float64)
    negatives = below.sum(axis=0, dtype=np.float64) + on.sum(axis=0, dtype=np.float64)
    beaten, precision_sum = np.zeros_like(positives), np.zeros_like(positives)
    under, seen = np.zeros_like(positives), np.zeros_like(positives)
    for here, lower, equal in zip(at, below, on, strict=False):
        under += lower
        beaten += here * (under + 0.5 * equal)
        true_above = positives - seen
        called = true_above + negatives - under
        precision_sum += here * true_above / np.where(called > 0, called, 1)
        under += equal
        seen += here
    return ratio(beaten, positives * negatives), ratio(precision_sum, positives)


def _sum_rows(target: np.ndarray, rows: np.ndarray, size: int, cases: np.ndarray) -> np.ndarray:
    """Row t of the result is the sum of cases[rows[i]] over i with target[i] == t: (size, r)."""
    shape = (size, len(cases))
    return sparse.csr_matrix((np.ones(len(rows), cases.dtype), (target, rows)), shape=shape) @ cases
