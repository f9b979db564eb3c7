"""What an encoder computes, in a few numbers: its features of six fixed images.

Two hashes of weights do not tell two `features=` functions apart, and no hash survives another number of threads. So
the features themselves are kept, global and dense, and compared within a tolerance. They are taken in the network's
own precision, not compiled: how a run executes is compared by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import EncoderError, UserError
from bench.files import npz_bytes, read_npz, sha256_arrays, write_atomic

if TYPE_CHECKING:
    from bench.encoders.base import Encoder

HEIGHT, WIDTH, PLANES = 96, 112, 24
NUMBERS = 512
"""Numbers kept of one image's features, at most."""
TOLERANCE = 1e-4
"""Largest difference of an image's features, relative to how far features of different images lie apart, that
another processor or number of threads may make (measured: up to 8e-6). Weights changed by one part in 10,000 differ by
5e-4 and more."""
LEAST = 0.05
"""Of the features' length: what counts as lying apart where an encoder gives every image nearly the same features."""


@dataclass(frozen=True)
class Probe:
    """Features of the probe images: float32 (6, at most 512) each, "pooled 384" and, of a dense pass, "grid 14x14x384".

    Longer features are folded (each number added, with a fixed random sign, to one of 512 places), which keeps
    distances; the name says their shape before that.
    """

    arrays: Mapping[str, np.ndarray]

    @property
    def digest(self) -> str:
        """The exact bits, 16 hex digits."""
        return sha256_arrays(self.arrays)[:16]

    def same(self, other: Probe) -> bool:
        """Whether both come from one encoder: equal shapes, and features equal within the tolerance."""
        if {k: a.shape for k, a in self.arrays.items()} != {k: a.shape for k, a in other.arrays.items()}:
            return False
        return all(_difference(a, other.arrays[name]) <= TOLERANCE for name, a in self.arrays.items())

    def write(self, folder: Path) -> None:
        """Keep it as `folder`/<digest>.npz. Raises RunError."""
        write_atomic(folder / f"{self.digest}.npz", npz_bytes(self.arrays))

    @classmethod
    def read(cls, path: Path) -> Probe:
        """Inverse of `write`. Raises UserError for a file that is missing, damaged, or not a probe's."""
        found = cls(read_npz(path, max_bytes=1 << 20))
        if found.digest != path.stem:
            raise UserError("does not hold the features its name says", where=path)
        return found


def probe(encoder: Encoder, *, dense: bool) -> Probe:
    """Features of the probe images or volumes. Empty when the encoder refuses them, as it then refuses a task's too."""
    import torch

    from bench.encoders.preprocess import made_up
    from bench.encoders.volumes import own_spacing
    from bench.features.extract import extract

    spacing = own_spacing(encoder.card.preprocessing, 6)
    known = None if spacing is None else spacing.numpy()
    try:
        drawn = torch.from_numpy(volumes() if encoder.card.volumetric else images())
        drawn = made_up(drawn, encoder.card.preprocessing)
        features = extract(encoder.plain(), drawn.numpy(), dense=dense, spacing=known)
    except EncoderError:
        return Probe({})
    found = {"pooled": features.pooled, "grid": features.grid}
    return Probe({f"{n} {'x'.join(map(str, a.shape[1:]))}": _folded(a) for n, a in found.items() if a is not None})


@lru_cache(maxsize=1)
def images() -> np.ndarray:
    """uint8 (6, 96, 112, 3): noise, ramps of colour, squares in several places and sizes on black and on white, faint
    clouds, and stripes over half of the image."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3))
    ramps = np.stack([255 * x / WIDTH, 255 * y / HEIGHT, 255 * (1 - x / WIDTH)], -1)
    clouds = 40 + 8 * np.kron(rng.random((HEIGHT // 8, WIDTH // 8, 3)), np.ones((8, 8, 1)))
    stripes = np.where((x // 3 % 2 == 0) & (y > HEIGHT // 2), 255, 0)[..., None] * np.array([1, 0.5, 0.25])
    black, white = np.zeros((HEIGHT, WIDTH, 3)), np.full((HEIGHT, WIDTH, 3), 255.0)
    for canvas, places in ((black, ((8, 10, 12), (50, 20, 20), (30, 90, 16))), (white, ((60, 70, 24), (10, 40, 6)))):
        for number, (top, left, side) in enumerate(places):
            canvas[top : top + side, left : left + side] = np.eye(3)[number] * 200 + 30
    return np.stack([noise, ramps, black, white, clouds, stripes]).astype(np.uint8)


@lru_cache(maxsize=1)
def volumes() -> np.ndarray:
    """uint8 (6, 24, 96, 112, 1): the red of each probe image, moved on by 4 columns and made darker plane by plane."""
    flat = images()[..., :1].astype(np.int64)
    planes = [np.roll(flat, 4 * plane, axis=2) * (PLANES - plane) // PLANES for plane in range(PLANES)]
    return np.stack(planes, axis=1).astype(np.uint8)


def _folded(features: np.ndarray) -> np.ndarray:
    """(n, ...) -> float32 (n, at most NUMBERS)."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    if flat.shape[1] <= NUMBERS:
        return flat.astype(np.float32)
    places, signs = _folds(flat.shape[1])
    return np.stack([np.bincount(places, row * signs, NUMBERS) for row in flat]).astype(np.float32)


@lru_cache(maxsize=8)
def _folds(width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(width)
    return rng.integers(0, NUMBERS, width), rng.choice([-1.0, 1.0], width)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance of an image's features in `a` and `b`, relative to the typical distance between images."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    apart = np.linalg.norm(a - a.mean(0), axis=1).mean()
    scale = max(apart, LEAST * np.linalg.norm(a, axis=1).mean(), 1e-12)
    return float(np.linalg.norm(a - b, axis=1).max() / scale)
