"""Expected calibration error after scaling by a temperature fitted on held-out images (Guo et al. 2017)."""

import numpy as np

from bench.metrics import calibration
from bench.metrics.base import Comparison, Metric


class Ece(Metric):
    """Undefined where the protocol had no held-out images to fit a temperature on.

    Not of the set from scoring 3 on: on real images the temperature raises the error about as often as it lowers it,
    and doubles that of kNN (docs/choices.md).
    """

    name = "ece"
    title = "ECE"
    targets = ("binary", "multi-class", "ordinal")
    higher_is_better = False
    draws_are_cases = False
    until = 2
    changes = {2: calibration.CORRECTED}

    def value(self, given: Comparison) -> np.ndarray:
        if given.temperature is None:
            return given.undefined
        return calibration.reported_error(given, calibration.apply_temperature(given.output, given.temperature))


METRIC = Ece()
