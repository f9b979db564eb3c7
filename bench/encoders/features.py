"""Features of a split: what extraction hands to the protocols."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Features:
    """Features of n images.

    pooled: float32 (n, d), or None when only a grid was extracted.
    grid: float32 or float16 (n, gh, gw, c), or None.
    members: float32 (n, m, d), of bags: the vector of each image, 0 where a bag has fewer than m; else None.
    """

    pooled: np.ndarray | None
    grid: np.ndarray | None
    members: np.ndarray | None = None

    @property
    def vectors(self) -> np.ndarray:
        """`pooled`, where there must be vectors."""
        assert self.pooled is not None, "no global vectors were extracted"
        return self.pooled

    @property
    def patches(self) -> np.ndarray:
        """`grid`, where there must be one."""
        assert self.grid is not None, "no patch grids were extracted"
        return self.grid

    @property
    def arrays(self) -> tuple[np.ndarray | None, ...]:
        """All that there may be."""
        return self.pooled, self.grid, self.members

    def parts(self, dense: bool) -> tuple[int, int]:
        """How many vectors an image has, and their length: cells of the grid (dense), images of the bag, or one."""
        array = self.patches if dense else self.vectors if self.members is None else self.members
        return math.prod(array.shape[1:-1]), array.shape[-1]

    @property
    def is_flat(self) -> bool:
        """Whether every image that is looked at has the same vector, and every place of its grid too."""
        looked = [(self.pooled, 64), (self.grid, 8)]
        some = [array[:: max(1, len(array) // most)] for array, most in looked if array is not None]
        found = [part.reshape(-1, part.shape[-1]).astype(np.float32) for part in some]
        return all(np.ptp(part, axis=0).max() <= 1e-6 * max(float(np.abs(part).max()), 1e-12) for part in found)

    def rows(self, chosen: slice | np.ndarray) -> Features:
        """Of some of the images."""
        return Features(*(array if array is None else array[chosen] for array in self.arrays))

    def __len__(self) -> int:
        found = self.grid if self.pooled is None else self.pooled
        return 0 if found is None else len(found)
