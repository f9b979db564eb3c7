"""Mean recall over the classes of the truth; several labels: decided at 0.5, mean over the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import confusion
from bench.metrics.base import Comparison, Metric
from bench.metrics.ranking import macro_labels

if TYPE_CHECKING:
    from bench.data.task import Task


class BalancedAccuracy(Metric):
    """See the module."""

    name = "balanced_accuracy"
    title = "Balanced accuracy"
    targets = ("binary", "multi-class", "multi-label", "ordinal")
    primary_for = ("binary", "multi-class", "multi-label")

    def value(self, given: Comparison) -> np.ndarray:
        return confusion.over_labels(given, confusion.balanced_accuracy)

    def chance(self, classes: int) -> float:
        return 1 / classes

    def of_candidates(self, task: Task, probability: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """By counting, all candidates at once."""
        if task.target != "multi-label":
            return _mean_recall(probability.argmax(-1), labels)
        decided = probability >= 0.5
        return np.mean([_mean_recall(decided[..., c], labels[:, c] == 1) for c in macro_labels(labels)], axis=0)


def _mean_recall(decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(m,): mean recall over the classes of the truth (n,), of m decisions (m, n)."""
    return np.mean([(decided[:, truth == c] == c).mean(1) for c in np.unique(truth)], axis=0)


METRIC = BalancedAccuracy()
