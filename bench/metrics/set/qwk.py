"""Cohen's kappa with quadratic weights (Cohen 1968) of the expected class, rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import confusion
from bench.metrics.base import Comparison, Metric

if TYPE_CHECKING:
    from bench.data.task import Task


class Qwk(Metric):
    """See the module."""

    name = "qwk"
    title = "Quadratic weighted kappa"
    targets = ("ordinal",)
    values = (-1.0, 1.0)
    primary_for = ("ordinal",)

    def value(self, given: Comparison) -> np.ndarray:
        return confusion.quadratic_kappa(given.labels, given.once(confusion.ordinal_decision), given.weights)

    def chance(self, classes: int) -> float:
        return 0.0

    def of_candidates(self, task: Task, probability: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """From the same sums over cases, all candidates at once."""
        t, p = labels.astype(np.float64), confusion.expected_class(probability).astype(np.float64)
        n, tt = np.array(float(len(t))), np.array((t * t).sum())
        return confusion.kappa_of_sums(n, np.array(t.sum()), p.sum(1), tt, (p * p).sum(1), ((t - p) ** 2).sum(1))


METRIC = Qwk()
