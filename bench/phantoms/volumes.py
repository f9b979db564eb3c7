"""A block of lung CT in three dimensions: vessels cross it, and in half of the volumes there is a nodule.

In one slice a vessel is as round as a nodule; only its neighbours above and below tell. A volume without a nodule holds
a short branch of about the nodule's size and brightness instead, so that the histogram does not tell either.
Everything is drawn in whole numbers (Hounsfield units, half millimetres): no processor rounds otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from bench.phantoms._random import balanced, stream

SHAPE = (32, 64, 64)
"""Planes, rows, columns."""
SPACING = (4.0, 2.0, 2.0)
"""mm between planes, rows and columns."""
CLASSES = ("vessels", "nodule")
MASK_CLASSES = ("background", "nodule")
HALVES = (8, 4, 4)
Z, Y, X = (h * i + h // 2 for h, i in zip(HALVES, np.indices(SHAPE, dtype=np.int32), strict=True))
"""Centres of the voxels, half millimetres."""
SIDE = 256
BLACK, WHITE = -1000, 200
VESSELS = (6, 11)
MOST = 3
"""Nodules of a volume of `nodules`."""
LUNG, BLOOD = -860, 40


@dataclass(frozen=True)
class Volume:
    """image: uint8 (32, 64, 64, 1). mask: uint8 (32, 64, 64), 1 in the nodule. label: place in CLASSES.

    contrast: of the nodule, 0 (ground glass) to 1 (solid); NaN without one.
    """

    image: np.ndarray
    mask: np.ndarray
    label: int
    contrast: float


def volume(seed: int, split: str, index: int) -> Volume:
    """One volume, a pure function of its keys. split "test-shift" is a second scanner: sharper and noisier."""
    keys = ("volume", seed, split)
    rng, label = stream(*keys, index), balanced(index, len(CLASSES), *keys)
    hu = _lung(rng)
    percent, radius, centre = _between(rng, 0, 100), _between(rng, 15, 26), _point(rng, margin=32)
    value = -460 + 5 * percent
    nodule = _ball(rng, centre, radius)
    finding = nodule if label else _branch(rng, centre, nodule)
    hu = np.where(finding, value, hu)
    mask = (nodule & bool(label)).astype(np.uint8)
    return Volume(_scanned(rng, hu, sharp=split == "test-shift"), mask, label, percent / 100 if label else float("nan"))


def nodules(seed: int, split: str, index: int) -> Volume:
    """As `volume`, under keys of its own, with none to three nodules of about 10 to 26 mm, all of one contrast.

    Where there are fewer than three, branches stand for them; label 1 where there is a nodule.
    """
    keys = ("nodules", seed, split)
    rng, count = stream(*keys, index), balanced(index, MOST + 1, *keys)
    hu, mask, percent = _lung(rng), np.zeros(SHAPE, bool), _between(rng, 0, 100)
    for number in range(MOST):
        radius, centre = _between(rng, 10, 26), _point(rng, margin=32)
        nodule = _ball(rng, centre, radius)
        hu = np.where(nodule if number < count else _branch(rng, centre, nodule), -460 + 5 * percent, hu)
        mask |= nodule & (number < count)
    contrast = percent / 100 if count else float("nan")
    return Volume(_scanned(rng, hu, sharp=split == "test-shift"), mask.astype(np.uint8), int(count > 0), contrast)


def _lung(rng: RandomState) -> np.ndarray:
    """Hounsfield units of lung that vessels cross, int32."""
    hu = LUNG + _cloud(rng, 4) * 30 // 100
    for _ in range(_between(rng, *VESSELS)):
        inside = _tube(_point(rng), _direction(rng), _between(rng, 4, 9))
        hu = np.where(inside, BLOOD + _between(rng, -40, 40), hu)
    return hu


def _between(rng: RandomState, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(rng.randint(low, high + 1, dtype=np.int64))


def _point(rng: RandomState, margin: int = 0) -> tuple[int, int, int]:
    a, b, c = (_between(rng, margin, SIDE - margin) for _ in range(3))
    return a, b, c


def _direction(rng: RandomState) -> tuple[int, int, int]:
    """Mostly across the slices, as vessels of the lung bases run."""
    return 10, _between(rng, -7, 7), _between(rng, -7, 7)


def _ball(rng: RandomState, centre: tuple[int, int, int], radius: int) -> np.ndarray:
    """bool: an ellipsoid whose axes differ by up to a fifth."""
    a, b, c = (_between(rng, 9, 11) for _ in range(3))
    z, y, x = Z - centre[0], Y - centre[1], X - centre[2]
    return (a * z) ** 2 + (b * y) ** 2 + (c * x) ** 2 <= (10 * radius) ** 2


def _tube(start: tuple[int, int, int], along: tuple[int, int, int], radius: int) -> np.ndarray:
    """bool: within `radius` of the line through `start`; |v|^2 |d|^2 - (v d)^2 is its squared distance times |d|^2."""
    z, y, x = Z - start[0], Y - start[1], X - start[2]
    length = sum(step**2 for step in along)
    shadow = along[0] * z + along[1] * y + along[2] * x
    return (z**2 + y**2 + x**2) * length - shadow**2 <= radius**2 * length


def _branch(rng: RandomState, centre: tuple[int, int, int], nodule: np.ndarray) -> np.ndarray:
    """bool: the part of a thin tube nearest to `centre` that has as many voxels as `nodule`."""
    tube = _tube(centre, _direction(rng), _between(rng, 5, 9))
    distance = (Z - centre[0]) ** 2 + (Y - centre[1]) ** 2 + (X - centre[2]) ** 2
    inside = np.sort(distance[tube])
    wanted = min(int(nodule.sum()), len(inside))
    return tube & (distance <= inside[wanted - 1]) if wanted else tube & False


def _cloud(rng: RandomState, cell: int) -> np.ndarray:
    """Smooth texture, int32 of about -100 to 100: noise in cells of `cell` voxels, blurred."""
    coarse = rng.randint(-100, 101, [side // cell for side in SHAPE], dtype=np.int32)
    fine = coarse.repeat(cell, 0).repeat(cell, 1).repeat(cell, 2)
    return _blurred(_blurred(fine, 2), 2)


def _blurred(values: np.ndarray, reach: int) -> np.ndarray:
    """Mean over `reach` voxels before and after along each axis, the border repeated, in whole numbers."""
    for axis in range(3):
        pads = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(values, pads, mode="edge")
        n = values.shape[axis]
        parts = [padded[(slice(None),) * axis + (slice(i, i + n),)] for i in range(2 * reach + 1)]
        values = sum(parts[1:], parts[0]) // len(parts)
    return values


def _scanned(rng: RandomState, hu: np.ndarray, *, sharp: bool) -> np.ndarray:
    """Partial volume, noise that a reconstruction correlates, and the window of the lung."""
    soft = hu if sharp else _blurred(hu, 1)
    noise = np.add.reduce([rng.randint(-100, 101, SHAPE, dtype=np.int32) for _ in range(4)])
    hu = soft + (noise * 3 // 2 if sharp else _blurred(noise, 1) * 3)
    return np.clip((hu - BLACK) * 255 // (WHITE - BLACK), 0, 255).astype(np.uint8)[..., None]
