"""NIfTI volumes, in millimetres and in a stated frame (`bench.data.stack.in_plane`)."""

from pathlib import Path
from typing import Any

import numpy as np

from bench.data.stack import Plane, Stack, in_plane, needed, plane_shape, whole_numbers, with_whole
from bench.data.windows import PixelMeaning
from bench.errors import DataError

SUFFIXES = (".nii", ".nii.gz")


class ChannelsError(DataError):
    """A volume of several channels or time points, and a card that names none."""


def channels(path: Path) -> int:
    """How many channels or time points a file holds. Raises DataError."""
    shape = _opened(path).shape
    return shape[3] if len(shape) > 3 else 1


def shape(path: Path, plane: Plane | None, channel: int | None = None) -> tuple[int, int, int]:
    """(slices, rows, columns) that `decode` gives, from the header alone. Raises DataError."""
    image = _opened(path)
    return plane_shape(_three(image, path, channel), image.affine, plane, path)


def decode(path: Path, plane: Plane | None, channel: int | None = None) -> Stack:
    """The slices of a volume, scaled as its header says; channel: which one of a 4-D file.

    Raises DataError for 4-D without a channel, colour, or no orientation.
    """
    image = _opened(path)
    three = _three(image, path, channel)
    voxels = np.asanyarray(image.dataobj[..., channel] if _is_four(image) else image.dataobj).reshape(three)
    if image.get_data_dtype().kind in "iu":
        voxels = whole_numbers(voxels)
    return with_whole(in_plane(voxels, image.affine, plane, PixelMeaning(), path))


def _opened(path: Path) -> Any:
    image = needed("nibabel").load(path)
    header = image.header
    if image.get_data_dtype().fields or image.get_data_dtype().kind not in "iuf":
        fix = "save one number a voxel"
        raise DataError(f"holds {image.get_data_dtype()}, no plain numbers", where=path, fix=fix)
    if not (int(header.get("sform_code", 1)) or int(header.get("qform_code", 1))):
        what = "does not say how it lies in the patient (sform_code and qform_code are 0)"
        fix = "set it, with nibabel: image.set_sform(affine, code=1)"
        raise DataError(what, where=path, fix=fix)
    _refuse_two_meanings(image, path)
    return image


def _refuse_two_meanings(image: Any, path: Path) -> None:
    """DataError where the two orientations of a header point to different sides, or its unit is no millimetre."""
    header = image.header
    if not hasattr(header, "get_xyzt_units"):
        return
    ways = [way for way, code in (image.get_sform(coded=True), image.get_qform(coded=True)) if code]
    codes = ["".join(needed("nibabel").aff2axcodes(way)) for way in ways]
    if len(set(codes)) > 1:
        what = f"lies in the patient as {codes[0]} by its sform and as {codes[1]} by its qform"
        raise DataError(
            what, where=path, fix="set the right one for both, with nibabel: image.set_qform, image.set_sform"
        )
    if (unit := header.get_xyzt_units()[0]) in ("meter", "micron"):
        raise DataError(f"is in {unit}s, expected millimetres", where=path, fix="save it in millimetres")


def _is_four(image: Any) -> bool:
    return len(image.shape) == 4 and image.shape[3] > 1


def _three(image: Any, path: Path, channel: int | None) -> tuple[int, int, int]:
    sizes = (*image.shape, 1, 1, 1)
    what = f"has {len(image.shape)} dimensions {image.shape}: time points, or channels"
    if _is_four(image) and channel is None:
        fix = "say channel = 0 in [source] for the first, or save each as a volume of its own"
        raise ChannelsError(what, where=path, fix=fix)
    if _is_four(image) and channel is not None and channel >= image.shape[3]:
        raise DataError(f"has no channel {channel}: it has {image.shape[3]}, counted from 0", where=path)
    if not _is_four(image) and any(size != 1 for size in sizes[3:]):
        fix = "save each as a volume of its own: nibabel.four_to_three(image), fslsplit, or the one you mean"
        raise DataError(what, where=path, fix=fix)
    return sizes[0], sizes[1], sizes[2]
