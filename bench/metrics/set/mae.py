"""Mean distance between the true class and the expected class, rounded."""

import numpy as np

from bench.metrics import confusion
from bench.metrics.base import Comparison, Metric


class MeanAbsoluteError(Metric):
    """See the module."""

    name = "mae"
    title = "MAE, classes"
    targets = ("ordinal",)
    values = (0.0, np.inf)
    higher_is_better = False

    def value(self, given: Comparison) -> np.ndarray:
        return confusion.mean_absolute_error(given.labels, given.once(confusion.ordinal_decision), given.weights)


METRIC = MeanAbsoluteError()
