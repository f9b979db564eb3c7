"""Expected calibration error of the probabilities as the protocol gives them."""

from __future__ import annotations

import numpy as np

from bench.metrics import calibration
from bench.metrics.base import Comparison, Metric


class EceUnscaled(Metric):
    """See the module."""

    name = "ece_unscaled"
    title = "ECE, unscaled"
    targets = ("binary", "multi-class", "ordinal")
    higher_is_better = False

    def value(self, given: Comparison) -> np.ndarray:
        if len(given.labels) < calibration.MIN_CASES:
            return given.undefined
        return calibration.calibration_error(given.labels, given.output, given.weights)


METRIC = EceUnscaled()
