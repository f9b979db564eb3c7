"""Spearman's rank correlation of the predicted and the true number, ties at their mean rank."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.numbers import rank_correlation


class Spearman(Metric):
    """See the module."""

    name = "spearman"
    title = "Spearman correlation"
    targets = ("number",)
    values = (-1.0, 1.0)

    def value(self, given: Comparison) -> np.ndarray:
        return rank_correlation(given)


METRIC = Spearman()
