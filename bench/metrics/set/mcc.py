"""Matthews correlation (Gorodkin 2004, R_K); several labels: decided at 0.5, mean over the labels."""

import numpy as np

from bench.metrics import confusion
from bench.metrics.base import Comparison, Metric


class Mcc(Metric):
    """See the module."""

    name = "mcc"
    title = "MCC"
    targets = ("binary", "multi-class", "multi-label", "ordinal")
    values = (-1.0, 1.0)

    def value(self, given: Comparison) -> np.ndarray:
        return confusion.over_labels(given, confusion.mcc)


METRIC = Mcc()
