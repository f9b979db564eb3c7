"""Metrics of predictions against labels, each with its bootstrap interval."""

from __future__ import annotations

import numpy as np

from bench.data.dataset import Split
from bench.data.task import Task
from bench.metrics.overlap import dice_per_image, mean_over_images_then_classes
from bench.metrics.ranking import auroc
from bench.metrics.resample import interval, mean_defined, resample_counts, with_point
from bench.runs.records import Interval

__all__ = ["primary_replicates", "resample_counts", "score"]


def score(task: Task, output: np.ndarray, split: Split, *, resamples: np.ndarray | None) -> dict[str, Interval]:
    """Every metric that fits the task, with its 95 % interval; a metric that is undefined is left out.

    output: as in `bench.protocols.base.Prediction.outputs`. resamples: counts (B, n) from `resample_counts`,
    or None for point values without intervals. A stratum stands in brackets: "lesion_recall[0.5-2%]".
    """
    weights = with_point(resamples, len(split))
    found = {task.metric: interval(_primary(task, output, split, weights))}
    return {name: value for name, value in found.items() if value is not None}


def primary_replicates(task: Task, output: np.ndarray, split: Split, counts: np.ndarray) -> np.ndarray:
    """The primary metric in each bootstrap replicate: float64 (B,), NaN where a replicate leaves it undefined."""
    return _primary(task, output, split, counts)


def _primary(task: Task, output: np.ndarray, split: Split, weights: np.ndarray) -> np.ndarray:
    k = len(task.classes)
    if task.kind == "dense":
        return mean_over_images_then_classes(dice_per_image(output, split.labels, k), weights)
    truth = split.labels if task.target == "multi-label" else np.eye(k, dtype=np.uint8)[split.labels]
    columns = [1] if k == 2 and task.target != "multi-label" else range(k)
    return mean_defined(np.stack([auroc(truth[:, c] == 1, output[:, c], weights) for c in columns], axis=1))
