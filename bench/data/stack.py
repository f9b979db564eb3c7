"""What every reader of clinical files returns: pictures one above the other, where they lie, what their values mean."""

from dataclasses import dataclass, field, replace
from importlib import import_module
from types import ModuleType
from typing import Literal

import numpy as np

from bench.data.windows import PixelMeaning
from bench.errors import DataError

Plane = Literal["axial", "coronal", "sagittal"]
THICK = 1.5
"""How many times coarser the coarsest axis of a volume is where its slices were not acquired axially."""
AXES: dict[Plane, int] = {"axial": 2, "coronal": 1, "sagittal": 0}
"""The axis of (left, posterior, superior) along which the slices of a plane follow each other."""


class NotAxialError(DataError):
    """A volume that was acquired in another plane than the axial one, and a card that names none."""

    plane: Plane


@dataclass(frozen=True)
class Stack:
    """frames: (n, h, w, c), any number type, in the file's own values. spacing: mm between (frames, rows, columns).

    affine: frame, row, column -> RAS+ in mm, (4, 4); None where the file does not say where it lies.
    """

    frames: np.ndarray
    meant: PixelMeaning = field(default_factory=PixelMeaning)
    spacing: tuple[float, float, float] | None = None
    affine: np.ndarray | None = None


def in_plane(voxels: np.ndarray, affine: np.ndarray, plane: Plane | None, meant: PixelMeaning, where: object) -> Stack:
    """Slices as a radiologist sees them: the patient's right on the left, anterior or superior above.

    voxels: (i, j, k) with affine (4, 4) to RAS+ in mm. Axial slices run from inferior to superior, coronal ones from
    anterior to posterior, sagittal ones (anterior on the left) from right to left. plane None: axial, where nothing
    speaks for another. Raises DataError where it does.
    """
    orientations = needed("nibabel.orientations")
    native = orientations.io_orientation(affine)
    turn = orientations.ornt_transform(native, orientations.axcodes2ornt(("L", "P", "S")))
    turned = orientations.apply_orientation(voxels, turn)
    moved = affine @ orientations.inv_ornt_aff(turn, voxels.shape)
    order, flip = frame_axes(plane or _usual(moved, where))
    frames, steps = turned.transpose(order), np.eye(4)
    steps[:3, :3] = np.eye(3)[:, list(order)]
    if flip:
        frames = frames[:, ::-1]
        steps[:3, 3] = steps[:3, 1] * (frames.shape[1] - 1)
        steps[:3, 1] *= -1
    placed = moved @ steps
    return Stack(frames[..., None], meant, spacing_of(placed), placed)


def plane_shape(shape: tuple[int, ...], affine: np.ndarray, plane: Plane | None, where: object) -> tuple[int, int, int]:
    """(frames, rows, columns) that `in_plane` makes of a volume, without its voxels."""
    empty = np.broadcast_to(np.uint8(0), shape)
    return in_plane(empty, affine, plane, PixelMeaning(), where).frames.shape[:3]


def frame_axes(plane: Plane) -> tuple[tuple[int, int, int], bool]:
    """Axes of (left, posterior, superior) that become (frames, rows, columns), and whether the rows are turned over."""
    return {"axial": ((2, 1, 0), False), "coronal": ((1, 2, 0), True), "sagittal": ((0, 2, 1), True)}[plane]


def _usual(affine: np.ndarray, where: object) -> Plane:
    mm = np.linalg.norm(affine[:3, :3], axis=0)
    coarsest = next(plane for plane, axis in AXES.items() if mm[axis] == mm.max())
    if mm.max() > THICK * mm[AXES["axial"]]:
        what = (
            f"has voxels of {mm[0]:.3g} x {mm[1]:.3g} x {mm[2]:.3g} mm (left, posterior, superior): {coarsest} slices?"
        )
        error = NotAxialError(what, where=where, fix=f'say plane = "{coarsest}" or plane = "axial" in [source]')
        error.plane = coarsest
        raise error
    return "axial"


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Millimetres along each axis of an affine."""
    a, b, c = np.linalg.norm(affine[:3, :3], axis=0).round(6).tolist()
    return a, b, c


def refuse_elsewhere(mask: Stack, image: Stack, where: object) -> None:
    """Raise DataError when a mask has other slices than its image, or lies elsewhere in the patient."""
    if len(mask.frames) != len(image.frames):
        raise DataError(f"has {len(mask.frames)} slices, its image {len(image.frames)}", where=where)
    if mask.affine is None or image.affine is None:
        return
    if np.abs(mask.affine - image.affine).max() > 0.1 * min(spacing_of(image.affine)):
        fix = "resample one to the grid of the other, or correct its header"
        raise DataError("lies elsewhere in the patient than its image (their affines differ)", where=where, fix=fix)


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """`values` as int32, where all of them are whole and fit; else as they are."""
    if values.dtype.kind != "f" or not np.isfinite(values).all() or np.abs(values).max(initial=0) >= 2**31:
        return values
    return values.astype(np.int32) if (values == np.rint(values)).all() else values


def with_whole(stack: Stack) -> Stack:
    """`stack` with its slices in one piece, its meaning knowing all values of the file."""
    frames = np.ascontiguousarray(stack.frames)
    return replace(stack, frames=frames, meant=replace(stack.meant, whole=frames))


def needed(module: str) -> ModuleType:
    """The module, or a DataError that says what to install."""
    try:
        return import_module(module)
    except ImportError:
        what = f"clinical files are read with the package {module.partition('.')[0]}, which is not here"
        raise DataError(what, fix="pip install 'medssl-bench[clinical]'") from None
