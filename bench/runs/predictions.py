"""Predictions of a task in one small file: masks of two classes as bits, everything compressed."""

import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.files import npz_bytes, npz_names, read_npz

_BITS = "@bits"


def predictions_bytes(arrays: Mapping[str, np.ndarray], *, small: bool = True) -> bytes:
    """An npz of predictions; its bytes depend only on the arrays. Masks of classes 0 and 1 take a bit a pixel.

    small: as small as can be (LZMA), which for masks takes thirty times as long.
    """
    method = zipfile.ZIP_LZMA if small else zipfile.ZIP_DEFLATED
    return npz_bytes(dict(_packed(k, a) for k, a in arrays.items()), method=method)


def read_predictions(path: Path, *, only: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Inverse of `predictions_bytes`. Raises UserError when the file is missing or not readable.

    only: names of the arrays to read, those that are there; all by default.
    """
    keys = npz_names(path)
    names = Counter(key.partition(_BITS)[0] for key in keys)
    if twice := next((name for name, n in names.items() if n > 1), None):
        raise UserError(f"holds the array {ascii(twice)[:100]} twice", where=path)
    kept = None if only is None else [key for key in keys if key.partition(_BITS)[0] in only]
    return dict(_unpacked(k, a, path) for k, a in read_npz(path, only=kept).items())


def prediction_names(path: Path) -> list[str]:
    """Names of the arrays in a file of predictions. Raises UserError when it is not readable."""
    return [key.partition(_BITS)[0] for key in npz_names(path)]


def _packed(key: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    if array.dtype == np.uint8 and array.ndim in (3, 4) and array.size and array.max() <= 1:
        return f"{key}{_BITS}{array.shape[-1]}", np.packbits(array, axis=-1)
    return key, array


def _unpacked(key: str, array: np.ndarray, path: Path) -> tuple[str, np.ndarray]:
    name, bits, width = key.partition(_BITS)
    if not bits:
        return key, array
    fits = width.isdecimal() and len(width) < 6 and array.dtype == np.uint8 and array.ndim in (3, 4)
    if not fits or (int(width) + 7) // 8 != array.shape[-1]:
        raise UserError(f"array {key[:100]!r} does not hold the bits its name says", where=path)
    return name, np.unpackbits(array, axis=-1, count=int(width))
