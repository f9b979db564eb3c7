"""Centreline Dice (Shit et al. 2021) of the classes whose name says "vessel", mean over images, then over classes."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.centreline import centrelines, tubular
from bench.metrics.overlap import FALSE_ALARMS, over_images


class CentrelineDice(Metric):
    """See the module; images without a class as for `dice`."""

    name = "cldice"
    title = "clDice"
    targets = ("mask",)
    changes = {2: FALSE_ALARMS}

    def value(self, given: Comparison) -> np.ndarray:
        if not (classes := tubular(given.task)):
            return given.undefined
        return over_images(given, given.once(centrelines), columns=np.array(classes) - 1)


METRIC = CentrelineDice()
