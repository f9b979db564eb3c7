"""The metrics of one output against the labels, each with its bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.allocator import freed_memory_kept
from bench.errors import DataError
from bench.metrics import SCORING
from bench.metrics.base import Comparison
from bench.metrics.cases import check_cases, of_cases
from bench.metrics.interval import Interval
from bench.metrics.names import MetricName
from bench.metrics.overlap import Areas, areas
from bench.metrics.products import Weights
from bench.metrics.resample import BLOCK_BYTES, are_informative, draw_bytes, interval, with_point
from bench.metrics.set import metrics_of, primaries
from bench.metrics.strata import strata
from bench.metrics.subgroups import gaps
from bench.metrics.truth import Truth
from bench.words import SCALARS

if TYPE_CHECKING:
    from bench.data.dataset import Split
    from bench.data.task import Task

LEAST = 10 << 20
"""Bytes that scoring takes however few the cases are."""


def score(
    task: Task,
    output: np.ndarray,
    split: Split,
    *,
    resamples: Weights | None,
    temperature: float | None = None,
    scoring: int = SCORING,
    truth: Truth | None = None,
) -> dict[str, Interval]:
    """Every metric that fits the task, with its 95 % interval; a metric that is undefined is left out.

    output: as in `bench.protocols.base.Prediction.outputs`. resamples: counts (B, n) from `resample_counts`, also as a
    tensor on the device that is to compute, or None for point values without intervals; so are those of a single
    patient. temperature: fitted on validation predictions (`bench.metrics.calibration.fit_temperature`); without it
    only `ece_unscaled` is reported, no `ece`.
    scoring: the version of the set of metrics that is computed. A stratum stands in brackets: "lesion_recall[0.5-2%]".
    truth: of `split.labels`, where several outputs are scored one after the other; it saves time and changes nothing.
    Raises DataError for outputs that are not predictions of this task (shape, NaN, probabilities outside [0, 1],
    unknown classes), ValueError for a `truth` of other labels.
    """
    check_output(task, output, split)
    if truth is not None and truth.labels is not split.labels:
        raise ValueError("what was found in other labels says nothing of this split")
    return _all(replace(_compared(task, output, split, resamples, temperature, scoring), truth=truth))


def memory_bytes(task: Task, split: Split, cases: int) -> int:
    """Memory to expect of `score` on so many cases with their resamples, which are not counted (`draw_bytes`).

    split: some of the cases, with their labels and strata. What was measured: a copy of the draws behind the point
    estimate, the part of it in the largest stratum, and orders of the cases, 32 bytes a class; of survival times three
    blocks of pairs; of masks 9 bytes a pixel, of volumes, which are scored one after the other, 63 of one.
    """
    if task.kind == "dense":
        working = 9 * math.prod(split.labels.shape[1:]) * (cases if split.labels.ndim < 4 else 7)
    elif task.target == "survival":
        working = 3 * min(BLOCK_BYTES, 8 * draw_bytes(cases))
    else:
        working = 32 * cases * max(1, len(task.classes))
    parts = () if task.kind == "dense" else strata(split).values()
    copies = 1 + max((float(keep.mean()) for keep in parts), default=0.0)
    return int(copies * draw_bytes(cases)) + working + LEAST


def score_cases(
    task: Task, kept: Mapping[str, np.ndarray], split: Split, *, resamples: Weights | None, scoring: int = SCORING
) -> dict[str, Interval]:
    """As `score`, of masks of which the scores of cases were kept (`bench.metrics.cases`). Raises DataError."""
    check_cases(task, kept, split.labels, spacing_of(split))
    return _all(of_cases(_compared(task, split.labels, split, resamples, None, scoring), kept))


def primary_replicates(
    task: Task, output: np.ndarray, split: Split, counts: Weights, *, scoring: int = SCORING
) -> np.ndarray:
    """The primary metric in each bootstrap replicate: float64 (B,), NaN where a replicate leaves it undefined.

    All are NaN where the cases are of one patient: nothing can be drawn. Raises DataError as `score` does.
    """
    check_output(task, output, split)
    return _primary(Comparison(task, output, split.labels, counts, scoring, spacing=spacing_of(split)))


def primary_of_cases(task: Task, kept: Mapping[str, np.ndarray], counts: Weights, *, scoring: int) -> np.ndarray:
    """As `primary_replicates`, of masks of which the scores of cases were kept: needs neither images nor labels."""
    return _primary(of_cases(_of_no_masks(task, counts, scoring), kept))


def primary_of_areas(task: Task, found: Areas, counts: Weights, *, scoring: int) -> np.ndarray:
    """As `primary_replicates`, of masks of which the areas were kept: all that Dice reads."""
    return _primary(replace(_of_no_masks(task, counts, scoring), _shared={areas: found}))


def _of_no_masks(task: Task, counts: Weights, scoring: int) -> Comparison:
    nothing = np.zeros((counts.shape[1], 0), np.uint8)
    return Comparison(task, nothing, nothing, counts, scoring)


@freed_memory_kept()
def _primary(given: Comparison) -> np.ndarray:
    if not are_informative(given.weights):
        return np.full(len(given.weights), np.nan)
    metric = primaries(given.task.target)[given.task.metric]
    return metric.value(replace(given, names=frozenset({metric.name})))


def _compared(
    task: Task,
    output: np.ndarray,
    split: Split,
    resamples: Weights | None,
    temperature: float | None,
    scoring: int,
) -> Comparison:
    if resamples is not None and not are_informative(resamples):
        resamples = None
    names = frozenset(metric.name for metric in metrics_of(task.target, scoring))
    weights = with_point(resamples, len(split))
    return Comparison(
        task, output, split.labels, weights, scoring, names, temperature, strata(split), spacing_of(split)
    )


def spacing_of(split: Split) -> np.ndarray | None:
    """The spacing that metrics of masks of volumes are in; None of anything else."""
    return split.spacing if split.labels.ndim == 4 else None


@freed_memory_kept()
def _all(given: Comparison) -> dict[str, Interval]:
    task, found = given.task, dict[MetricName, np.ndarray]()
    for metric in metrics_of(task.target, given.scoring):
        found[MetricName(metric.name)] = metric.value(given)
        found |= {MetricName(metric.name, part): values for part, values in metric.parts(given).items()}
    if task.kind == "global":
        primary = primaries(task.target)[task.metric]
        alone = replace(given, names=frozenset({primary.name}))
        parts = {name: primary.value(alone.part(keep)) for name, keep in given.strata.items()}
        found |= {MetricName(primary.name, name): values for name, values in parts.items()}
    intervals = {str(name): interval(estimates) for name, estimates in found.items()}
    known = {name: value for name, value in intervals.items() if value is not None}
    return known | gaps(task.metric, found)


def check_output(task: Task, output: np.ndarray, split: Split) -> None:
    """Raise DataError when `output` cannot be predictions of `task` on `split`."""
    k = len(task.classes)
    shape = split.labels.shape if task.kind == "dense" else (len(split), k)
    if output.shape != shape:
        raise DataError(f"predictions have shape {output.shape}, expected {shape}", where=task.name)
    if task.kind == "dense":
        if output.dtype != np.uint8 or (output.size and output.max() >= k):
            raise DataError(f"predicted masks must be uint8 with classes below {k}", where=task.name)
    elif task.target in SCALARS:
        if output.dtype.kind != "f" or not np.isfinite(output).all():
            raise DataError("predicted numbers must be finite floats", where=task.name)
    elif not (np.issubdtype(output.dtype, np.floating) and ((output >= 0) & (output <= 1 + 1e-5)).all()):
        raise DataError("predicted probabilities must be finite floats in [0, 1]", where=task.name)
