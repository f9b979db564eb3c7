"""From pixels of any depth to the uint8 of the contract, and what was done to them.

Whole numbers within 0 .. 255 pass untouched, whatever their type. Anything else needs a scale (`bench.data.windows`):
a window of the card maps linearly to 0 .. 255 and clips. Alpha is laid on black.
"""

from collections import Counter

import numpy as np

from bench.data.windows import One, PixelMeaning, is_several, limits
from bench.errors import DataError

WINDOWED = "images: deeper than 8 bits, scaled by the card's window"
ALPHA = "images: transparency laid on black"
GLARING = "images: all but white through the window: are they as deep as the others?"
INVERTED = "images: low values are white (MONOCHROME1), shown the other way about"
GLARE = 0.9
"""Share of the pixels of an image above the window, from which it is told."""
IDENTITY = 1.0
"""How far a window of a file may be from 0 .. 255 and still change nothing."""
MOST = 255 + IDENTITY


def to_uint8(
    images: np.ndarray,
    window: One | list[One] | None,
    remarks: Counter[str],
    *,
    where: object = None,
    meant: PixelMeaning | None = None,
) -> np.ndarray:
    """uint8 (n, ..., c), c in {1, 3}, of images (n, ..., c) with c in 1 .. 4 and any number type.

    Two and four channels are grey and colour with alpha, which no window touches. window: as a card has it
    (`bench.data.windows.Window`); three windows make the three channels of grey images. Raises DataError for other
    channels or an unknown scale.
    """
    meant = meant or PixelMeaning()
    images, alpha = _apart(images, where)
    if is_several(window):
        if images.shape[-1] != 1:
            raise DataError("is in colour: three windows are for grey images", where=where)
        images = np.concatenate([_scaled(images, one, remarks, where, meant) for one in window], axis=-1)
    else:
        images = _scaled(images, window, remarks, where, meant)
    if meant.inverted:
        remarks[INVERTED] += len(images)
        images = 255 - images
    return images if alpha is None else _on_black(images, alpha, remarks, where)


def _apart(images: np.ndarray, where: object) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and, of two or four channels, alpha as uint8."""
    channels = images.shape[-1]
    if channels in (1, 3):
        return images, None
    if channels not in (2, 4):
        fix = "expected 1 (grey) or 3 (colour), or these with alpha"
        raise DataError(f"images have {channels} channels", where=where, fix=fix)
    return images[..., :-1], _eight_bit(images[..., -1:], where, PixelMeaning())


def _on_black(images: np.ndarray, alpha: np.ndarray, remarks: Counter[str], where: object) -> np.ndarray:
    if hidden := [i for i in range(len(images)) if images[i].any() and not alpha[i].any()]:
        which = f" (image {hidden[0]})" if len(images) > 1 else ""
        what = f"is transparent everywhere, and would be black{which}"
        raise DataError(what, where=where, fix="save it without alpha, or leave it out")
    if (alpha < 255).any():
        remarks[ALPHA] += int((alpha.reshape(len(images), -1) < 255).any(1).sum())
    return ((images.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def _scaled(
    images: np.ndarray, window: One | None, remarks: Counter[str], where: object, meant: PixelMeaning
) -> np.ndarray:
    if images.dtype == bool:
        return images.astype(np.uint8) * 255
    if images.dtype.kind not in "iuf":
        raise DataError(f"images are {images.dtype}, expected numbers", where=where)
    if window is None:
        return _eight_bit(images, where, meant)
    if not np.isfinite(images).all():
        fix = "save them with a number there, e.g. numpy.nan_to_num(values, nan=...) with the value of the background"
        raise DataError("images hold NaN or infinite values", where=where, fix=fix)
    if images.dtype == np.uint8 and not isinstance(window, str) and not -IDENTITY <= window[0] < window[1] <= MOST:
        what = f"holds 8 bits, and the window [{window[0]:g}, {window[1]:g}] is for deeper images"
        raise DataError(what, where=where, fix="save all images with one depth, or leave these out")
    remarks[WINDOWED] += len(images)
    if window == "tags" and meant.shown is not None:
        return meant.shown
    if window == "percentile" and meant.whole is None:
        return np.stack([_linear(image, *limits(window, image, meant, where)) for image in images])
    low, high = limits(window, images, meant, where)
    if glaring := int(((images > high).reshape(len(images), -1).mean(1) > GLARE).sum()):
        remarks[GLARING] += glaring
    return _linear(images, low, high)


def _linear(images: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (images.astype(np.float64) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _eight_bit(images: np.ndarray, where: object, meant: PixelMeaning) -> np.ndarray:
    if images.dtype.kind == "f":
        low, high = (float(np.nanmin(images)), float(np.nanmax(images))) if images.size else (0.0, 1.0)
        top = high if low < 0 else 1.0 if high <= 1 else 255.0 if high <= 255 else high
        example = f"[{min(low, 0.0):g}, {top:g}]"
        fix = f"say which values are black and white, e.g. window = {example} in [source]{_offered(meant)}"
        what = f"images are {images.dtype}, whose scale is unknown: here they run from {low:g} to {high:g}"
        raise DataError(what, where=where, fix=fix)
    low, high = (int(images.min()), int(images.max())) if images.size and images.dtype != np.uint8 else (0, 0)
    if low < 0 or high > 255:
        what = f"pixels run from {low} to {high} here, which is more than 8 bits"
        fix = (
            f"say which values are black and white in every image, e.g. window = [0, 4095] in [source]{_offered(meant)}"
        )
        raise DataError(what, where=where, fix=fix)
    own = meant.window or (0, 255)
    if meant.shown is not None or abs(own[0]) > IDENTITY or abs(own[1] - 255) > IDENTITY:
        what = f"holds 8 bits, and asks to be shown {_spoken(meant)}: as it is, or as it asks?"
        raise DataError(what, where=where, fix='say window = [0, 255] or window = "tags" in [source]')
    return images.astype(np.uint8, copy=False)


def _offered(meant: PixelMeaning) -> str:
    """Further windows that fit the file, for a message."""
    found = '; or "lung", "soft-tissue", "bone", "brain" (Hounsfield units)' if meant.units == "hounsfield" else ""
    if meant.window is not None or meant.shown is not None:
        found += f'; or window = "tags": the file asks to be shown {_spoken(meant)}'
    return found


def _spoken(meant: PixelMeaning) -> str:
    return "through a table of its own" if meant.window is None else "from {:g} to {:g}".format(*meant.window)
