"""From what a file holds (numbers, names, mask values) to the labels of the contract."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bench.data.task import Task
from bench.errors import DataError
from bench.strict import nearest

MaskRule = Literal["index", "nonzero", "threshold"]
"""What mask values mean: class index; 0 against the rest; below 128 against the rest (JPEG masks)."""


def to_labels(values: np.ndarray, task: Task, mask: MaskRule = "index", *, where: object = None) -> np.ndarray:
    """Labels of one block: int64 (n,), uint8 (n, k), or uint8 (n, h, w), as `bench.data.dataset.Split` has them.

    values: (n,) or (n, 1) class indices; (n, k) of 0 and 1; masks (n, h, w) or (n, h, w, 1). Raises DataError.
    """
    if task.target == "mask":
        return to_mask(values, len(task.classes), mask, where=where)
    whole = _whole_numbers(values, where)
    if task.target == "multi-label":
        if whole.ndim != 2 or whole.shape[1] != len(task.classes):
            raise DataError(f"labels have shape {values.shape}, expected (n, {len(task.classes)})", where=where)
        _refuse_outside(whole, 2, where)
        return whole.astype(np.uint8)
    if whole.ndim == 2 and whole.shape[1] == 1:
        whole = whole[:, 0]
    if whole.ndim != 1:
        fix = "several labels an image make the target 'multi-label'"
        raise DataError(f"labels have shape {values.shape}, expected (n,) or (n, 1)", where=where, fix=fix)
    return whole.astype(np.int64)


def to_mask(values: np.ndarray, classes: int, rule: MaskRule = "index", *, where: object = None) -> np.ndarray:
    """Masks (n, h, w) or (n, h, w, 1) of any whole numbers as uint8 class indices (n, h, w). Raises DataError.

    With two classes, masks of 0 and 255 alone are read as 0 and 1.
    """
    values = values[..., 0] if values.ndim == 4 and values.shape[-1] == 1 else values
    if values.ndim != 3:
        raise DataError(f"masks have shape {values.shape}, expected (n, h, w)", where=where)
    if rule == "nonzero":
        return (values != 0).astype(np.uint8)
    if rule == "threshold":
        return (values >= 128).astype(np.uint8)
    whole = _whole_numbers(values, where)
    if classes == 2 and whole.size and whole.max() == 255 and not ((whole > 0) & (whole < 255)).any():
        return (whole == 255).astype(np.uint8)
    if whole.size and (whole.min() < 0 or whole.max() >= classes):
        found = np.unique(whole)
        some = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
        fix = 'mask = "nonzero" or "threshold" in [source] makes any mask a two-class one' if classes == 2 else None
        raise DataError(f"masks hold the values {some}; expected 0 to {classes - 1}", where=where, fix=fix)
    return whole.astype(np.uint8)


def class_index(value: object, classes: list[str], *, where: object = None) -> int:
    """Index of a class given by name (any case) or by number, "2" or 2. Raises DataError with the nearest name."""
    text = str(value).strip()
    folded = [name.casefold() for name in classes]
    if text.casefold() in folded:
        return folded.index(text.casefold())
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    near = nearest(text, classes)
    fix = f"did you mean {near!r}?" if near else f"the card names: {', '.join(classes[:12])}"
    raise DataError(f"unknown class {text[:60]!r}", where=where, fix=fix)


def class_flags(value: object, classes: list[str], *, where: object = None) -> np.ndarray:
    """uint8 (k,) of a multi-label cell, "effusion|mass"; an empty cell has no label. Raises DataError."""
    flags = np.zeros(len(classes), np.uint8)
    for part in str(value).split("|") if str(value).strip() else ():
        flags[class_index(part, classes, where=where)] = 1
    return flags


def _whole_numbers(values: np.ndarray, where: object) -> np.ndarray:
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all():
        return values.astype(np.int64)
    raise DataError(f"labels are {values.dtype}, expected whole numbers", where=where)


def _refuse_outside(values: np.ndarray, limit: int, where: object) -> None:
    if values.size and (values.min() < 0 or values.max() >= limit):
        raise DataError(f"labels run from {values.min()} to {values.max()}, expected 0 to {limit - 1}", where=where)
