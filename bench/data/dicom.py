"""DICOM images (PS3.3, PS3.5): single, of several frames, or a folder with one series.

Values are those after the modality LUT (rescale slope and intercept: Hounsfield units in CT). Of the header only what
tells how to read the pixels is used; PatientID is hashed when a card asks for it. No name and no date is kept.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.guard import name_of
from bench.data.stack import Stack, needed, whole_numbers, with_whole
from bench.data.windows import PixelMeaning, UnitsSeen
from bench.errors import DataError
from bench.files import first_bytes

SUFFIXES = (".dcm", ".dicom", ".ima")
HEADER = ["Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "ImageType"]
COLOURS = (
    "RGB",
    "PALETTE COLOR",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_PARTIAL_422",
    "YBR_PARTIAL_420",
    "YBR_ICT",
    "YBR_RCT",
)
GREYS = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(source: Path | bytes) -> bool:
    """Whether a file is DICOM, by its first bytes (PS3.10: "DICM" after 128 others)."""
    return (first_bytes(source, 132) or b"")[128:] == b"DICM"


def header(source: Path | bytes) -> tuple[int, int, int, bool, bool]:
    """(frames, rows, columns, whether it is in colour, and a scout), without the pixels. Raises DataError."""
    read = _read(source, HEADER)
    colour, scout = read.PhotometricInterpretation not in GREYS, "LOCALIZER" in (read.get("ImageType") or ())
    return int(read.get("NumberOfFrames") or 1), read.Rows, read.Columns, colour, scout


def is_several(source: Path) -> bool:
    """Whether a file has several frames: a stack of its own, no slice of a series."""
    return int(read_tags(source, ["NumberOfFrames"]).get("NumberOfFrames") or 1) > 1


def read_tags(source: Path, only: list[str]) -> Any:
    """A few attributes of a file, for whoever has to describe it. Raises DataError."""
    return _read(source, only, pixels=False)


def patient(source: Path, corpus: str) -> str | None:
    """The patient of a file or of the first file of a folder, as a hash that differs between corpora."""
    file = next(iter(sorted(source.iterdir())), source) if source.is_dir() else source
    name = str(read_tags(file, ["PatientID"]).get("PatientID") or "").strip()
    return hashlib.sha256(f"{corpus}|{name}".encode()).hexdigest()[:16] if name else None


def decode(source: Path | bytes) -> Stack:
    """The frames of one file, sorted by where they lie, if they say so. Raises DataError."""
    dataset = _read(source)
    pixels = _pixels(dataset, source)
    values, kinds = zip(*(_frame(dataset, i, frame, source) for i, frame in enumerate(pixels)), strict=True)
    frames = np.stack(values)
    meant = together(kinds, [f"frame {i} of {name_of(source)}" for i in range(len(frames))])
    order = _order(dataset, len(frames))
    if meant.shown is not None:
        meant = replace(meant, shown=meant.shown[order])
    return with_whole(Stack(frames[order], meant))


def _read(source: Path | bytes, only: list[str] | None = None, *, pixels: bool = True) -> Any:
    pydicom = needed("pydicom")
    pydicom.config.settings.reading_validation_mode = (
        pydicom.config.IGNORE
    )  # odd tags of no concern; nothing is written
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    dataset = pydicom.dcmread(file, stop_before_pixels=only is not None, specific_tags=only)
    if pixels and (lacking := [key for key in ("Rows", "Columns", "PhotometricInterpretation") if key not in dataset]):
        raise no_picture(lacking[0], name_of(source))
    return dataset


def no_picture(lacking: str, where: object) -> DataError:
    """A file that is no image: a report, a presentation state, an index."""
    fix = "it is a report or the like: move it out of the folder"
    return DataError(f"is a DICOM file without a picture (no {lacking})", where=where, fix=fix)


def _pixels(dataset: Any, source: Path | bytes) -> np.ndarray:
    """Stored values (n, h, w, c), colour as RGB."""
    kind = dataset.PhotometricInterpretation
    if kind not in (*GREYS, *COLOURS):
        raise DataError(f"has the colours {str(kind)[:40]}, which are not read", where=name_of(source))
    if getattr(dataset, "Modality", "") == "SEG":
        fix = "save the masks as NIfTI or PNG"
        raise DataError("is a DICOM segmentation, which is not read", where=name_of(source), fix=fix)
    if not any(key in dataset for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise no_picture("PixelData", name_of(source))
    try:
        values = needed("pydicom.pixels").pixel_array(dataset)
    except RuntimeError as error:
        name = dataset.file_meta.TransferSyntaxUID.name
        fix = "pip install 'medssl-bench[clinical]' python-gdcm, or decompress it, e.g. gdcmconv --raw"
        raise DataError(f"is compressed ({name}): {_first_line(error)}", where=name_of(source), fix=fix) from None
    if kind == "PALETTE COLOR":
        values = needed("pydicom.pixels").apply_color_lut(values, dataset)
        values = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
    elif kind in GREYS:
        values = _stored(values, dataset, source)[..., None]
    several = int(dataset.get("NumberOfFrames") or 1) > 1
    return values if several else values.reshape(1, *values.shape[-3:])


def _stored(values: np.ndarray, dataset: Any, source: Path | bytes) -> np.ndarray:
    """Values of `BitsStored` bits: the bits above them, where old files keep overlays, are cut off."""
    bits, stored = values.dtype.itemsize * 8, int(dataset.BitsStored)
    if int(dataset.get("HighBit", stored - 1)) != stored - 1:
        raise DataError("keeps its values in the middle of words (HighBit), a retired form", where=name_of(source))
    return values if values.dtype.kind == "f" or stored >= bits else (values << (bits - stored)) >> (bits - stored)


def _frame(dataset: Any, number: int, stored: np.ndarray, source: Path | bytes) -> tuple[np.ndarray, PixelMeaning]:
    """Values of a frame (h, w, c) after the modality LUT, and what they mean."""
    if dataset.PhotometricInterpretation not in GREYS:
        return stored, PixelMeaning("other")
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    if "ModalityLUTSequence" in dataset:
        values = needed("pydicom.pixels").apply_modality_lut(stored, dataset)
        return values, _voi(dataset, number, values, PixelMeaning("other", inverted=inverted), source)
    scale = _group(dataset, number, "PixelValueTransformationSequence")
    slope, intercept = float(scale.get("RescaleSlope", 1)), float(scale.get("RescaleIntercept", 0))
    if slope == 0:
        raise DataError("has a rescale slope of 0, which makes all values one", where=name_of(source))
    values = stored if (slope, intercept) == (1, 0) else whole_numbers(stored.astype(np.float64) * slope + intercept)
    hounsfield = dataset.get("Modality") == "CT" and "RescaleIntercept" in scale
    hounsfield = hounsfield and str(scale.get("RescaleType") or "HU").strip().upper() == "HU"
    tagged = "RescaleSlope" in scale or "RescaleIntercept" in scale
    rescaled = None if tagged and (slope, intercept) == (1, 0) else tagged
    meant = PixelMeaning("hounsfield" if hounsfield else "other", inverted=inverted, rescaled=rescaled)
    return values, _voi(dataset, number, values, meant, source)


def _voi(dataset: Any, number: int, values: np.ndarray, meant: PixelMeaning, source: Path | bytes) -> PixelMeaning:
    """`meant` with what a frame asks to be shown: a window, or the picture through its table (PS3.3 C.11.2.1)."""
    said = _group(dataset, number, "FrameVOILUTSequence")
    if said.get("VOILUTSequence"):
        bits = int(said.VOILUTSequence[0].LUTDescriptor[2])
        shown = needed("pydicom.pixels").apply_voi(values, said)
        return replace(meant, shown=np.rint(shown * (255.0 / (2**bits - 1))).clip(0, 255).astype(np.uint8))
    windows = sorted(set(zip(_numbers(said.get("WindowCenter")), _numbers(said.get("WindowWidth")), strict=False)))
    if len(windows) != 1:
        views = ", ".join(f"{c:g} wide {w:g}" for c, w in windows[:4])
        return replace(meant, why=f"names several windows ({views})") if windows else meant
    (centre, width), function = windows[0], str(said.get("VOILUTFunction") or "LINEAR").upper()
    if function == "SIGMOID":
        curve = 255 / (1 + np.exp(-4 * (values.astype(np.float64) - centre) / width))
        return replace(meant, shown=np.rint(curve).astype(np.uint8))
    if width <= 1:
        return replace(meant, why=f"names a window of width {width:g}")
    half, middle = (width / 2, centre) if function == "LINEAR_EXACT" else ((width - 1) / 2, centre - 0.5)
    return replace(meant, window=(middle - half, middle + half))


def _numbers(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    return [float(v) for v in value] if hasattr(value, "__iter__") and not isinstance(value, str) else [float(value)]


def _group(dataset: Any, frame: int, sequence: str) -> Any:
    """Where attributes of a frame stand: its own functional group, that of all frames, or the file itself."""
    own = dataset.get("PerFrameFunctionalGroupsSequence")
    for group in ([own[frame]] if own else []) + list(dataset.get("SharedFunctionalGroupsSequence") or []):
        if sequence in group:
            return group[sequence][0]
    return dataset


def together(kinds: Sequence[PixelMeaning], names: Sequence[object]) -> PixelMeaning:
    """What frames of these names say together: one meaning for all. Raises DataError where their units differ."""
    first, units = kinds[0], UnitsSeen()
    for kind, name in zip(kinds, names, strict=True):
        units.agree(kind, name)
    if turned := next((n for k, n in zip(kinds, names, strict=True) if k.inverted != first.inverted), None):
        what = f"shows low values {'black' if first.inverted else 'white'}, unlike {names[0]} (MONOCHROME1 and 2)"
        raise DataError(what, where=turned, fix="convert the slices of a series alike, or use them one by one")
    if any((k.units, k.window, k.shown is None) != (first.units, first.window, first.shown is None) for k in kinds):
        return replace(first, window=None, shown=None, why="asks for other windows in other frames")
    if first.shown is not None:
        return replace(first, shown=np.stack([kind.shown for kind in kinds if kind.shown is not None]))
    return first


def _order(dataset: Any, frames: int) -> list[int]:
    """The order of frames along their normal; as they are stored where they do not say where they lie."""
    places = [place for i in range(frames) if (place := position(_placed(dataset, i))) is not None]
    return list(range(frames)) if len(places) < frames else sorted(range(frames), key=places.__getitem__)


def _placed(dataset: Any, frame: int) -> Any:
    """The orientation and position of a frame, together."""
    oriented, placed = (_group(dataset, frame, f"Plane{what}Sequence") for what in ("Orientation", "Position"))
    return {"ImageOrientationPatient": oriented.get("ImageOrientationPatient"),
            "ImagePositionPatient": placed.get("ImagePositionPatient")}  # fmt: skip


def position(placed: Any) -> float | None:
    """Millimetres of a slice along its normal, or None where it does not say."""
    cosines, corner = placed.get("ImageOrientationPatient"), placed.get("ImagePositionPatient")
    if not cosines or not corner:
        return None
    normal = np.cross(np.float64(cosines[:3]), np.float64(cosines[3:]))
    return float(normal @ np.float64(corner))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
