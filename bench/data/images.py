"""Image files, of whatever kind, as uint8 (h, w, c): the one place where pixels are read."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field

from bench.data import dicom, nifti, series, tiff
from bench.data.foreign import CONVERT, CURES, kind_of
from bench.data.guard import guarded, name_of, stem_of
from bench.data.pixels import to_uint8
from bench.data.stack import Plane, Stack
from bench.data.windows import One, PixelMeaning
from bench.errors import DataError
from bench.words import AIR

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm"})
Size = Annotated[int, Field(ge=8, le=2048)]
SIXTEEN_BIT_COLOUR = "images: 16-bit colour or transparency, of which the upper 8 bits are kept"
FIRST_FRAME = "images: several frames, of which the first is taken"
TURNED = "images: turned upright as its EXIF tag says"
OTHER_COLOURS = "images: palette, CMYK or other colours, made RGB"
NOT_SQUARE = "images: pixels longer than wide, or wider than long, shown as if they were square"
SQUARE = 0.01
"""By how much of each other the sides of a square pixel differ."""
WHITE = "white"
"""Where `opened` keeps the value that a PGM file calls white."""
WHICH = (
    'say slices = "middle" or slices = "all" in [source], or volume = true to see it whole; a table can also name one: '
    "scan.nii.gz#slice=12"
)
Shown = One | list[One] | None
"""The window of a card, or None."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the start of an image file tells: size in pixels once upright, whether it is in colour, how it is turned."""

    width: int
    height: int
    colour: bool
    turn: int
    """EXIF orientation; 1 where there is none."""
    frames: int = 1
    """Slices of a volume, frames of a DICOM file; of other files the first frame is meant."""
    scout: bool = False
    """Whether it is a DICOM localizer, on which the other images were planned."""


def is_clinical(source: Path | bytes) -> bool:
    """Whether a file is DICOM or NIfTI, or a folder, which is a series."""
    if isinstance(source, bytes):
        return dicom.is_dicom(source)
    name = source.name.lower()
    if name.endswith((*nifti.SUFFIXES, *dicom.SUFFIXES)):
        return True
    return source.suffix.lower() not in SUFFIXES and (source.is_dir() or dicom.is_dicom(source))


def is_image(path: Path) -> bool:
    """Whether a file is of a kind that is read: by its name; DICOM files also by their first bytes."""
    return path.suffix.lower() in SUFFIXES or is_clinical(path)


def stem(path: Path) -> str:
    """The name of an image without the ending that says its kind: "a.nii.gz" is "a"."""
    return stem_of(path, (*SUFFIXES, *nifti.SUFFIXES, *dicom.SUFFIXES))


def read_header(source: Path | bytes, plane: Plane | None = None, channel: int | None = None) -> Header:
    """Size, as it will be after turning upright, and colour, without decoding. Raises DataError."""
    if is_clinical(source):
        with guarded(source):
            return _clinical_header(source, plane, channel)
    if tiff.is_deep(source):
        rows, columns, channels = tiff.size(source)
        return Header(columns, rows, channels > 1, 1)
    with opened(source) as image:
        turn = image.getexif().get(0x0112, 1)
        width, height = image.size[::-1] if turn >= 5 else image.size
        colour = image.mode not in ("1", "L", "LA", "I", "F") and not image.mode.startswith("I;")
        return Header(width, height, colour, turn)


def _clinical_header(source: Path | bytes, plane: Plane | None, channel: int | None) -> Header:
    if isinstance(source, Path) and (source.is_dir() or source.name.lower().endswith(nifti.SUFFIXES)):
        of_series = source.is_dir()
        frames, rows, columns = series.shape(source, plane) if of_series else nifti.shape(source, plane, channel)
        return Header(columns, rows, False, 1, frames)
    frames, rows, columns, colour, scout = dicom.header(source)
    return Header(columns, rows, colour, 1, frames, scout)


def read_stack(source: Path | bytes, plane: Plane | None = None, channel: int | None = None) -> Stack:
    """All pictures of a DICOM file, a series or a NIfTI volume (4-D: of a channel). Raises DataError with its name."""
    with guarded(source):
        if isinstance(source, bytes) or not (source.is_dir() or source.name.lower().endswith(nifti.SUFFIXES)):
            return dicom.decode(source)
        return series.decode(source, plane) if source.is_dir() else nifti.decode(source, plane, channel)


def read_image(source: Path | bytes, window: Shown, remarks: Counter[str]) -> np.ndarray:
    """uint8 (h, w, c), c in {1, 3}, upright, of a file with one picture. Raises DataError when it is unreadable."""
    if is_clinical(source):
        return frame_of(read_stack(source), None, window, remarks, where=name_of(source))
    if tiff.is_deep(source):
        values, inverted = tiff.decode(source)
        return to_uint8(values[None], window, remarks, where=name_of(source), meant=PixelMeaning(inverted=inverted))[0]
    with opened(source) as image:
        if getattr(image, "n_frames", 1) > 1:
            remarks[FIRST_FRAME] += 1
        if _is_sixteen_bit_colour(source) or (image.mode == "RGB" and image.info.get(WHITE, 0) > 255):
            remarks[SIXTEEN_BIT_COLOUR] += 1
        upright = ImageOps.exif_transpose(image)
        if image.getexif().get(0x0112, 1) > 1:
            remarks[TURNED] += 1
        pixels = np.asarray(_plain(with_alpha(upright, name_of(source)), remarks))
        pixels = as_stored(pixels, image) if image.mode == "I" else pixels
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return to_uint8(pixels[None], window, remarks, where=name_of(source))[0]


def frame_of(stack: Stack, number: int | None, window: Shown, remarks: Counter[str], *, where: object) -> np.ndarray:
    """uint8 (h, w, c) of one picture of a stack; number None: its only one. Raises DataError."""
    at = only(stack, number, where)
    if stack.spacing is not None and abs(stack.spacing[1] / stack.spacing[2] - 1) > SQUARE:
        remarks[NOT_SQUARE] += 1
    meant = stack.meant if stack.meant.shown is None else replace(stack.meant, shown=stack.meant.shown[at : at + 1])
    return to_uint8(stack.frames[at : at + 1], window, remarks, where=where, meant=meant)[0]


def only(stack: Stack, number: int | None, where: object) -> int:
    """Place of the picture that is meant. Raises DataError where it is not there, or several could be."""
    n = len(stack.frames)
    if number is None and n > 1:
        raise DataError(f"holds {n} slices or frames: which?", where=where, fix=WHICH)
    if (number or 0) >= n:
        raise DataError(f"has no slice {number}: it has {n}, counted from 0", where=where)
    return number or 0


def fit(image: np.ndarray, size: int | None, channels: int, *, where: object = None) -> np.ndarray:
    """(h, w, c) made (size, size, channels): padded to a square with black, resized bicubic, antialiased.

    Raises DataError when an image in colour would become grey.
    """
    if channels == 3 and image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    if channels == 1 and image.shape[-1] == 3:
        if (image != image[..., :1]).any():
            raise DataError("is in colour, where grey is expected", where=where, fix="say channels = 3 in [source]")
        image = image[..., :1]
    if size is None or image.shape[:2] == (size, size):
        return image
    square = _padded(image)
    flat = Image.fromarray(square[..., 0] if channels == 1 else square)
    resized = np.asarray(flat.resize((size, size), Image.Resampling.BICUBIC))
    return resized[..., None] if channels == 1 else resized


def fit_intensities(values: np.ndarray, size: int | None) -> np.ndarray:
    """float32 (h, w, 1), Hounsfield units, made (size, size, 1): padded with air, resized bicubic, antialiased."""
    if size is None or values.shape[:2] == (size, size):
        return values
    square = _padded(values[..., 0], AIR)
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))[..., None]


def fit_mask(mask: np.ndarray, size: int | None) -> np.ndarray:
    """(h, w) made (size, size): padded with background, resized to the nearest value."""
    if size is None or mask.shape == (size, size):
        return mask
    square = _padded(mask)
    rows = (np.arange(size) + 0.5) * len(square) / size
    index = rows.astype(np.int64)
    return square[np.ix_(index, index)]


def _padded(image: np.ndarray, fill: float = 0) -> np.ndarray:
    h, w = image.shape[:2]
    side = max(h, w)
    top, left = (side - h) // 2, (side - w) // 2
    square = np.full((side, side, *image.shape[2:]), fill, image.dtype)
    square[top : top + h, left : left + w] = image
    return square


def _plain(image: Image.Image, remarks: Counter[str]) -> Image.Image:
    mode = image.mode
    if mode == "1":
        return image.convert("L")
    if mode in ("L", "LA", "RGB", "RGBA", "I", "F") or mode.startswith("I;"):
        return image
    remarks[OTHER_COLOURS] += 1
    return image.convert("RGBA" if mode in ("PA", "La", "RGBa") or "transparency" in image.info else "RGB")


def with_alpha(image: Image.Image, where: object) -> Image.Image:
    """A picture whose one transparent colour (PNG tRNS), which Pillow keeps beside the pixels, has alpha instead.

    Raises DataError for one of 16 bits, where Pillow cannot.
    """
    if "transparency" not in image.info:
        return image
    if image.mode in ("1", "L", "RGB"):
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode.startswith("I"):
        what = f"has 16 bits and a transparent colour ({image.info['transparency']})"
        raise DataError(what, where=where, fix="save it without transparency")
    return image


def as_stored(values: np.ndarray, image: Image.Image) -> np.ndarray:
    """`values` of an `opened` image as they lie in its file: Pillow stretches white of a PGM to 255, or to 65535."""
    white, top = image.info.get(WHITE), 65535 if image.mode == "I" else 255
    return values if white is None else np.rint(values * (white / top)).astype(values.dtype)


@contextmanager
def opened(source: Path | bytes) -> Iterator[Image.Image]:
    """A file opened by Pillow; whatever its decoders raise in here becomes a DataError."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            tile = image.tile[0].args if image.format == "PPM" and image.tile else None
            if isinstance(tile, tuple) and len(tile) == 2:
                image.info[WHITE] = tile[1]
            yield image
    except FileNotFoundError:
        raise DataError("no such file", where=name_of(source)) from None
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds; each means that the file cannot be read.
        if (kind := kind_of(source)) is not None:
            raise DataError(
                f"is {kind}, which is not read", where=name_of(source), fix=CURES.get(kind, CONVERT)
            ) from None
        raise DataError(f"is not a readable image: {str(error)[:150]}", where=name_of(source)) from None


def _is_sixteen_bit_colour(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        head = source[:26]
    else:
        with open(source, "rb") as file:
            head = file.read(26)
    return head[:4] == b"\x89PNG" and head[24:26] in (b"\x10\x02", b"\x10\x04", b"\x10\x06")
