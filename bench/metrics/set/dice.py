"""Dice of each image, mean over images, then over foreground classes.

An image without a class counts where the class is predicted all the same: that false alarm has Dice 0. Where neither
mask has the class Dice is 0/0 and the image does not enter the mean, as true negative pixels do not enter Dice. This is
the rule of nnU-Net (Isensee et al. 2021). The other rule in use counts such an image as 1 (BraTS; Maier-Hein et al.
2024); then an answer of background everywhere scores the share of images without the finding instead of 0, and a rare
class is judged by its absence. How often images without a class are left empty is reported apart, as `specificity`;
the images that show it alone, as `dice_foreground`.
"""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.lesions import size_bin, sizes
from bench.metrics.overlap import FALSE_ALARMS, areas, images_dice, over_images


class Dice(Metric):
    """In brackets: images by the area of the class (volumes by its diameter), and by stratum."""

    name = "dice"
    title = "Dice"
    targets = ("mask",)
    primary_for = ("mask",)
    changes = {2: FALSE_ALARMS}

    def value(self, given: Comparison) -> np.ndarray:
        return over_images(given, given.once(images_dice))

    def parts(self, given: Comparison) -> dict[str, np.ndarray]:
        dice, found = given.once(images_dice), given.once(areas)
        of = None if given.cubic_mm is None else given.cubic_mm[:, None]
        bins = np.where(found.theirs > 0, size_bin(found.theirs / given.labels[0].size, of), -1)
        by_size = {name: np.where(bins == i, dice, np.nan) for i, name in enumerate(sizes(given))}
        strata = {name: np.where(keep[:, None], dice, np.nan) for name, keep in given.strata.items()}
        return {name: over_images(given, values) for name, values in (by_size | strata).items()}

    def chance(self, classes: int) -> float:
        return 0.0


METRIC = Dice()
