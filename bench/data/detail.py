"""A second look at two images whose thumbnails are alike: do they share their fine detail?

Images framed alike (a fundus in its round mask, a centred organ) have thumbnails that correlate above 0.99 though they
show different patients. What is fine (smaller than about 1/64 of the image) and inside both frames tells them apart: it
correlates above 0.4 in copies, also shifted by a pixel or compressed anew, and below 0.25 in 99 % of different eyes.
"""

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter

SIDE = 128
SIGMA = 2.0
"""Pixels of an image of at most 128 x 128: what is coarser is taken away."""
MARGIN = 6
"""Pixels next to the frame that are left out."""
BLACK = 8.0
MIN_CORRELATION = 0.4
MIN_CONTRAST = 2.0
"""Grey values: detail with a smaller standard deviation is noise, and shows nothing in common."""
MIN_INSIDE = 0.05


def share_detail(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two images uint8 (..., h, w, c) of one size have their fine detail in common."""
    a, b = (reduced(image[None], SIDE)[0] for image in (first, second))
    if a.shape != b.shape:
        return False
    margin = max(1, MARGIN * min(a.shape) // SIDE)
    inside = binary_erosion((a > BLACK) & (b > BLACK), iterations=margin, border_value=1)
    if inside.mean() < MIN_INSIDE:
        inside = np.ones_like(inside)
    fine_a, fine_b = ((image - gaussian_filter(image, SIGMA))[inside] for image in (a, b))
    if min(fine_a.std(), fine_b.std()) < MIN_CONTRAST:
        return False
    return float(np.corrcoef(fine_a, fine_b)[0, 1]) > MIN_CORRELATION


def reduced(images: np.ndarray, side: int) -> np.ndarray:
    """float32 (n, s, s) of grey means over a grid of cells, s <= side; a volume is averaged over its depth."""
    grey = images.astype(np.float32).mean(-1)
    grey = grey.mean(1) if grey.ndim == 4 else grey
    for axis in (1, 2):
        length = grey.shape[axis]
        if length > side:
            edges = np.linspace(0, length, side + 1).astype(int)
            sums = np.add.reduceat(grey, edges[:-1], axis=axis)
            shape = [1, 1, 1]
            shape[axis] = side
            grey = sums / np.diff(edges).astype(np.float32).reshape(shape)
    return grey
