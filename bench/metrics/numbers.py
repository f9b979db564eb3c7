"""Sums over cases of a predicted number and the true one, under case weights."""

import numpy as np

from bench.metrics.base import Comparison
from bench.metrics.products import weighted_sums
from bench.metrics.resample import blocks, ratio


def pair(given: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """The true and the predicted numbers, float64 (n,) each, less the mean of the true ones."""
    level = given.labels.mean()
    return given.labels - level, given.output[:, 0].astype(np.float64) - level


def explained(given: Comparison) -> np.ndarray:
    """R^2 in each replicate, 1 less the squared error over that of the mean of the replicate; NaN for equal truths."""
    y, p = given.once(pair)
    n, sum_y, sum_yy, error = weighted_sums(given.weights, np.stack([np.ones_like(y), y, y * y, (y - p) ** 2], 1)).T
    spread = sum_yy - sum_y**2 / n
    return 1 - ratio(error, np.where(spread > 1e-12 * sum_yy, spread, 0.0))


def rank_correlation(given: Comparison) -> np.ndarray:
    """Spearman's rho in each replicate: Pearson of mid-ranks, in which a case drawn twice stands twice."""
    y, p = given.once(pair)
    weights = np.asarray(given.weights.cpu() if hasattr(given.weights, "cpu") else given.weights)
    return np.concatenate([_rho(weights[b].astype(np.float64), y, p) for b in blocks(len(weights), 4 * len(y))])


def _rho(weights: np.ndarray, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    a, b, n = _ranks(weights, y), _ranks(weights, p), weights.sum(1)
    middle = ((n + 1) / 2)[:, None]
    a, b = a - middle, b - middle
    cross, aa, bb = ((weights * product).sum(1) for product in (a * b, a * a, b * b))
    return ratio(cross, np.sqrt(aa * bb))


def _ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mid-rank of each case among those drawn, (r, n)."""
    _, place = np.unique(values, return_inverse=True)
    counts = np.zeros((len(weights), place.max() + 1))
    np.add.at(counts.T, place, weights.T)
    return (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, place]
