"""Predictions cut down to what the primary metric reads, for submissions that cannot carry them whole.

What is restored is not what was predicted, but has the same primary metric in every resample: AUROC reads the order of
the cases alone, balanced accuracy and kappa the class decided for. Dice reads areas: masks are not restored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.errors import DataError
from bench.metrics.confusion import expected_class
from bench.metrics.overlap import Areas
from bench.words import SCALARS

if TYPE_CHECKING:
    from bench.data.task import Task


def condensed(task: Task, output: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What the primary metric of `task` reads of predictions on `labels`, unsigned integers.

    Global: (n, m), the rank among its distinct values (AUROC; class 1 alone where there are two), the decided class
    (m = 1), or 0 and 1 a label. Dense: (n, k, k - 1), pixels of each true class given to each foreground class.
    """
    if task.target in SCALARS:
        raise DataError("predicted numbers are not condensed: they are small as they are", where=task.name)
    if task.kind == "dense":
        found = _pixels(output, labels, len(task.classes))[:, :, 1:]
    elif task.metric == "auroc":
        columns = output if task.target == "multi-label" or output.shape[1] > 2 else output[:, 1:]
        found = np.stack([np.unique(c, return_inverse=True)[1] for c in columns.T], axis=1)
    elif task.target == "multi-label":
        found = output >= 0.5
    else:
        found = (expected_class(output) if task.metric == "qwk" else output.argmax(axis=1))[:, None]
    return found.astype(np.min_scalar_type(int(found.max())))


def restored(task: Task, kept: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Predictions of a global task with the primary metric of those that were condensed, in every resample.

    Raises DataError where `kept` is not what `condensed` makes for such labels.
    """
    n, k = len(labels), len(task.classes)
    if kept.dtype.kind != "u" or len(kept) != n:
        raise DataError(f"condensed predictions are {kept.dtype} {kept.shape}", where=task.name)
    if task.metric == "auroc":
        binary = task.target != "multi-label" and k == 2
        _expect(task, kept, (n, 1) if binary else (n, k))
        scores = kept / np.iinfo(kept.dtype).max
        return np.hstack([1 - scores, scores]) if binary else scores
    if task.target == "multi-label":
        _expect(task, kept, (n, k), below=2)
        return kept.astype(np.float64)
    _expect(task, kept, (n, 1), below=k)
    return np.eye(k)[kept[:, 0]]


def condensed_areas(task: Task, kept: np.ndarray, pixels: np.ndarray) -> Areas:
    """The areas of the masks that were condensed. pixels: of each true class of each image, int64 (n, k).

    Raises DataError where `kept` is not what `condensed` makes for such masks.
    """
    n, k = pixels.shape
    if kept.dtype.kind != "u":
        raise DataError(f"condensed predictions are {kept.dtype} {kept.shape}", where=task.name)
    _expect(task, kept, (n, k, k - 1))
    counts = kept.astype(np.int64)
    if (counts.sum(axis=2) > pixels).any():
        raise DataError("condensed predictions count more pixels than a class has", where=task.name)
    shared = np.diagonal(counts[:, 1:], axis1=1, axis2=2)
    return Areas(*(a.astype(np.float64) for a in (shared, counts.sum(axis=1), pixels[:, 1:])))


def _pixels(output: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Pixels of each image by true and predicted class, int64 (n, k, k)."""
    cells = (k * true.astype(np.int64) + predicted for true, predicted in zip(labels, output, strict=True))
    counts = [np.bincount(cell.ravel(), minlength=k * k) for cell in cells]
    return np.reshape(counts, (len(labels), k, k))


def _expect(task: Task, kept: np.ndarray, shape: tuple[int, ...], below: int | None = None) -> None:
    if kept.shape != shape or (below is not None and (kept >= below).any()):
        raise DataError(f"condensed predictions are {kept.shape}, expected {shape} below {below}", where=task.name)
