"""Lesion-wise detection: which connected regions of the truth were found, and which predicted ones are false."""

import itertools
import math
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.metrics.base import Comparison
from bench.metrics.products import weighted_sums
from bench.metrics.truth import Truth

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


class Regions(NamedTuple):
    """Connected regions (8 neighbours, 26 in volumes) of a stack of masks, and the runs of pixels they consist of."""

    start: np.ndarray
    """int64 (r,): where each run begins, as in `_runs`."""
    region: np.ndarray
    """int32 (r,): the region of each run."""
    image: np.ndarray
    """int64 (m,): row of the image of each region."""
    size: np.ndarray
    """float64 (m,): pixels of each region."""

    def covered(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Whether runs that lie within those of the regions hold at least 10 % of each; bool (m,)."""
        region = self.region[np.searchsorted(self.start, start, side="right") - 1]
        return np.bincount(region, weights=end - start, minlength=len(self.size)) >= OVERLAP * self.size


def regions(mask: np.ndarray) -> Regions:
    """The regions of masks, bool (n, h, w) or (n, depth, h, w)."""
    start, end = _runs(mask)
    padded = [side + 1 for side in mask.shape]
    lines = [math.prod(padded[axis:]) for axis in range(2, mask.ndim)]  # from plane to plane, from row to row
    shifts = (int(np.dot(way, lines)) for way in itertools.product((-1, 0, 1), repeat=len(lines)))
    pairs = [_touching(start, end, shift) for shift in shifts if shift > 0]
    one, other = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(start), len(start)))
    count, region = connected_components(graph, directed=False) if len(start) else (0, np.zeros(0, np.int32))
    image = np.zeros(count, np.int64)
    image[region] = start // math.prod(padded[1:])
    return Regions(start, region, image, np.bincount(region, weights=end - start, minlength=count))


def lesion_counts(
    predicted: np.ndarray, truth: np.ndarray, cubic_mm: np.ndarray | None = None, there: Regions | None = None
) -> np.ndarray:
    """Per image and size bin, float64 (n, 4, 3): lesions, lesions found, false regions.

    A lesion belongs to the bin of its own area, a false region to that of its own. cubic_mm: of each image, (n,), where
    they are volumes, whose bins are those of `DIAMETERS`. there: the regions of `truth`, where they are known.
    """
    there, called, both = there or regions(truth), regions(predicted), _runs(predicted & truth)
    found = ((there, ...), (there, there.covered(*both)), (called, ~called.covered(*both)))
    counts = [_count(part.image[keep], part.size[keep] / truth[0].size, len(truth), cubic_mm) for part, keep in found]
    return np.stack(counts, axis=2)


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
    n, cubic_mm, kept = len(given.labels), given.cubic_mm, given.truth or Truth(given.labels)
    rows = [slice(0, n)] if cubic_mm is None else [slice(i, i + 1) for i in range(n)]
    found = []
    for r in rows:
        truth = given.labels[r] == c
        there = kept.once((regions, c, r.start), partial(regions, truth))
        found.append(lesion_counts(given.output[r] == c, truth, None if cubic_mm is None else cubic_mm[r], there))
    return np.concatenate(found)


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of pixels along the last axis begin and end (the place after), int64, ascending.

    Places are counted in the stack with one empty place after the end of each axis, so that no run goes on from one
    line, plane or image to the next.
    """
    padded = [side + 1 for side in mask.shape]
    flat = np.zeros(1 + math.prod(padded), bool)  # an empty one before the first
    flat[1:].reshape(padded)[tuple(slice(side) for side in mask.shape)] = mask
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return edges[::2], edges[1::2]


def _touching(start: np.ndarray, end: np.ndarray, shift: int) -> np.ndarray:
    """Pairs of runs of which the second, `shift` places on, touches the first, also at a corner; int64 (2, p)."""
    first = np.searchsorted(end, start + shift)
    count = np.searchsorted(start, end + shift, side="right") - first
    one = np.repeat(np.arange(len(start)), count)
    return np.stack([one, np.arange(len(one)) + np.repeat(first - np.cumsum(count) + count, count)])


def _count(image: np.ndarray, area: np.ndarray, n: int, cubic_mm: np.ndarray | None) -> np.ndarray:
    """Regions of each of n images in each size bin, float64 (n, 4). area: as a fraction of the image."""
    place = image * len(SIZES) + size_bin(area, None if cubic_mm is None else cubic_mm[image])
    return np.bincount(place, minlength=n * len(SIZES)).reshape(n, len(SIZES)).astype(np.float64)
