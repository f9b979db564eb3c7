"""What lies in a folder: kinds of files, sizes, bits, patients, and how classes or masks are laid out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import dicom, nifti
from bench.data.foreign import is_hidden, unread_files
from bench.data.guard import guarded
from bench.data.images import SUFFIXES, Header, is_clinical, is_image, opened, read_header, read_stack
from bench.data.masks import read_mask
from bench.data.stack import NotAxialError, Plane
from bench.data.table import Table, read_table
from bench.errors import DataError

SAMPLED = 24
"""Files whose pixels are looked at, spread evenly."""
MODALITIES = {
    "CT": "ct", "MR": "mri", "US": "ultrasound", "DX": "xray", "CR": "xray", "RG": "xray", "MG": "xray", "PT": "pet",
    "OP": "fundus", "OPT": "oct", "SM": "histology", "GM": "microscopy", "ES": "endoscopy", "XC": "photo",
}  # fmt: skip
"""DICOM modality (PS3.3 C.7.3.1.1.1) -> ours."""
HEADER_TAGS = ["Modality", "PatientID"]


@dataclass(frozen=True)
class Depth:
    """The values of a few images: their range, type, and what DICOM files say of them."""

    low: float
    high: float
    whole: bool
    hounsfield: bool = False
    windowed: bool = False


@dataclass(frozen=True)
class Survey:
    """What was seen. tables, outlines: CSV and COCO files; patients: distinct PatientIDs where every file has one."""

    folder: Path
    images: list[Path]
    kinds: Counter[str]
    sizes: Counter[tuple[int, int]]
    frames: Counter[int]
    colour: bool
    depth: Depth
    modalities: Counter[str]
    patients: int | None
    tables: list[Path]
    outlines: list[Path]
    arrays: list[Path]
    plane: Plane | None = None
    """The plane in which volumes were acquired, where it is not the axial one."""
    unread: str = ""
    skipped: list[str] = field(default_factory=list)
    """Images whose header cannot be read, with the reason."""


def survey(folder: Path) -> Survey:
    """Look at every file below `folder`, and at the pixels of a few. Raises DataError where there is nothing to see."""
    if not folder.is_dir():
        raise DataError("no such folder", where=folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not is_hidden(p.relative_to(folder)))
    arrays = [p for p in files if p.suffix.lower() == ".npz"]
    images = [p for p in files if is_image(p)]
    if not images and not arrays:
        unread = unread_files(folder, is_image)
        raise DataError(f"holds no images{f': {unread}' if unread else ''}", where=folder)
    with ThreadPoolExecutor() as pool:
        headers = list(pool.map(_header, images))
    known = [(path, found) for path, found in zip(images, headers, strict=True) if isinstance(found, Header)]
    if images and not known:
        raise DataError(next(found for found in headers if isinstance(found, str)), where=folder)
    tags = [_tags(path) for path, _ in known if is_clinical(path) and dicom.is_dicom(path)]
    patients = {tag["PatientID"] for tag in tags}
    whole = bool(tags) and len(tags) == len(known) and "" not in patients
    return Survey(
        folder,
        [path for path, _ in known],
        Counter(_kind(path) for path, _ in known),
        Counter((header.width, header.height) for _, header in known),
        Counter(header.frames for _, header in known),
        any(header.colour for _, header in known),
        _depth(_spread([path for path, _ in known])),
        Counter(MODALITIES.get(tag["Modality"], "mixed") for tag in tags),
        len(patients) if whole else None,
        [p for p in files if p.suffix.lower() in (".csv", ".tsv")],
        [p for p in files if p.suffix.lower() == ".json" and _is_coco(p)],
        arrays,
        _plane(_spread([path for path, _ in known if path.name.lower().endswith(nifti.SUFFIXES)])),
        unread_files(folder, is_image),
        [found for found in headers if isinstance(found, str)],
    )


def image_table(path: Path) -> tuple[Table, str] | None:
    """A table and the column whose cells name files beside it, or None where no column does."""
    table = read_table(path, "image")
    for place, name in enumerate(table.columns):
        cells = [cells[place] for _, cells in table.rows[:SAMPLED]]
        if cells and all(cell and _file(path.parent, cell) for cell in cells):
            return table, name
    return None


def mask_values(masks: Sequence[Path]) -> list[int]:
    """The values of some mask files, sorted. Raises DataError."""
    found: set[int] = set()
    for path in _spread(list(masks)):
        values = read_stack(path).frames if is_clinical(path) else read_mask(path, "index", 256).values
        found |= {int(v) for v in np.unique(values)[:256]}
    return sorted(found)


def _header(path: Path) -> Header | str:
    try:
        return read_header(path)
    except DataError as error:
        return read_header(path, error.plane) if isinstance(error, NotAxialError) else str(error)


def _plane(paths: Sequence[Path]) -> Plane | None:
    for path in paths:
        try:
            read_header(path)
        except NotAxialError as error:
            return error.plane
    return None


def _tags(path: Path) -> dict[str, str]:
    with guarded(path):
        head = dicom.read_tags(path, HEADER_TAGS)
        return {key: str(head.get(key) or "").strip() for key in HEADER_TAGS}


def _kind(path: Path) -> str:
    if path.name.lower().endswith(nifti.SUFFIXES):
        return "NIfTI"
    return "DICOM" if is_clinical(path) else path.suffix.lower().removeprefix(".").upper().replace("JPEG", "JPG")


def _spread(paths: list[Path]) -> list[Path]:
    return paths if len(paths) <= SAMPLED else [paths[i * len(paths) // SAMPLED] for i in range(SAMPLED)]


def _depth(paths: Sequence[Path]) -> Depth:
    found = [_values(path) for path in paths]
    if not found:
        return Depth(0, 255, True)
    return Depth(
        min(d.low for d in found), max(d.high for d in found), all(d.whole for d in found),
        all(d.hounsfield for d in found), all(d.windowed for d in found),
    )  # fmt: skip


def _values(path: Path) -> Depth:
    if is_clinical(path):
        stack = read_stack(path, "axial")
        meant, values = stack.meant, stack.frames
        windowed = meant.window is not None or meant.shown is not None
        whole = values.dtype.kind in "iu"
        return Depth(float(values.min()), float(values.max()), whole, meant.units == "hounsfield", windowed)
    with opened(path) as image:
        values = np.asarray(image if image.mode in ("I", "F") or image.mode.startswith("I;") else image.convert("L"))
        return Depth(float(values.min()), float(values.max()), values.dtype.kind in "iu")


def _is_coco(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            table: Any = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(table, dict) and {"images", "annotations", "categories"} <= set(table)


def _file(root: Path, cell: str) -> bool:
    path = root / cell
    return (path.exists() and path != root) or any((root / f"{cell}{s}").is_file() for s in SUFFIXES)
