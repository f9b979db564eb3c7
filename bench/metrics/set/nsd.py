"""Normalised surface Dice (Nikolov et al. 2021), mean over images, then over classes.

A border matches within 2 pixels of the mask, of volumes within 2 mm.
"""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.overlap import FALSE_ALARMS, over_images
from bench.metrics.surface import surfaces


class Nsd(Metric):
    """See the module; images without a class as for `dice`."""

    name = "nsd"
    title = "NSD"
    targets = ("mask",)
    changes = {2: FALSE_ALARMS}

    def value(self, given: Comparison) -> np.ndarray:
        return over_images(given, given.once(surfaces).dice)


METRIC = Nsd()
