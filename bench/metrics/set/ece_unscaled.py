"""Expected calibration error of the probabilities as the protocol gives them."""

import numpy as np

from bench.metrics import calibration
from bench.metrics.base import Comparison, Metric


class EceUnscaled(Metric):
    """See the module."""

    name = "ece_unscaled"
    title = "ECE, unscaled"
    targets = ("binary", "multi-class", "ordinal")
    higher_is_better = False
    draws_are_cases = False
    changes = {2: calibration.CORRECTED}

    def value(self, given: Comparison) -> np.ndarray:
        return calibration.reported_error(given, given.output)


METRIC = EceUnscaled()
