"""Distances between mask borders of volumes in millimetres, one volume at a time.

A border voxel is a voxel of the mask with one of its six neighbours outside it (the volume's edge is outside).
Distances run between the centres of border voxels, exactly (Euclidean distance transform), with the spacing of each
axis. Each border voxel counts once, as in MONAI and in BraTS, whatever the area of its faces.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

TOLERANCE_MM = 2.0
"""Within which a border counts as matched by the surface Dice."""
PERCENTILE = 95


def volume_surfaces(
    predicted: np.ndarray, truth: np.ndarray, c: int, spacing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Surface Dice at 2 mm, in [0, 1], and 95th percentile Hausdorff distance, in mm, of class `c`: float64 (n,) each.

    predicted, truth: class index (n, depth, h, w). spacing: float64 (n, 3), mm. As of flat images, NaN where both are
    empty; where one is, the surface Dice is 0 and the distance is the diagonal of the volume.
    """
    pairs = [_of_volume(p == c, t == c, mm) for p, t, mm in zip(predicted, truth, spacing, strict=True)]
    dice, distance = np.reshape(pairs, (-1, 2)).T
    return dice, distance


def diagonals(shape: Sequence[int], spacing: np.ndarray) -> np.ndarray:
    """Diagonal in mm of volumes of `shape` voxels, float64 (n,): the largest distance there is."""
    return np.linalg.norm(np.array(shape) * spacing, axis=1)


def _of_volume(predicted: np.ndarray, truth: np.ndarray, spacing: np.ndarray) -> tuple[float, float]:
    both = [mask.any() for mask in (predicted, truth)]
    if not any(both):
        return np.nan, np.nan
    if not all(both):
        return 0.0, float(diagonals(truth.shape, spacing[None])[0])
    box = ndimage.find_objects((predicted | truth).astype(np.uint8))[0]
    ours, theirs = _border(predicted[box]), _border(truth[box])
    there, back = _distances(ours, theirs, spacing), _distances(theirs, ours, spacing)
    near = np.count_nonzero(there <= TOLERANCE_MM) + np.count_nonzero(back <= TOLERANCE_MM)
    farthest = max(np.percentile(distances, PERCENTILE) for distances in (there, back))
    return near / (len(there) + len(back)), float(farthest)


def _border(mask: np.ndarray) -> np.ndarray:
    """Nothing of either mask lies outside the box, so that its edge is outside the mask."""
    return mask & ~ndimage.binary_erosion(mask)


def _distances(origin: np.ndarray, goal: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """mm from each voxel of `origin` to the nearest one of `goal`."""
    return ndimage.distance_transform_edt(~goal, sampling=spacing)[origin]
