"""What lies in a folder: kinds of files, sizes, bits, patients, and how classes or masks are laid out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import dicom, nifti, tiff
from bench.data.foreign import files_below, unread_files
from bench.data.guard import guarded
from bench.data.images import SUFFIXES, Header, as_stored, is_clinical, is_image, opened, read_header, read_stack
from bench.data.masks import LOSSY, is_lossless, read_mask
from bench.data.stack import NotAxialError, Plane
from bench.errors import DataError

MAX_COLOURS = 40
SAMPLED = 24
"""Files whose pixels are looked at, spread evenly."""
MODALITIES = {
    "CT": "ct", "MR": "mri", "US": "ultrasound", "DX": "xray", "CR": "xray", "RG": "xray", "MG": "xray", "PT": "pet",
    "OP": "fundus", "OPT": "oct", "SM": "histology", "GM": "microscopy", "ES": "endoscopy", "XC": "photo",
}  # fmt: skip
"""DICOM modality (PS3.3 C.7.3.1.1.1) -> ours."""
TABLES = (".csv", ".tsv")
OTHERWISE = {
    ".npy": "save the images and labels of train, val and test into one npz file (numpy.savez): see docs/data.md, npz",
    ".parquet": 'write a card with source = { reader = "huggingface", path = ".", format = "parquet", label = "..." }: '
    "see docs/data.md, huggingface",
}
"""What is read, but is no folder of images: kind of file -> what to do."""
HEADER_TAGS = ["Modality", "PatientID"]


@dataclass(frozen=True)
class Depth:
    """The values of a few images: their range (of the finite ones), type, and what DICOM files say of them."""

    low: float
    high: float
    whole: bool
    hounsfield: bool = False
    windowed: bool = False


@dataclass(frozen=True)
class Survey:
    """What was seen. headers: of each image; tables, outlines: CSV and COCO files."""

    folder: Path
    headers: dict[Path, Header]
    tables: list[Path] = field(default_factory=list)
    outlines: list[Path] = field(default_factory=list)
    arrays: list[Path] = field(default_factory=list)
    unread: str = ""
    skipped: list[str] = field(default_factory=list)
    """Images whose header cannot be read, with the reason."""

    def without(self, masks: Iterable[Path]) -> Survey:
        """What was seen of the other files."""
        aside = set(masks)
        return replace(self, headers={path: head for path, head in self.headers.items() if path not in aside})

    @property
    def images(self) -> list[Path]:
        """Image files, by path."""
        return list(self.headers)

    @cached_property
    def kinds(self) -> Counter[str]:
        """Images of each kind of file."""
        return Counter(map(_kind, self.headers))

    @cached_property
    def sizes(self) -> Counter[tuple[int, int]]:
        """Images of each width and height."""
        return Counter((header.width, header.height) for header in self.headers.values())

    @cached_property
    def frames(self) -> Counter[int]:
        """Images of each number of slices or frames."""
        return Counter(header.frames for header in self.headers.values())

    @property
    def colour(self) -> bool:
        """Whether an image is in colour."""
        return any(header.colour for header in self.headers.values())

    @cached_property
    def depth(self) -> Depth:
        """The values of some images. Raises DataError where they cannot be read."""
        return _depth(_spread(self.images))

    @cached_property
    def _tags(self) -> list[dict[str, str]]:
        return [_tags(path) for path in self.headers if is_clinical(path) and dicom.is_dicom(path)]

    @property
    def modalities(self) -> Counter[str]:
        """DICOM files of each modality."""
        return Counter(MODALITIES.get(tag["Modality"], "mixed") for tag in self._tags)

    @property
    def patients(self) -> int | None:
        """Distinct PatientIDs, where every image has one."""
        found = {tag["PatientID"] for tag in self._tags}
        return len(found) if found and len(self._tags) == len(self.headers) and "" not in found else None

    @cached_property
    def plane(self) -> Plane | None:
        """The plane in which volumes were acquired, where it is not the axial one."""
        return _plane(_spread([path for path in self.headers if path.name.lower().endswith(nifti.SUFFIXES)]))

    @cached_property
    def channels(self) -> int:
        """The most channels or time points of some NIfTI files."""
        files = _spread([path for path in self.headers if path.name.lower().endswith(nifti.SUFFIXES)])
        return max(map(nifti.channels, files), default=1)


def survey(folder: Path) -> Survey:
    """Look at every file below `folder`. Raises DataError where there is nothing to see."""
    if not folder.is_dir():
        raise DataError("no such folder", where=folder)
    files = files_below(folder)
    arrays = [p for p in files if p.suffix.lower() == ".npz"]
    images = [p for p in files if is_image(p)]
    if not images and not arrays:
        unread = unread_files(folder, is_image)
        usual = f"read are {', '.join(sorted(SUFFIXES))}, DICOM and NIfTI; files need their endings"
        fix = next((OTHERWISE[p.suffix.lower()] for p in files if p.suffix.lower() in OTHERWISE), usual)
        raise DataError(f"holds no images{f': {unread}' if unread else ''}", where=folder, fix=fix)
    with ThreadPoolExecutor() as pool:
        headers = list(pool.map(_header, images))
    known = {path: found for path, found in zip(images, headers, strict=True) if isinstance(found, Header)}
    if images and not known:
        raise DataError(next(found for found in headers if isinstance(found, str)), where=folder)
    return Survey(
        folder,
        known,
        [p for p in files if p.suffix.lower() in TABLES],
        [p for p in files if p.suffix.lower() == ".json" and _is_coco(p)],
        arrays,
        unread_files(folder, lambda path: is_image(path) or (not images and path in arrays)),
        [found for found in headers if isinstance(found, str)],
    )


@dataclass(frozen=True)
class MaskRule:
    """A key `mask` that reads masks which are no class indices: what it takes them for, in words, and the classes."""

    rule: str | list[str]
    said: str
    classes: list[str]


def mask_values(masks: Sequence[Path]) -> list[int] | MaskRule:
    """The values of some mask files, sorted; or the rule by which they are read. Raises DataError."""
    found: set[int] = set()
    for path in _spread(list(masks)):
        try:
            values = read_stack(path).frames if is_clinical(path) else read_mask(path, "index", 256).values
        except DataError as error:
            if (rule := _other_rule(masks)) is None:
                raise error from None
            return rule
        found |= {int(v) for v in np.unique(values)[:256]}
    return sorted(found)


def _other_rule(masks: Sequence[Path]) -> MaskRule | None:
    """The colours of the classes, black first, or a threshold for lossy files; None where neither is meant."""
    if any(is_clinical(path) for path in masks):
        return None
    colours: set[str] = set()
    for path in _spread(list(masks)):
        with opened(path) as image:
            if image.format in LOSSY and not is_lossless(path):
                said = "lossy files (JPEG), in which values of at least 128 are taken for foreground"
                return MaskRule("threshold", said, ["background", "foreground"])
            if image.mode in ("LA", "PA", "RGBA"):
                return None
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        colours |= {"#" + bytes(colour).hex() for colour in np.unique(pixels, axis=0)[: MAX_COLOURS + 1].tolist()}
    if not 2 <= len(colours) <= MAX_COLOURS or "#000000" not in colours:
        return None
    order = sorted(colours)
    said = f"masks in the colours {', '.join(order[:8])}; black is taken for background, give the others their names"
    return MaskRule(order, said, ["background", *order[1:]])


def _header(path: Path, channel: int | None = None) -> Header | str:
    try:
        return read_header(path, None, channel)
    except NotAxialError as error:
        return read_header(path, error.plane, 0)
    except nifti.ChannelsError:
        return _header(path, 0)
    except DataError as error:
        return str(error)


def _plane(paths: Sequence[Path]) -> Plane | None:
    for path in paths:
        try:
            read_header(path, None, 0)
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
        stack = read_stack(path, "axial", 0)
        meant = stack.meant
        return depth_of(
            stack.frames, hounsfield=meant.units == "hounsfield", windowed=bool(meant.window or meant.shown is not None)
        )
    if tiff.is_deep(path):
        return depth_of(tiff.decode(path)[0])
    with opened(path) as image:
        plain = image if image.mode in ("I", "F") or image.mode.startswith("I;") else image.convert("L")
        return depth_of(as_stored(np.asarray(plain), image) if image.mode == "I" else np.asarray(plain))


def depth_of(values: np.ndarray, *, hounsfield: bool = False, windowed: bool = False) -> Depth:
    """The range of some values and their kind. hounsfield, windowed: what their file says."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return Depth(low, high, values.dtype.kind in "iu", hounsfield, windowed)


def _is_coco(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8-sig") as file:
            table: Any = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(table, dict) and {"images", "annotations", "categories"} <= set(table)
