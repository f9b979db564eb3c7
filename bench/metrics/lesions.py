"""Lesion-wise detection: which connected regions of the truth were found, and which predicted ones are false."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bench.metrics.base import Comparison
from bench.metrics.products import weighted_sums

SIZES: dict[str, tuple[float, float]] = {
    "<0.5%": (0.0, 0.005), "0.5-2%": (0.005, 0.02), "2-10%": (0.02, 0.10), ">10%": (0.10, np.inf),
}  # fmt: skip
"""Bin -> area as a fraction of the image, lower edge included."""
DIAMETERS: dict[str, tuple[float, float]] = {
    "<6mm": (0.0, 6.0), "6-10mm": (6.0, 10.0), "10-20mm": (10.0, 20.0), ">20mm": (20.0, np.inf),
}  # fmt: skip
"""Of volumes: bin -> diameter in mm of the ball as large as the lesion, lower edge included. Nodules of the lung below
6 mm are mostly not followed up (Fleischner Society: MacMahon et al. 2017)."""
OVERLAP = 0.1
"""Share of a region that must be covered by the other mask. Low, because finding is asked, not outlining."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Connected regions (8 neighbours, 26 in volumes) of a stack of masks, one entry each."""

    image: np.ndarray
    """int64 (m,): row of the image."""
    area: np.ndarray
    """float64 (m,): fraction of the image."""
    covered: np.ndarray
    """bool (m,): whether the other mask covers at least 10 % of it."""


def regions(mask: np.ndarray, other: np.ndarray) -> Regions:
    """The regions of `mask`, and whether `other` covers them; both bool (n, h, w) or (n, depth, h, w)."""
    touching = np.zeros((3,) * mask.ndim, bool)
    touching[1] = True  # of the same image, also at a corner
    labelled, count = ndimage.label(mask, structure=touching)
    pixels = np.flatnonzero(mask)
    region = labelled.ravel()[pixels] - 1
    image = np.zeros(count, np.int64)
    image[region] = pixels // mask[0].size
    size = np.bincount(region, minlength=count)
    shared = np.bincount(region[other.ravel()[pixels]], minlength=count)
    return Regions(image, size / mask[0].size, shared >= OVERLAP * size)


def lesion_counts(predicted: np.ndarray, truth: np.ndarray, cubic_mm: np.ndarray | None = None) -> np.ndarray:
    """Per image and size bin, float64 (n, 4, 3): lesions, lesions found, false regions.

    A lesion belongs to the bin of its own area, a false region to that of its own. cubic_mm: of each image, (n,), where
    they are volumes, whose bins are those of `DIAMETERS`.
    """
    there, called = regions(truth, predicted), regions(predicted, truth)
    found = ((there, None), (there, there.covered), (called, ~called.covered))
    return np.stack([_count(part, len(truth), cubic_mm, keep) for part, keep in found], axis=2)


def lesions(given: Comparison) -> np.ndarray:
    """`lesion_counts` of each foreground class, float64 (n, k - 1, 4, 3)."""
    return np.stack([_of_class(given, c) for c in range(1, len(given.task.classes))], axis=1)


def detections(given: Comparison) -> dict[str, np.ndarray]:
    """Lesions, those found, false regions in each replicate, (3, r, k - 1): of all images (""), by size, by stratum."""
    counts = given.once(lesions)
    parts = {"": counts.sum(axis=2)}
    parts |= {name: counts[:, :, i] for i, name in enumerate(sizes(given))}
    parts |= {name: counts.sum(axis=2) * keep[:, None, None] for name, keep in given.strata.items()}
    columns = np.stack([*parts.values()], axis=1)
    sums = weighted_sums(given.weights, columns.reshape(len(counts), -1)).reshape(-1, *columns.shape[1:])
    return dict(zip(parts, np.moveaxis(sums, (1, 3), (0, 1)), strict=True))


def sizes(given: Comparison) -> dict[str, tuple[float, float]]:
    """The bins of a comparison: of areas, or of diameters."""
    return SIZES if given.spacing is None else DIAMETERS


def size_bin(area: np.ndarray, cubic_mm: np.ndarray | None = None) -> np.ndarray:
    """Bin number of each area fraction, int64. cubic_mm: of the volume each is a fraction of; None of flat images."""
    if cubic_mm is None:
        return np.digitize(area, [low for low, _ in SIZES.values()]) - 1
    return np.digitize(np.cbrt(area * cubic_mm * 6 / np.pi), [low for low, _ in DIAMETERS.values()]) - 1


def _of_class(given: Comparison, c: int) -> np.ndarray:
    """`lesion_counts` of one class; of volumes one after the other."""
    if (cubic_mm := given.cubic_mm) is None:
        return lesion_counts(given.output == c, given.labels == c)
    rows = (slice(i, i + 1) for i in range(len(given.labels)))
    return np.concatenate([lesion_counts(given.output[r] == c, given.labels[r] == c, cubic_mm[r]) for r in rows])


def _count(found: Regions, n: int, cubic_mm: np.ndarray | None, keep: np.ndarray | None) -> np.ndarray:
    keep = np.ones(len(found.image), bool) if keep is None else keep
    of = None if cubic_mm is None else cubic_mm[found.image[keep]]
    place = found.image[keep] * len(SIZES) + size_bin(found.area[keep], of)
    return np.bincount(place, minlength=n * len(SIZES)).reshape(n, len(SIZES)).astype(np.float64)
