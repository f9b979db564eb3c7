"""The metrics of one output against the labels, each with its bootstrap interval."""

from __future__ import annotations

import numpy as np

from bench.data.dataset import Split
from bench.data.task import Task
from bench.errors import DataError
from bench.metrics import SCORING, classification, segmentation
from bench.metrics.resample import interval, with_point
from bench.metrics.strata import strata
from bench.runs.records import Interval


def score(
    task: Task,
    output: np.ndarray,
    split: Split,
    *,
    resamples: np.ndarray | None,
    temperature: float | None = None,
    scoring: int = SCORING,
) -> dict[str, Interval]:
    """Every metric that fits the task, with its 95 % interval; a metric that is undefined is left out.

    output: as in `bench.protocols.base.Prediction.outputs`. resamples: counts (B, n) from `resample_counts`,
    or None for point values without intervals. temperature: fitted on validation predictions
    (`bench.metrics.calibration.fit_temperature`); without it only `ece_unscaled` is reported, no `ece`.
    scoring: the version of the set of metrics that is computed. A stratum stands in brackets: "lesion_recall[0.5-2%]".
    Raises DataError for outputs that are not predictions of this task (shape, NaN, probabilities outside [0, 1],
    unknown classes).
    """
    check_output(task, output, split)
    weights = with_point(resamples, len(split))
    if task.kind == "dense":
        found = segmentation.all_metrics(task, output, split.labels, weights, strata(split))
    else:
        found = classification.all_metrics(task, output, split.labels, weights, temperature)
        found |= {
            f"{task.metric}[{name}]": classification.primary(task, output[keep], split.labels[keep], weights[:, keep])
            for name, keep in strata(split).items()
        }
    intervals = {name: interval(estimates) for name, estimates in found.items()}
    return {name: value for name, value in intervals.items() if value is not None}


def primary_replicates(
    task: Task, output: np.ndarray, split: Split, counts: np.ndarray, *, scoring: int = SCORING
) -> np.ndarray:
    """The primary metric in each bootstrap replicate: float64 (B,), NaN where a replicate leaves it undefined.

    Raises DataError as `score` does.
    """
    check_output(task, output, split)
    family = segmentation if task.kind == "dense" else classification
    return family.primary(task, output, split.labels, counts)


def check_output(task: Task, output: np.ndarray, split: Split) -> None:
    """Raise DataError when `output` cannot be predictions of `task` on `split`."""
    k = len(task.classes)
    shape = split.labels.shape if task.kind == "dense" else (len(split), k)
    if output.shape != shape:
        raise DataError(f"predictions have shape {output.shape}, expected {shape}", where=task.name)
    if task.kind == "dense":
        if output.dtype != np.uint8 or (output.size and output.max() >= k):
            raise DataError(f"predicted masks must be uint8 with classes below {k}", where=task.name)
    elif not (np.issubdtype(output.dtype, np.floating) and ((output >= 0) & (output <= 1 + 1e-5)).all()):
        raise DataError("predicted probabilities must be finite floats in [0, 1]", where=task.name)
