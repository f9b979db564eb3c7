"""Per-image overlap of predicted and true masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.metrics.base import Comparison
from bench.metrics.products import Weights, weighted_sums
from bench.metrics.resample import mean_defined, ratio

FALSE_ALARMS = "images without the class count where it is predicted"
"""What scoring 2 changed in the metrics of images."""


@dataclass(frozen=True, slots=True)
class Areas:
    """Pixels of each foreground class of each image, float64 (n, k - 1): shared, predicted, true."""

    shared: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray

    @classmethod
    def stacked(cls, counts: np.ndarray) -> Areas:
        """From one array (n, k - 1, 3)."""
        return cls(*np.moveaxis(counts.astype(np.float64), 2, 0))


def areas(given: Comparison) -> Areas:
    """The areas of a comparison of masks."""
    return Areas(*class_areas(given.output, given.labels, len(given.task.classes)))


def images_dice(given: Comparison) -> np.ndarray:
    """Dice of each image and foreground class, float64 (n, k - 1): 0 for a false alarm, NaN where no mask has it."""
    found = given.once(areas)
    return ratio(2 * found.shared, found.ours + found.theirs)


def image_quality(found: Areas) -> np.ndarray:
    """How well each image is segmented, float64 (n,) in [0, 1]: the mean Dice of the classes it shows.

    Where it shows none: 1, or 0 for a false alarm.
    """
    shown = found.theirs > 0
    dice = np.where(shown, ratio(2 * found.shared, found.ours + found.theirs), 0.0)
    clean = (found.ours == 0).all(axis=1)
    return np.where(shown.any(axis=1), dice.sum(axis=1) / np.maximum(shown.sum(axis=1), 1), clean)


def over_images(given: Comparison, values: np.ndarray, columns: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Mean over images, then over the classes that some image shows, of values (n, m): float64 (r,).

    values: NaN where neither mask has the class. columns: which of the foreground classes they are of. Scoring 1 left
    out every image that does not show the class, so that a false alarm on it cost nothing.
    """
    shown = given.once(areas).theirs[:, columns] > 0
    values = np.where(shown, values, np.nan) if given.scoring == 1 else values
    return mean_over_images_then_classes(values, given.weights, shown)


def class_areas(predicted: np.ndarray, truth: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of each foreground class of each image: shared, predicted, true; three float64 (n, k - 1).

    predicted, truth: uint8 (n, h, w), class index below k.
    """
    shared, ours, theirs = (np.zeros((len(truth), k - 1)) for _ in range(3))
    for i, (mine, true) in enumerate(zip(predicted, truth, strict=True)):  # of one image at a time counting is fast
        for c in range(1, k):
            p, t = mine == c, true == c
            counts = (np.count_nonzero(x) for x in (p & t, p, t))
            shared[i, c - 1], ours[i, c - 1], theirs[i, c - 1] = counts
    return shared, ours, theirs


def dice_per_image(predicted: np.ndarray, truth: np.ndarray, k: int) -> np.ndarray:
    """Dice of each image and foreground class, float64 (n, k - 1) in [0, 1]; NaN where the truth lacks the class.

    >>> dice_per_image(np.eye(2, dtype=np.uint8)[None], np.ones((1, 2, 2), np.uint8), 2).round(3)
    array([[0.667]])
    """
    shared, ours, theirs = class_areas(predicted, truth, k)
    return np.where(theirs > 0, ratio(2 * shared, ours + theirs), np.nan)


def mean_over_images_then_classes(values: np.ndarray, weights: Weights, shown: np.ndarray | None = None) -> np.ndarray:
    """Weighted mean over the images where a class is defined, then over classes: (n, k), (r, n) -> (r,).

    shown: bool (n, k), a class counts in the replicates that hold an image it is shown in; None: in all.
    """
    defined = ~np.isnan(values)
    sums = weighted_sums(weights, np.hstack([np.where(defined, values, 0.0), defined]))
    k = values.shape[1]
    means = ratio(sums[:, :k], sums[:, k:])
    if shown is not None and (defined & ~shown).any():
        means[weighted_sums(weights, shown) == 0] = np.nan
    return mean_defined(means)
