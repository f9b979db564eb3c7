"""Centreline Dice for tubular structures (Shit et al. 2021)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.base import Comparison
from bench.metrics.resample import ratio
from bench.metrics.truth import Truth

if TYPE_CHECKING:
    from bench.data.task import Task


def tubular(task: Task) -> list[int]:
    """The classes that are judged by their centreline: their name speaks of a vessel."""
    return [c for c, name in enumerate(task.classes) if c and "vessel" in name.lower()]


def centrelines(given: Comparison) -> np.ndarray:
    """`centreline_dice` of each tubular class, float64 (n, m)."""
    found = [centreline_dice(given.output == c, given.labels == c, given.truth, c) for c in tubular(given.task)]
    return np.stack(found, axis=1) if found else np.zeros((len(given.labels), 0))


def centreline_dice(predicted: np.ndarray, truth: np.ndarray, kept: Truth | None = None, c: int = 1) -> np.ndarray:
    """Harmonic mean of two shares: of each mask's skeleton that lies inside the other mask; float64 (n,) in [0, 1].

    predicted, truth: bool (n, h, w), or (n, depth, h, w), whose skeletons are lines too (Lee et al. 1994). NaN where
    both are empty, 0 where one is. kept: of the labels of which `truth` are the pixels of class `c`.
    """
    kept = kept or Truth(truth)
    within = tuple(range(1, truth.ndim))
    shown, called = truth.any(axis=within), predicted.any(axis=within)
    values = np.where(shown | called, 0.0, np.nan)
    for i in np.flatnonzero(shown & called):
        (ours,), (theirs,) = _skeleton(predicted[i]), kept.once((centreline_dice, c, i), partial(_skeleton, truth[i]))
        precision = ratio(truth[i].ravel()[ours].sum(), np.asarray(ours.size))
        sensitivity = ratio(predicted[i].ravel()[theirs].sum(), np.asarray(theirs.size))
        values[i] = np.nan_to_num(ratio(2 * precision * sensitivity, precision + sensitivity))
    return values


def _skeleton(mask: np.ndarray) -> tuple[np.ndarray]:
    """The places of the skeleton of a mask, int64 (m,)."""
    from skimage.morphology import skeletonize  # slow to import, and rarely needed

    return (np.flatnonzero(skeletonize(mask)),)
