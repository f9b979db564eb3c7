"""Intersection over union of each image, mean over images, then over foreground classes."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.overlap import FALSE_ALARMS, areas, over_images
from bench.metrics.resample import ratio


class Iou(Metric):
    """See the module; images without a class as for `dice`."""

    name = "iou"
    title = "IoU"
    targets = ("mask",)
    changes = {2: FALSE_ALARMS}

    def value(self, given: Comparison) -> np.ndarray:
        found = given.once(areas)
        return over_images(given, ratio(found.shared, found.ours + found.theirs - found.shared))


METRIC = Iou()
