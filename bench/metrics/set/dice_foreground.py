"""Dice of the images that show the class, mean over images, then over classes; false alarms elsewhere do not count."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.overlap import areas, images_dice, mean_over_images_then_classes


class DiceForeground(Metric):
    """What `dice` was in scoring 1."""

    name = "dice_foreground"
    title = "Dice, images with foreground"
    targets = ("mask",)
    since = 2

    def value(self, given: Comparison) -> np.ndarray:
        shown = given.once(areas).theirs > 0
        return mean_over_images_then_classes(np.where(shown, given.once(images_dice), np.nan), given.weights)


METRIC = DiceForeground()
