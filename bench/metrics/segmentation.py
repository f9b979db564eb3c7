"""All metrics of a dense task under case weights.

Rules for empty masks: an image whose truth lacks a class does not enter that class's Dice, IoU, surface Dice,
HD95 or centreline Dice; it is judged by `specificity` alone (left empty: right; anything predicted: a false
positive). Where the truth has the class and the prediction does not, Dice, IoU and surface Dice are 0 and HD95 is
the image diagonal. So the images a mean runs over are the same for every encoder.
"""

from __future__ import annotations

import numpy as np

from bench.data.task import Task
from bench.metrics.centreline import centreline_dice
from bench.metrics.lesions import SIZES, lesion_counts, size_bin
from bench.metrics.overlap import class_areas, dice_per_image, mean_over_images_then_classes
from bench.metrics.resample import mean_defined, ratio, weighted_sums
from bench.metrics.surface import surface_metrics


def all_metrics(
    task: Task, output: np.ndarray, labels: np.ndarray, weights: np.ndarray, strata: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Metric name -> float64 (r,). output, labels: uint8 (n, h, w); weights (r, n); strata: name -> bool (n,)."""
    shared, ours, theirs = class_areas(output, labels, len(task.classes))
    present = theirs > 0
    dice = np.where(present, ratio(2 * shared, ours + theirs), np.nan)
    values = {
        "dice": dice,
        "iou": np.where(present, ratio(shared, ours + theirs - shared), np.nan),
        "specificity": np.where(present, np.nan, ours == 0),
        **_border_metrics(task, output, labels),
        **_dice_by_size(dice, theirs / (labels.shape[1] * labels.shape[2])),
        **{f"dice[{name}]": np.where(keep[:, None], dice, np.nan) for name, keep in strata.items()},
    }
    found = {name: mean_over_images_then_classes(value, weights) for name, value in values.items()}
    return found | _lesion_metrics(task, output, labels, weights, strata)


def primary(task: Task, output: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Per-image foreground Dice, mean over images, then over classes: float64 (r,)."""
    return mean_over_images_then_classes(dice_per_image(output, labels, len(task.classes)), weights)


def is_tubular(class_name: str) -> bool:
    """Whether a class is judged by its centreline: its name speaks of a vessel.

    >>> is_tubular("Retinal vessels"), is_tubular("optic disc")
    (True, False)
    """
    return "vessel" in class_name.lower()


def _border_metrics(task: Task, output: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    columns: dict[str, list[np.ndarray]] = {"nsd": [], "hd95": []}
    if tubular := [c for c in range(1, len(task.classes)) if is_tubular(task.classes[c])]:
        columns["cldice"] = [centreline_dice(output == c, labels == c) for c in tubular]
    for c in range(1, len(task.classes)):
        surface_dice, hausdorff = surface_metrics(output == c, labels == c)
        columns["nsd"].append(surface_dice)
        columns["hd95"].append(hausdorff)
    return {name: np.stack(values, axis=1) for name, values in columns.items()}


def _dice_by_size(dice: np.ndarray, fraction: np.ndarray) -> dict[str, np.ndarray]:
    bins = size_bin(fraction)
    return {f"dice[{name}]": np.where(bins == i, dice, np.nan) for i, name in enumerate(SIZES)}


def _lesion_metrics(
    task: Task, output: np.ndarray, labels: np.ndarray, weights: np.ndarray, strata: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Recall found / lesions, and F1 = 2 found / (lesions + found + false), each a mean over classes."""
    counts = np.stack([lesion_counts(output == c, labels == c) for c in range(1, len(task.classes))], axis=1)
    parts = {f"[{name}]": counts[:, :, i] for i, name in enumerate(SIZES)}
    parts |= {f"[{name}]": counts.sum(axis=2) * keep[:, None, None] for name, keep in strata.items()}
    found: dict[str, np.ndarray] = {}
    for name, part in {"": counts.sum(axis=2), **parts}.items():
        sums = weighted_sums(weights, part.reshape(len(part), -1)).reshape(len(weights), -1, 3)
        lesions, hits, false = np.moveaxis(sums, 2, 0)
        f1 = np.where(lesions > 0, ratio(2 * hits, lesions + hits + false), np.nan)
        found |= {f"lesion_recall{name}": mean_defined(ratio(hits, lesions)), f"lesion_f1{name}": mean_defined(f1)}
    return found
