"""Average precision (step-wise, not interpolated): one versus rest, mean over classes or labels."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.ranking import curves
from bench.metrics.resample import mean_defined


class Auprc(Metric):
    """Binary: of class 1. Several labels: the mean over those of `bench.metrics.ranking.macro_labels`."""

    name = "auprc"
    title = "AUPRC"
    targets = ("binary", "multi-class", "multi-label", "ordinal")

    def value(self, given: Comparison) -> np.ndarray:
        return mean_defined(given.once(curves).precisions)


METRIC = Auprc()
