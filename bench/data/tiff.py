"""TIFF files that Pillow cuts to 8 bits, turns over without a word or cannot open: read whole, with tifffile.

Colour of more than 8 bits, signed bytes, whole numbers of 32 bits, floats of 64, channels that are neither colour nor
alpha, and deep pictures in which low values are white.
"""

import io
from pathlib import Path

import numpy as np
from tifffile import TiffFile, TiffPage

from bench.data.guard import guarded, name_of
from bench.errors import DataError
from bench.files import first_bytes

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
GREY, COLOUR = (0, 1), 2
"""Photometric interpretations: low values white, low values black; RGB."""
UNSIGNED = 1
UNSPECIFIED = 0
"""A channel beside the colours of which nobody says that it is alpha."""


def is_deep(source: Path | bytes) -> bool:
    """Whether a file is a TIFF that is for `decode`."""
    if not (first_bytes(source, 4) or b"").startswith(MAGIC):
        return False
    try:
        with _opened(source) as file:
            return _is_deep(_first(file))
    except Exception:  # tifffile raises many kinds of errors; Pillow, or its message, is for such files
        return False


def size(source: Path | bytes) -> tuple[int, int, int]:
    """(rows, columns, channels) of the first page. Raises DataError."""
    with guarded(source), _opened(source) as file:
        page = _first(file)
        return page.imagelength, page.imagewidth, page.samplesperpixel


def decode(source: Path | bytes) -> tuple[np.ndarray, bool]:
    """Values (h, w, c) of the first page, and whether its low values are white. Raises DataError."""
    with guarded(source), _opened(source) as file:
        page = _first(file)
        if page.samplesperpixel not in (1, 3, 4) or page.photometric not in (*GREY, COLOUR):
            what = f"is a TIFF of {page.samplesperpixel} channels, neither grey nor colour"
            raise DataError(what, where=name_of(source), fix="save 1 (grey) or 3 (colour) of them")
        if (turn := page.tags.get("Orientation")) is not None and turn.value != 1:
            raise DataError(f"has the orientation {turn.value}", where=name_of(source), fix="save it upright")
        values = page.asarray()
        values = np.moveaxis(values, 0, -1) if page.planarconfig == 2 and values.ndim == 3 else values
        values = values.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
        if page.samplesperpixel == 4:
            values = _without_alpha(values, source)
        return values, page.photometric == 0


def _is_deep(page: TiffPage) -> bool:
    bits, channels = page.bitspersample, page.samplesperpixel
    signed = int(page.sampleformat) != UNSIGNED
    beside = any(int(kind) == UNSPECIFIED for kind in page.extrasamples)
    deep = bits > 8 and (channels > 1 or page.photometric == 0)
    return deep or (bits == 8 and signed) or (bits == 32 and not signed) or bits == 64 or channels > 4 or beside


def _without_alpha(values: np.ndarray, source: Path | bytes) -> np.ndarray:
    opaque = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1.0
    if (values[..., 3] != opaque).any():
        what = "has a fourth channel that says something: transparent, or a series of its own"
        raise DataError(what, where=name_of(source), fix="save 1 (grey) or 3 (colour) channels")
    return values[..., :3]


def _first(file: TiffFile) -> TiffPage:
    page = file.pages[0]
    assert isinstance(page, TiffPage)
    return page


def _opened(source: Path | bytes) -> TiffFile:
    return TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source)
