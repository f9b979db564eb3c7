"""Share of cases decided correctly."""

import numpy as np

from bench.metrics import confusion
from bench.metrics.base import Comparison, Metric


class Accuracy(Metric):
    """See the module."""

    name = "accuracy"
    title = "Accuracy"
    targets = ("binary", "multi-class", "ordinal")

    def value(self, given: Comparison) -> np.ndarray:
        return confusion.over_labels(given, confusion.accuracy)


METRIC = Accuracy()
