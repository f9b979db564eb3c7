"""95th percentile Hausdorff distance in pixels of the mask, of volumes in mm, mean over images, then over classes.

Where one of the two masks is empty it is the image diagonal, the largest distance there is, as in BraTS.
"""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.overlap import FALSE_ALARMS, over_images
from bench.metrics.surface import surfaces


class Hd95(Metric):
    """See the module; images without a class as for `dice`."""

    name = "hd95"
    title = "HD95, pixels (volumes: mm)"
    targets = ("mask",)
    values = (0.0, np.inf)
    higher_is_better = False
    changes = {2: FALSE_ALARMS}

    def value(self, given: Comparison) -> np.ndarray:
        return over_images(given, given.once(surfaces).distance)


METRIC = Hd95()
