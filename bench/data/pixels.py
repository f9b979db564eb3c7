"""From pixels of any depth to the uint8 of the contract, and what was done to them.

8-bit images pass untouched. Deeper ones need a scale: `window = [low, high]` of the card maps linearly to 0 .. 255
and clips (the same for every image: right for CT and for anything measured); without it each 16-bit image is
stretched from its own minimum to its own maximum. Floating-point images need a window. Alpha is laid on black.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from bench.errors import DataError


def _ordered(window: list[float]) -> list[float]:
    if window[0] >= window[1]:
        raise ValueError("the first value of a window is below the second")
    return window


Window = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_ordered)]
"""[low, high]: the values shown black and white."""

STRETCHED = "deeper than 8 bits, each stretched from its own minimum to its maximum; give 'window' to fix the scale"
WINDOWED = "deeper than 8 bits, scaled by the card's window"
ALPHA = "transparency laid on black"


def to_uint8(
    images: np.ndarray, window: list[float] | None, remarks: Counter[str], *, where: object = None
) -> np.ndarray:
    """uint8 (n, ..., c), c in {1, 3}, of images (n, ..., c) with c in 1 .. 4 and any number type.

    Two and four channels are grey and colour with alpha. Raises DataError for other channels or unscaled floats.
    """
    images = _scaled(images, window, remarks, where)
    channels = images.shape[-1]
    if channels in (1, 3):
        return images
    if channels not in (2, 4):
        fix = "expected 1 (grey) or 3 (colour), or these with alpha"
        raise DataError(f"images have {channels} channels", where=where, fix=fix)
    colour, alpha = images[..., :-1].astype(np.uint16), images[..., -1:].astype(np.uint16)
    if (alpha < 255).any():
        remarks[ALPHA] += int((alpha.reshape(len(images), -1) < 255).any(1).sum())
    return ((colour * alpha + 127) // 255).astype(np.uint8)


def _scaled(images: np.ndarray, window: list[float] | None, remarks: Counter[str], where: object) -> np.ndarray:
    if images.dtype == np.uint8 and window is None:
        return images
    if images.dtype == bool:
        return images.astype(np.uint8) * 255
    if images.dtype.kind not in "iuf":
        raise DataError(f"images are {images.dtype}, expected numbers", where=where)
    if window is None and images.dtype.kind == "f":
        fix = "say which values are black and white, e.g. window = [0.0, 1.0] in [source]"
        raise DataError(f"images are {images.dtype}, whose scale is unknown", where=where, fix=fix)
    if not np.isfinite(images).all():
        raise DataError("images hold NaN or infinite values", where=where)
    remarks[STRETCHED if window is None else WINDOWED] += len(images)
    axes = tuple(range(1, images.ndim))
    low = images.min(axes, keepdims=True).astype(np.float64) if window is None else window[0]
    high = images.max(axes, keepdims=True).astype(np.float64) if window is None else window[1]
    flat = np.equal(low, high)
    scale = np.where(flat, 0.0, 255.0 / np.where(flat, 1.0, np.subtract(high, low)))
    return np.clip(np.rint((images.astype(np.float64) - low) * scale), 0, 255).astype(np.uint8)
