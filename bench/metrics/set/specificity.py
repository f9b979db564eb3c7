"""Share of the images without a class on which nothing of it is predicted, mean over classes."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.overlap import areas, mean_over_images_then_classes


class Specificity(Metric):
    """See the module; undefined where every image shows every class."""

    name = "specificity"
    title = "Specificity, images"
    targets = ("mask",)

    def value(self, given: Comparison) -> np.ndarray:
        found = given.once(areas)
        values = np.where(found.theirs > 0, np.nan, found.ours == 0)
        return mean_over_images_then_classes(values, given.weights)


METRIC = Specificity()
