"""Lesion-wise detection: which connected regions of the truth were found, and which predicted ones are false."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bench.metrics.base import Comparison
from bench.metrics.products import Weights, weighted_sums

SIZES: dict[str, tuple[float, float]] = {
    "<0.5%": (0.0, 0.005), "0.5-2%": (0.005, 0.02), "2-10%": (0.02, 0.10), ">10%": (0.10, np.inf),
}  # fmt: skip
"""Bin -> area as a fraction of the image, lower edge included."""
OVERLAP = 0.1
"""Share of a region that must be covered by the other mask. Low, because finding is asked, not outlining."""
_EIGHT_NEIGHBOURS = np.zeros((3, 3, 3), bool)
_EIGHT_NEIGHBOURS[1] = True


@dataclass(frozen=True, slots=True)
class Regions:
    """Connected regions (8 neighbours) of a stack of masks, one entry each."""

    image: np.ndarray
    """int64 (m,): row of the image."""
    area: np.ndarray
    """float64 (m,): fraction of the image."""
    covered: np.ndarray
    """bool (m,): whether the other mask covers at least 10 % of it."""


def regions(mask: np.ndarray, other: np.ndarray) -> Regions:
    """The regions of `mask`, and whether `other` covers them; both bool (n, h, w)."""
    labelled, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    pixels = np.flatnonzero(labelled)
    region = labelled.ravel()[pixels] - 1
    image = np.zeros(count, np.int64)
    image[region] = pixels // (mask.shape[1] * mask.shape[2])
    size = np.bincount(region, minlength=count)
    shared = np.bincount(region[other.ravel()[pixels]], minlength=count)
    return Regions(image, size / (mask.shape[1] * mask.shape[2]), shared >= OVERLAP * size)


def lesion_counts(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Per image and size bin, float64 (n, 4, 3): lesions, lesions found, false regions.

    A lesion belongs to the bin of its own area, a false region to that of its own.
    """
    there, called = regions(truth, predicted), regions(predicted, truth)
    n = len(truth)
    return np.stack([_count(there, n), _count(there, n, there.covered), _count(called, n, ~called.covered)], axis=2)


def lesions(given: Comparison) -> np.ndarray:
    """`lesion_counts` of each foreground class, float64 (n, k - 1, 4, 3)."""
    classes = range(1, len(given.task.classes))
    return np.stack([lesion_counts(given.output == c, given.labels == c) for c in classes], axis=1)


def detections(given: Comparison) -> dict[str, np.ndarray]:
    """Lesions, those found, false regions in each replicate, (3, r, k - 1): of all images (""), by size, by stratum."""
    counts = given.once(lesions)
    parts = {"": counts.sum(axis=2)}
    parts |= {name: counts[:, :, i] for i, name in enumerate(SIZES)}
    parts |= {name: counts.sum(axis=2) * keep[:, None, None] for name, keep in given.strata.items()}
    return {name: _sums(given.weights, part) for name, part in parts.items()}


def _sums(weights: Weights, counts: np.ndarray) -> np.ndarray:
    sums = weighted_sums(weights, counts.reshape(len(counts), -1)).reshape(len(weights), -1, 3)
    return np.moveaxis(sums, 2, 0)


def size_bin(area: np.ndarray) -> np.ndarray:
    """Bin number of each area fraction, int64."""
    return np.digitize(area, [low for low, _ in SIZES.values()]) - 1


def _count(found: Regions, n: int, keep: np.ndarray | None = None) -> np.ndarray:
    keep = np.ones(len(found.image), bool) if keep is None else keep
    place = found.image[keep] * len(SIZES) + size_bin(found.area[keep])
    return np.bincount(place, minlength=n * len(SIZES)).reshape(n, len(SIZES)).astype(np.float64)
