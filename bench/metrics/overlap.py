"""Per-image overlap of predicted and true masks."""

from __future__ import annotations

import numpy as np

from bench.metrics.resample import mean_defined, ratio, weighted_sums


def class_areas(predicted: np.ndarray, truth: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of each foreground class of each image: shared, predicted, true; three float64 (n, k - 1).

    predicted, truth: uint8 (n, h, w), class index below k.
    """
    shared, ours, theirs = (np.zeros((len(truth), k - 1)) for _ in range(3))
    for c in range(1, k):
        p, t = predicted == c, truth == c
        shared[:, c - 1] = np.count_nonzero(p & t, axis=(1, 2))
        ours[:, c - 1] = np.count_nonzero(p, axis=(1, 2))
        theirs[:, c - 1] = np.count_nonzero(t, axis=(1, 2))
    return shared, ours, theirs


def dice_per_image(predicted: np.ndarray, truth: np.ndarray, k: int) -> np.ndarray:
    """Dice of each image and foreground class, float64 (n, k - 1) in [0, 1]; NaN where the truth lacks the class.

    >>> dice_per_image(np.eye(2, dtype=np.uint8)[None], np.ones((1, 2, 2), np.uint8), 2).round(3)
    array([[0.667]])
    """
    shared, ours, theirs = class_areas(predicted, truth, k)
    return np.where(theirs > 0, ratio(2 * shared, ours + theirs), np.nan)


def mean_over_images_then_classes(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over the images where a class is defined, then over classes: (n, k), (r, n) -> (r,)."""
    defined = ~np.isnan(values)
    sums = weighted_sums(weights, np.hstack([np.where(defined, values, 0.0), defined]))
    k = values.shape[1]
    return mean_defined(ratio(sums[:, :k], sums[:, k:]))
