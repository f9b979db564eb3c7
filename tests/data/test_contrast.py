"""Contrast of what a mask outlines, on squares worked by hand."""

import math

import numpy as np
import pytest

from bench.data.contrast import contrast


def square(level: int, around: int, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A square of grey `level` on a ground of `around`, 20 pixels a side: the ring is one pixel wide."""
    mask = np.zeros((20, 20), np.uint8)
    mask[5:9, 5:9] = 1
    image = np.where(mask, level, around).astype(np.uint8)[..., None]
    return np.repeat(image, channels, axis=2), mask


@pytest.mark.parametrize("channels", [1, 3])
def test_inside_against_the_ring_around_it(channels):
    image, mask = square(51, 204, channels)
    image[0:4, :] = 255  # beyond the ring
    assert contrast(image, mask) == pytest.approx((204 - 51) / 255)
    image[4, 5:9] = 0  # 4 of the 16 pixels that touch an edge
    assert contrast(image, mask) == pytest.approx((12 * 204 / 16 - 51) / 255)


def test_channels_count_alike_and_classes_are_one():
    image, mask = square(100, 100, 3)
    image[5:9, 5:9, 0] = 250
    mask[5:7, 5:9] = 2
    assert contrast(image, mask) == pytest.approx(50 / 255)


def test_none_without_a_finding_or_without_surroundings():
    image, mask = square(1, 2)
    assert math.isnan(contrast(image, np.zeros_like(mask)))
    assert math.isnan(contrast(image, np.ones_like(mask)))


def test_a_finding_at_the_border_has_the_ring_that_is_there():
    image, mask = square(0, 255)
    mask[:] = 0
    mask[0:2, :] = 1
    image = np.where(mask, 10, 61).astype(np.uint8)[..., None]
    assert contrast(image, mask) == pytest.approx(51 / 255)
