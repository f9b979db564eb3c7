"""Metrics of hard decisions under case weights, from the margins of the confusion matrix.

None of them needs the whole matrix: agreements and the two margins suffice, whatever the number of classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bench.metrics.resample import indicator, mean_defined, ratio, weighted_sums


@dataclass(frozen=True, slots=True)
class Tally:
    """Weighted counts of each replicate and class, float64 (r, k): true cases, predicted cases, agreements."""

    true: np.ndarray
    predicted: np.ndarray
    agreed: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Weight of all cases, (r,)."""
        return self.true.sum(axis=1)


def tally(truth: np.ndarray, predicted: np.ndarray, k: int, weights: np.ndarray) -> Tally:
    """Count class indices truth and predicted, int (n,), under weights (r, n)."""
    parts = [indicator(truth, k), indicator(predicted, k), indicator(truth, k, truth == predicted)]
    return Tally(*np.hsplit(weighted_sums(weights, sparse.hstack(parts)), 3))


def accuracy(counts: Tally) -> np.ndarray:
    """Share of cases decided correctly, (r,)."""
    return ratio(counts.agreed.sum(axis=1), counts.total)


def balanced_accuracy(counts: Tally) -> np.ndarray:
    """Mean recall over the classes present in the truth, (r,)."""
    return mean_defined(ratio(counts.agreed, counts.true))


def macro_f1(counts: Tally) -> np.ndarray:
    """Mean F1 over the classes present in the truth or the decisions, (r,)."""
    return mean_defined(f1(counts))


def f1(counts: Tally) -> np.ndarray:
    """F1 of each class, (r, k); NaN where neither truth nor decisions hold it."""
    return ratio(2 * counts.agreed, counts.true + counts.predicted)


def mcc(counts: Tally) -> np.ndarray:
    """Matthews correlation in [-1, 1] (Gorodkin 2004, R_K), (r,).

    0 where every decision is the same class; NaN where the truth is a single class.
    """
    total = counts.total
    joint = counts.agreed.sum(axis=1) * total - (counts.true * counts.predicted).sum(axis=1)
    spread_true = total**2 - (counts.true**2).sum(axis=1)
    spread_predicted = total**2 - (counts.predicted**2).sum(axis=1)
    value = ratio(joint, np.sqrt(np.maximum(spread_true * spread_predicted, 0)))
    return np.where((spread_true > 0) & (spread_predicted <= 0), 0.0, value)


def quadratic_kappa(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cohen's kappa with quadratic weights in [-1, 1] (Cohen 1968), (r,); NaN where chance disagreement is 0.

    The expected disagreement of independent margins needs only first and second moments of the class index.
    """
    t, p = truth.astype(np.float64), predicted.astype(np.float64)
    columns = np.stack([np.ones_like(t), t, p, t * t, p * p, (t - p) ** 2], axis=1)
    n, sum_t, sum_p, sum_tt, sum_pp, observed = weighted_sums(weights, columns).T
    expected = sum_tt + sum_pp - ratio(2 * sum_t * sum_p, n)
    return 1 - ratio(observed, expected)


def mean_absolute_error(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean distance between true and predicted class index, (r,)."""
    distance = np.abs(truth.astype(np.float64) - predicted)
    sums = weighted_sums(weights, np.stack([distance, np.ones_like(distance)], axis=1))
    return ratio(sums[:, 0], sums[:, 1])


def expected_class(probabilities: np.ndarray) -> np.ndarray:
    """Ordinal decision: the expectation of the class index, rounded, int64 (n,) (halves go to the even class)."""
    p = probabilities.astype(np.float64)
    mean = ratio(p @ np.arange(p.shape[1]), p.sum(axis=1))
    return np.rint(np.nan_to_num(mean)).astype(np.int64)
