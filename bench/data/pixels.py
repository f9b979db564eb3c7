"""From pixels of any depth to the uint8 of the contract, and what was done to them.

Whole numbers within 0 .. 255 pass untouched, whatever their type. Anything else needs a scale, the same for every
image: `window = [low, high]` of the card maps linearly to 0 .. 255 and clips. Alpha is laid on black.
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

WINDOWED = "images: deeper than 8 bits, scaled by the card's window"
ALPHA = "images: transparency laid on black"


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
    if window is None:
        return _eight_bit(images, where)
    if not np.isfinite(images).all():
        raise DataError("images hold NaN or infinite values", where=where)
    remarks[WINDOWED] += len(images)
    scaled = (images.astype(np.float64) - window[0]) * (255.0 / (window[1] - window[0]))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _eight_bit(images: np.ndarray, where: object) -> np.ndarray:
    if images.dtype.kind == "f":
        fix = "say which values are black and white, e.g. window = [0.0, 1.0] in [source]"
        raise DataError(f"images are {images.dtype}, whose scale is unknown", where=where, fix=fix)
    low, high = (int(images.min()), int(images.max())) if images.size else (0, 0)
    if low < 0 or high > 255:
        what = f"pixels run from {low} to {high} here, which is more than 8 bits"
        fix = "say which values are black and white in every image, e.g. window = [0, 4095] in [source]"
        raise DataError(what, where=where, fix=fix)
    return images.astype(np.uint8)
