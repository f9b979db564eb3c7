"""Decoding what an index names: image files, windows of them, frames of videos, slices of volumes; and the square.

Every step is fixed, so that a set built anywhere from the same files has the same pixels: Pillow decodes images,
OpenCV videos, nibabel volumes; grey is Pillow's ITU-R 601 luma; a volume is stretched from its 0.5th to its 99.5th
percentile.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from PIL import Image

from bench.data.located import Located
from bench.errors import DataError

Geometry = Literal["pad", "crop", "squeeze"]
"""How a picture becomes a square: black borders; its centre; stretched."""
Resampling = Literal["adaptive", "area"]
"""adaptive: bicubic when enlarging, Hamming to half the size, area average below. area: area average when shrinking."""
VIDEOS = (".mp4", ".avi", ".mov", ".mpeg", ".mpg")
VOLUMES = (".nii", ".nii.gz")
PERCENTILES = (0.5, 99.5)
MAX_FRAMES = 20_000
Read = Callable[[Located], bytes]


class PictureDecoder:
    """Decodes places through `read`; the last few files stay decoded, since neighbours in an index share them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._decoded = lru_cache(maxsize=2)(self._decode)

    def __call__(self, place: Located, mode: Literal["L", "RGB"]) -> Image.Image:
        """The picture at `place`, cut to its window. Raises DataError when it cannot be decoded."""
        frames = self._decoded(place.path, place.repository)
        number = place.frame or 0
        if place.slice is not None:
            frame = Image.fromarray(axial(stretched(np.asarray(frames)), place.slice, where=place.path))
        else:
            try:
                frame = frames[number]
            except IndexError:
                raise DataError(f"has no frame {number}", where=place.path) from None
        return cut(opaque(frame).convert(mode), place)

    def volume(self, place: Located) -> np.ndarray:
        """The voxels of a volume as they are stored. Raises DataError."""
        return np.asarray(self._decoded(place.path, place.repository))

    def _decode(self, path: str, repository: str | None) -> list[Image.Image] | Video | np.ndarray:
        content, name = self._read(Located(path, repository)), path.lower()
        try:
            if name.endswith(VOLUMES):
                return _volume(content, path)
            return Video(content, Path(name).suffix) if name.endswith(VIDEOS) else _frames(content)
        except DataError:
            raise
        except Exception as error:  # decoders raise many kinds; each means that the file cannot be read
            raise DataError(f"cannot be decoded: {str(error)[:150]}", where=path) from None


def opaque(image: Image.Image) -> Image.Image:
    """A picture with transparency laid over black; any other as it is."""
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image
    ground = Image.new("RGBA", image.size, (0, 0, 0, 255))
    ground.alpha_composite(image.convert("RGBA"))
    return ground


def cut(image: Image.Image, place: Located) -> Image.Image:
    """The window of a place, black outside the image; the image itself where none is named."""
    if place.window is None:
        return image
    left, top, width, height = place.window
    return image.crop((left, top, left + width, top + height))


def square(image: Image.Image, geometry: Geometry) -> Image.Image:
    """`image` as a square (or as it is, for "squeeze")."""
    (w, h), side = image.size, max(image.size)
    if geometry == "pad" and w != h:
        framed = Image.new(image.mode, (side, side))
        framed.paste(image, ((side - w) // 2, (side - h) // 2))
        return framed
    if geometry == "crop":
        side = min(w, h)
        left, top = (w - side) // 2, (h - side) // 2
        return image.crop((left, top, left + side, top + side))
    return image


def resized(image: Image.Image, size: int, resampling: Resampling) -> Image.Image:
    """`image` at (size, size)."""
    side = max(image.size)
    if side <= size:
        kind = Image.Resampling.BICUBIC
    elif resampling == "area" or side >= 2 * size:
        kind = Image.Resampling.BOX
    else:
        kind = Image.Resampling.HAMMING
    return image.resize((size, size), kind)


def stretched(volume: np.ndarray) -> np.ndarray:
    """uint8 voxels of a volume: linear between its 0.5th and 99.5th percentile."""
    low, high = np.percentile(volume, PERCENTILES)
    return (np.clip((volume.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


def axial(volume: np.ndarray, number: int, *, where: str) -> np.ndarray:
    """(h, w) of slice `number` of voxels (x, y, z) in RAS+ order, anterior up. Raises DataError."""
    if volume.ndim != 3 or number >= volume.shape[2]:
        raise DataError(f"has voxels {volume.shape}, the index asks for axial slice {number}", where=where)
    return np.ascontiguousarray(volume[:, :, number].T[::-1])


def _frames(content: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(content)) as image:
        count = getattr(image, "n_frames", 1)
        if count == 1 or image.format == "TIFF":
            return [image.copy()]
        frames = []
        for number in range(min(count, MAX_FRAMES)):
            image.seek(number)
            frames.append(image.convert("RGB"))
        return frames


class Video:
    """Frames of a video by number, decoded one after the other; asked for in order, each is decoded once."""

    def __init__(self, content: bytes, suffix: str) -> None:
        self._cv2 = needed("cv2", "video")
        self._file = tempfile.NamedTemporaryFile(suffix=suffix)  # noqa: SIM115 - OpenCV reads files; goes with the object
        self._file.write(content)
        self._file.flush()
        self._rewind()

    def _rewind(self) -> None:
        self._capture, self._next = self._cv2.VideoCapture(self._file.name), 0

    def __getitem__(self, number: int) -> Image.Image:
        """RGB frame `number`, from 0. Raises IndexError past the end."""
        if number < self._next:
            self._rewind()
        while self._next <= number:
            there, pixels = self._capture.read()
            if not there:
                raise IndexError(number)
            self._next += 1
        return Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))


def _volume(content: bytes, path: str) -> np.ndarray:
    nibabel = needed("nibabel", "volume")
    if path.endswith(".gz"):
        import gzip

        content = gzip.decompress(content)
    image = nibabel.Nifti1Image.from_bytes(content)
    if nibabel.aff2axcodes(image.affine) != ("R", "A", "S"):
        image = nibabel.as_closest_canonical(image)
    return np.asarray(image.dataobj)


def needed(package: str, what: str) -> ModuleType:
    """The module `package`, or a DataError that says what to install."""
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError:
        fix = "pip install 'medssl-bench[open]'"
        raise DataError(f"a {what} is read with the package {package}, which is not here", fix=fix) from None
