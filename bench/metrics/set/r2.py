"""Share of the variance of a number that is explained, the coefficient of determination; 0 for its mean alone."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.numbers import explained


class R2(Metric):
    """See the module."""

    name = "r2"
    title = "R²"
    targets = ("number",)
    values = (-np.inf, 1.0)
    primary_for = ("number",)

    def value(self, given: Comparison) -> np.ndarray:
        return explained(given)

    def chance(self, classes: int) -> float:
        return 0.0


METRIC = R2()
