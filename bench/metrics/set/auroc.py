"""Area under the ROC curve, ties counted half: one versus rest, mean over classes or labels; binary: of class 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.ranking import curves, one_versus_rest
from bench.metrics.resample import mean_defined

if TYPE_CHECKING:
    from bench.data.task import Task


class Auroc(Metric):
    """Several labels: the mean over those of `bench.metrics.ranking.macro_labels`; in brackets that of each."""

    name = "auroc"
    title = "AUROC"
    targets = ("binary", "multi-class", "multi-label", "ordinal")
    primary_for = ("binary", "multi-class", "multi-label")

    def value(self, given: Comparison) -> np.ndarray:
        return mean_defined(given.once(curves).areas)

    def parts(self, given: Comparison) -> dict[str, np.ndarray]:
        if not given.several:
            return {}
        found = given.once(curves)
        return {given.task.classes[c]: found.areas[:, i] for i, c in enumerate(found.columns)}

    def chance(self, classes: int) -> float:
        return 0.5

    def of_candidates(self, task: Task, probability: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """By rank sums. Every column that shows both kinds counts, however rare: folds are small."""
        positive, columns = one_versus_rest(labels, probability.shape[-1])
        return macro_auroc(probability[..., columns], positive)


def macro_auroc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """float64 (m,): mean over columns of the rank-sum AUROC of scores (m, n, k); one-sided columns are left out.

    >>> macro_auroc(np.array([[[0.1], [0.4], [0.35], [0.8]]]), np.array([[0], [0], [1], [1]], bool))
    array([0.75])
    """
    from scipy.stats import rankdata  # lists of tasks need no ranks

    positives, n = positive.sum(0), len(positive)
    columns = np.flatnonzero((positives > 0) & (positives < n))
    if not len(columns):
        return np.full(len(scores), np.nan)
    ranks = rankdata(scores[..., columns], axis=1)
    up = positives[columns]
    total = (ranks * positive[None, :, columns]).sum(1)
    return ((total - up * (up + 1) / 2) / (up * (n - up))).mean(1)


METRIC = Auroc()
