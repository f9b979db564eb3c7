"""Scores of each case, from which every metric of a mask follows; and probabilities in two bytes.

A submission keeps them where the predictions themselves would be too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import DataError
from bench.metrics.base import Comparison
from bench.metrics.centreline import centrelines
from bench.metrics.lesions import lesions
from bench.metrics.overlap import Areas, areas, class_areas, image_quality
from bench.metrics.surface import Surfaces, surfaces
from bench.metrics.surface_volumes import diagonals
from bench.words import SCALARS

if TYPE_CHECKING:
    from bench.data.task import Task

STEPS = 2000
"""Steps of a unit of log-odds: a probability near 0.5 keeps its value to 6e-5, what is decided stays as it is."""


def case_scores(
    task: Task, output: np.ndarray, labels: np.ndarray, spacing: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """What each metric of predicted masks reads of each case. n images, f foreground classes, m of them vessels.

    areas: pixels (n, f, 3) shared, predicted, true. surfaces: float64 (n, f, 2) surface Dice, distance. lesions:
    (n, f, 4, 3) as `lesion_counts`. centrelines: float64 (n, m). Counts are unsigned integers. spacing: of volumes, as
    in `Comparison`.
    """
    given = Comparison(task, output, labels, np.ones((1, len(labels)), np.uint8), scoring=1, spacing=spacing)
    pixels, border = given.once(areas), given.once(surfaces)
    return {
        "areas": _smallest(np.stack([pixels.shared, pixels.ours, pixels.theirs], axis=2)),
        "surfaces": np.stack([border.dice, border.distance], axis=2),
        "lesions": _smallest(given.once(lesions)),
        "centrelines": given.once(centrelines),
    }


def of_cases(given: Comparison, kept: Mapping[str, np.ndarray]) -> Comparison:
    """The comparison that reads scores of cases in the place of masks."""
    shared: dict[Callable[[Comparison], Any], Any] = {
        areas: Areas.stacked(kept["areas"]),
        surfaces: Surfaces(*np.moveaxis(kept["surfaces"], 2, 0)),
        lesions: kept["lesions"].astype(np.float64),
        centrelines: kept["centrelines"],
    }
    return replace(given, _shared=shared)


def check_cases(
    task: Task, kept: Mapping[str, np.ndarray], labels: np.ndarray, spacing: np.ndarray | None = None
) -> None:
    """Raise DataError where `kept` cannot be what `case_scores` makes of any masks on `labels`."""
    truth = case_scores(task, labels, labels, spacing)
    for name, expected in truth.items():
        kind = "f" if expected.dtype.kind == "f" else "u"
        if name not in kept or kept[name].shape != expected.shape or kept[name].dtype.kind != kind:
            raise DataError(f"scores of cases have no fitting {name!r}", where=task.name)
    if strange := sorted(kept.keys() - truth.keys()):
        raise DataError(f"scores of cases hold {strange[0][:40]!r}, which is none of them", where=task.name)
    (shared, ours, theirs), size = np.moveaxis(kept["areas"].astype(np.int64), 2, 0), labels[0].size
    dice, distance = np.moveaxis(kept["surfaces"], 2, 0)
    one, none = (ours > 0) != (theirs > 0), (ours == 0) & (theirs == 0)
    there, found, _ = np.moveaxis(kept["lesions"].astype(np.int64), 3, 0)
    across = np.hypot(*labels.shape[1:]) if spacing is None else diagonals(labels.shape[1:], spacing)[:, None]
    possible = {
        "areas": (theirs == truth["areas"][..., 2]) & (shared <= np.minimum(ours, theirs)),
        "area of an image": ours.sum(axis=1) <= size,
        "surface Dice": np.where(none, np.isnan(dice), (dice >= 0) & (dice <= np.where(one, 0, 1))),
        "distance": np.where(none, np.isnan(distance), (distance >= 0) & (distance <= across)),
        "lesions": (there == truth["lesions"][..., 0]) & (found <= there),
        "centrelines": np.isnan(kept["centrelines"]) | ((kept["centrelines"] >= 0) & (kept["centrelines"] <= 1)),
    }
    if wrong := [name for name, holds in possible.items() if not holds.all()]:
        raise DataError(f"scores of cases are impossible for these images ({wrong[0]})", where=task.name)


def quality(task: Task, output: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How well each test image was predicted, float64 (n,) in [0, 1], NaN where it cannot be said.

    Dense: mean Dice of the classes that are present (1 or 0 by false alarm where none is). Global: the probability
    given to the truth, averaged over labels of a multi-label task.
    """
    if task.kind == "dense":
        return image_quality(Areas(*class_areas(output, labels, len(task.classes))))
    if task.target in SCALARS:
        return np.full(len(labels), np.nan)
    if task.target == "multi-label":
        return np.where(labels == 1, output, 1 - output).mean(1)
    return output[np.arange(len(labels)), labels].astype(float)


def log_odds(task: Task, output: np.ndarray) -> np.ndarray:
    """Probabilities (n, k) as steps of log-odds, int16. What is decided stays: the class, or each side of 0.5."""
    exact = np.clip(np.asarray(output, np.float64), 0.0, 1.0)
    with np.errstate(divide="ignore"):
        odds = np.log(exact) - np.log1p(-exact)
    codes = np.clip(np.floor(odds * STEPS), -(2**15) + 1, 2**15 - 1).astype(np.int16)
    if task.target != "multi-label":
        first = np.arange(codes.shape[1]) == output.argmax(axis=1)[:, None]
        codes[(codes == codes.max(axis=1, keepdims=True)) & ~first] -= 1
    return codes


def probabilities(codes: np.ndarray) -> np.ndarray:
    """Inverse of `log_odds` to half a step, float64 in (0, 1). Raises DataError for other arrays."""
    if codes.dtype != np.int16 or codes.ndim != 2:
        raise DataError(f"log-odds are {codes.dtype} {codes.shape}, expected int16 (n, k)")
    return 1 / (1 + np.exp(-(codes.astype(np.float64) + 0.5) / STEPS))


def _smallest(counts: np.ndarray) -> np.ndarray:
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
