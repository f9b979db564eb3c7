"""AUROC and average precision under case weights: one sort a class, then sums of weights between the positives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bench.metrics.base import Comparison
from bench.metrics.resample import blocks, ratio

MIN_POSITIVES = 10
"""A label of a multi-label task enters the macro means when the test split has this many positives."""


@dataclass(frozen=True, slots=True)
class Curves:
    """AUROC and average precision of each one-versus-rest problem, float64 (r, m), and its column of the output."""

    areas: np.ndarray
    precisions: np.ndarray
    columns: np.ndarray


def curves(given: Comparison) -> Curves:
    """Both areas of each problem from one sort; the average precision only where `auprc` is computed too."""
    positive, columns = one_versus_rest(given.labels, given.output.shape[1])
    if given.several:
        columns = macro_labels(given.labels)
        positive = positive[:, columns]
    areas, precisions = _ranking(
        positive, given.output[:, columns], given.weights, with_precision="auprc" in given.names
    )
    return Curves(areas, precisions, columns)


def one_versus_rest(labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Positives of each one-versus-rest problem, bool (n, m), and its column; a binary task has only that of class 1.

    labels: class index (n,), or 0 and 1 (n, k) of several labels, which are a problem each.
    """
    columns = np.arange(k)
    if labels.ndim == 2:
        return labels == 1, columns
    columns = columns[1:] if k == 2 else columns
    return labels[:, None] == columns, columns


def macro_labels(labels: np.ndarray) -> np.ndarray:
    """Columns of a multi-label truth that enter the macro means: at least 10 positives, and a negative.

    Where no label has as many, every label that has both kinds counts; the choice never depends on an encoder.
    """
    positives = labels.astype(np.int64).sum(axis=0)
    mixed = (positives > 0) & (positives < len(labels))
    common = mixed & (positives >= MIN_POSITIVES)
    chosen = common if common.any() else mixed
    return np.flatnonzero(chosen if chosen.any() else np.ones_like(mixed))


def auroc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column, ties counted half, in [0, 1]; NaN where a replicate lacks a class.

    positive: bool (n, m). scores: (n, m), higher means positive. weights: (r, n) counts. Returns float64 (r, m).
    Equal to the pairwise definition to rounding, without a loop over replicates.

    >>> auroc(np.array([[False], [True], [True]]), np.array([[0.2], [0.2], [0.9]]), np.ones((1, 3)))
    array([[0.75]])
    """
    return _ranking(positive, scores, weights, with_precision=False)[0]


def ranking(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision (step-wise, not interpolated), sharing one sort; arguments as `auroc`."""
    return _ranking(positive, scores, weights, with_precision=True)


def _ranking(
    positive: np.ndarray, scores: np.ndarray, weights: np.ndarray, *, with_precision: bool
) -> tuple[np.ndarray, np.ndarray]:
    areas, precisions = (np.full((len(weights), scores.shape[1]), np.nan) for _ in range(2))
    plans = [_Plan(positive[:, c], scores[:, c]) for c in range(scores.shape[1])]
    for block in blocks(*weights.shape, itemsize=4):
        # Sums of counts are exact in float32 below 2**24; other weights need float64.
        exact = np.float32 if weights.dtype == np.uint8 else np.float64
        cases = np.ascontiguousarray(weights[block].T, dtype=exact)
        for c, plan in enumerate(plans):
            areas[block, c], precisions[block, c] = plan.areas(cases, with_precision)
    return areas, precisions


class _Plan:
    """Where the weight of each case goes: only thresholds at the g distinct scores of positives matter.

    Each negative lies strictly under threshold 0..g (g: over them all) or is tied with one of them; one sparse
    product adds up the rows of all three kinds.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray) -> None:
        thresholds, group = np.unique(scores[positive], return_inverse=True)
        g = self.size = len(thresholds)
        negative = scores[~positive]
        place = np.searchsorted(thresholds, negative)
        tied = np.isin(negative, thresholds)
        target = np.empty(len(scores), np.int64)
        target[positive] = group
        target[~positive] = np.where(tied, g + place, 2 * g + place)
        columns = np.arange(len(scores))
        self.sums = sparse.csr_matrix(
            (np.ones(len(scores), np.float32), (target, columns)), shape=(3 * g + 1, len(scores))
        )

    def areas(self, cases: np.ndarray, with_precision: bool) -> tuple[np.ndarray, np.ndarray]:
        """AUROC and average precision (0 unless asked for) of each column of `cases` (n, r)."""
        g = self.size
        summed = self.sums.astype(cases.dtype) @ cases
        at, on, below = summed[:g], summed[g : 2 * g], summed[2 * g :]
        positives = at.sum(axis=0, dtype=np.float64)
        negatives = below.sum(axis=0, dtype=np.float64) + on.sum(axis=0, dtype=np.float64)
        beaten, precision = np.zeros_like(positives), np.zeros_like(positives)
        under, seen = np.zeros_like(positives), np.zeros_like(positives)
        for here, equal, lower in zip(at, on, below[:g], strict=True):
            under += lower
            beaten += here * (under + 0.5 * equal)
            if with_precision:
                true_above = positives - seen
                called = true_above + negatives - under
                precision += here * true_above / np.where(called > 0, called, 1)
                seen += here
            under += equal
        return ratio(beaten, positives * negatives), ratio(precision, positives)
