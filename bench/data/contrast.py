"""How clearly what a mask outlines stands out from its surroundings."""

import numpy as np
from scipy.ndimage import binary_dilation

RING = 0.05
"""Width of the surroundings, as a share of the longer side."""


def contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """|mean grey inside - mean grey of the ring around| in [0, 1]; NaN without foreground or without surroundings.

    image: uint8 (h, w, c), c in {1, 3}. mask: (h, w), foreground > 0, all classes as one. The ring is what dilation by
    `RING` adds; grey is the mean of the channels.
    """
    inside = mask > 0
    if not inside.any():
        return float("nan")
    width = max(1, round(RING * max(mask.shape)))
    rows, columns = (slice(max(0, i.min() - width), i.max() + width + 1) for i in np.nonzero(inside))
    inside, grey = inside[rows, columns], image[rows, columns].mean(axis=2) / 255
    ring = binary_dilation(inside, iterations=width) & ~inside
    return float(abs(grey[inside].mean() - grey[ring].mean())) if ring.any() else float("nan")
