"""Mean distance between the predicted and the true number, in the unit of the number."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.numbers import pair
from bench.metrics.products import weighted_sums
from bench.metrics.resample import ratio


class MeanError(Metric):
    """See the module."""

    name = "error"
    title = "Mean absolute error"
    targets = ("number",)
    values = (0.0, np.inf)
    higher_is_better = False

    def value(self, given: Comparison) -> np.ndarray:
        y, p = given.once(pair)
        error, n = weighted_sums(given.weights, np.stack([abs(y - p), np.ones_like(y)], axis=1)).T
        return ratio(error, n)


METRIC = MeanError()
