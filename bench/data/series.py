"""A folder that holds one DICOM series: its files are the slices of a volume, in the order in which they lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import dicom
from bench.data.guard import guarded
from bench.data.stack import Plane, Stack, in_plane, needed, plane_shape, with_whole
from bench.errors import DataError

SAME = {
    "series": ["SeriesInstanceUID"], "patients": ["PatientID"], "sizes": ["PixelSpacing", "Rows", "Columns"],
    "orientations": ["ImageOrientationPatient"],
}  # fmt: skip
"""What the files of a series have in common, and where they say it."""
TAGS = [*(tag for tags in SAME.values() for tag in tags), "ImagePositionPatient"]
UNEVEN = 0.1
"""By how much of their mean distance two slices may be farther from each other, or nearer, than the others."""


@dataclass(frozen=True)
class Series:
    """Files of a series in order, and voxel (column, row, slice) -> RAS+ in mm."""

    files: list[Path]
    affine: np.ndarray
    rows: int
    columns: int


def files_of(folder: Path) -> list[Path]:
    """DICOM files in a folder, by name."""
    return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".") and dicom.is_dicom(p))


def shape(folder: Path, plane: Plane | None) -> tuple[int, int, int]:
    """(slices, rows, columns) that `decode` gives, from the headers alone. Raises DataError."""
    series = _series(folder)
    return plane_shape((series.columns, series.rows, len(series.files)), series.affine, plane, folder)


def decode(folder: Path, plane: Plane | None) -> Stack:
    """The slices of the series in a folder. Raises DataError that names the file when one is damaged or missing."""
    series = _series(folder)
    parts = [_one(file, series) for file in series.files]
    meant = dicom.together([part.meant for part in parts], series.files)
    if meant.shown is not None:
        raise DataError("asks to be shown through tables of its own", where=folder, fix="window = [low, high]")
    voxels = np.concatenate([part.frames for part in parts])[..., 0].transpose(2, 1, 0)
    return with_whole(in_plane(voxels, series.affine, plane, meant, folder))


def _one(file: Path, series: Series) -> Stack:
    with guarded(file):
        stack = dicom.decode(file)
        if stack.frames.shape != (1, series.rows, series.columns, 1):
            raise DataError(f"holds {stack.frames.shape}, no grey slice of the size of the others", where=file)
        return stack


def _series(folder: Path) -> Series:
    files = files_of(folder)
    heads = [needed("pydicom").dcmread(file, stop_before_pixels=True, specific_tags=TAGS) for file in files]
    if not files:
        raise DataError("holds no DICOM files", where=folder)
    for file, head in zip(files, heads, strict=True):
        if "Rows" not in head:
            raise dicom.no_picture("Rows", file)
    for what, keys in SAME.items():
        found = {str([head.get(key) for key in keys]) for head in heads}
        if len(found) > 1:
            fix = "leave one in this folder (a scout lies across the others), or one folder each"
            raise DataError(f"holds {len(found)} {what} in {len(files)} files", where=folder, fix=fix)
    places = [p for head in heads if (p := dicom.position(head)) is not None and "PixelSpacing" in head]
    if len(places) < len(heads):
        raise DataError("holds slices that do not say where they lie", where=folder, fix="use them one by one")
    order = sorted(range(len(files)), key=places.__getitem__)
    _refuse_gaps([places[i] for i in order], [files[i] for i in order])
    first, last = heads[order[0]], heads[order[-1]]
    return Series([files[i] for i in order], _affine(first, last, len(files)), first.Rows, first.Columns)


def _refuse_gaps(places: list[float], files: list[Path]) -> None:
    steps = np.diff(places)
    if not len(steps):
        return
    usual = float(np.median(steps))
    for step, before, after in zip(steps, files[:-1], files[1:], strict=True):
        if step < 1e-3:
            fix = "leave one time point, echo or reconstruction in the folder"
            raise DataError(f"lies where {after.name} lies", where=before, fix=fix)
        if abs(step - usual) > UNEVEN * usual:
            what = f"lies {step:.3g} mm from {after.name}, other slices {usual:.3g} mm from each other: is one missing?"
            raise DataError(what, where=before, fix="complete the series, or use its slices one by one")


def _affine(first: Any, last: Any, n: int) -> np.ndarray:
    """(column, row, slice) to RAS+ in mm; DICOM counts to the left and to posterior (PS3.3 C.7.6.2.1.1)."""
    across, down = np.float64(first.ImageOrientationPatient).reshape(2, 3)
    corner, end = np.float64(first.ImagePositionPatient), np.float64(last.ImagePositionPatient)
    between = (end - corner) / (n - 1) if n > 1 else np.cross(across, down)
    affine = np.eye(4)
    affine[:3] = np.stack([across * first.PixelSpacing[1], down * first.PixelSpacing[0], between, corner], axis=1)
    return np.diag([-1.0, -1, 1, 1]) @ affine
