"""F1, mean over the classes of truth or decisions; several labels: decided at 0.5, mean over labels."""

import numpy as np

from bench.metrics import confusion
from bench.metrics.base import Comparison, Metric


class F1(Metric):
    """See the module."""

    name = "f1"
    title = "F1"
    targets = ("binary", "multi-class", "multi-label", "ordinal")

    def value(self, given: Comparison) -> np.ndarray:
        return confusion.over_labels(given, confusion.f1_of_positives if given.several else confusion.macro_f1)


METRIC = F1()
