"""Features of a split: what extraction hands to the protocols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Features:
    """Features of n images.

    pooled: float32 (n, d), or None when only a grid was extracted.
    grid: float32 or float16 (n, gh, gw, c), or None.
    """

    pooled: np.ndarray | None
    grid: np.ndarray | None

    def __len__(self) -> int:
        return len(self.pooled if self.pooled is not None else self.grid)
