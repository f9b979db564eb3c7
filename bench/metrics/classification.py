"""All metrics of a global task under case weights."""

from __future__ import annotations

import numpy as np

from bench.data.task import Task
from bench.metrics import calibration, confusion
from bench.metrics.ranking import auroc, ranking
from bench.metrics.resample import mean_defined

MIN_POSITIVES = 10
"""A label of a multi-label task enters the macro means when the test split has this many positives."""


def all_metrics(
    task: Task, output: np.ndarray, labels: np.ndarray, weights: np.ndarray, temperature: float | None = None
) -> dict[str, np.ndarray]:
    """Metric name -> float64 (r,). output: probabilities (n, k); labels as in `Split`; weights (r, n)."""
    if task.target == "multi-label":
        return _multi_label(task, output, labels, weights)
    areas, precisions = ranking(*_one_versus_rest(output, labels), weights)
    counts = confusion.tally(labels, output.argmax(axis=1), output.shape[1], weights)
    binary = output.shape[1] == 2
    rows = (labels[:, None] == np.arange(output.shape[1]))[:, binary:]
    found = {
        "auroc": mean_defined(areas),
        "auprc": mean_defined(precisions),
        "balanced_accuracy": confusion.balanced_accuracy(counts),
        "accuracy": confusion.accuracy(counts),
        "f1": confusion.macro_f1(counts),
        "mcc": confusion.mcc(counts),
        "brier": calibration.brier(rows, output[:, binary:], weights),
    }
    if task.target == "ordinal":
        decided = confusion.expected_class(output)
        found["qwk"] = confusion.quadratic_kappa(labels, decided, weights)
        found["mae"] = confusion.mean_absolute_error(labels, decided, weights)
    return found | _calibration(output, labels, weights, temperature)


def primary(task: Task, output: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The primary metric alone, float64 (r,)."""
    if task.metric == "qwk":
        return confusion.quadratic_kappa(labels, confusion.expected_class(output), weights)
    if task.metric == "balanced_accuracy" and task.target != "multi-label":
        return confusion.balanced_accuracy(confusion.tally(labels, output.argmax(axis=1), output.shape[1], weights))
    if task.metric == "auroc" and task.target != "multi-label":
        return mean_defined(auroc(*_one_versus_rest(output, labels), weights))
    if task.metric == "auroc":
        kept = macro_labels(labels)
        return mean_defined(auroc(labels[:, kept] == 1, output[:, kept], weights))
    return _multi_label(task, output, labels, weights)[task.metric]


def macro_labels(labels: np.ndarray) -> np.ndarray:
    """Columns of a multi-label truth that enter the macro means: at least 10 positives, and a negative.

    Where no label has as many, every label that has both kinds counts; the choice never depends on an encoder.
    """
    positives = labels.astype(np.int64).sum(axis=0)
    mixed = (positives > 0) & (positives < len(labels))
    common = mixed & (positives >= MIN_POSITIVES)
    chosen = common if common.any() else mixed
    return np.flatnonzero(chosen if chosen.any() else np.ones_like(mixed))


def _one_versus_rest(output: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives and scores of each one-versus-rest problem, (n, k); a binary task has only that of class 1."""
    classes = np.arange(output.shape[1])
    classes = classes[1:] if len(classes) == 2 else classes
    return labels[:, None] == classes, output[:, classes]


def _calibration(
    output: np.ndarray, labels: np.ndarray, weights: np.ndarray, temperature: float | None
) -> dict[str, np.ndarray]:
    if len(labels) < calibration.MIN_CASES:
        return {}
    found = {"ece_unscaled": calibration.calibration_error(labels, output, weights)}
    if temperature is not None:
        scaled = calibration.apply_temperature(output, temperature)
        found["ece"] = calibration.calibration_error(labels, scaled, weights)
    return found


def _multi_label(task: Task, output: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    kept = macro_labels(labels)
    areas, precisions = ranking(labels[:, kept] == 1, output[:, kept], weights)
    decided = (output >= 0.5).astype(np.int64)
    counts = [confusion.tally(labels[:, c].astype(np.int64), decided[:, c], 2, weights) for c in kept]
    return {
        "auroc": mean_defined(areas),
        "auprc": mean_defined(precisions),
        "balanced_accuracy": _mean([confusion.balanced_accuracy(t) for t in counts]),
        "f1": _mean([confusion.f1(t)[:, 1] for t in counts]),
        "mcc": _mean([confusion.mcc(t) for t in counts]),
        "brier": calibration.brier(labels, output, weights) / labels.shape[1],
        **{f"auroc[{task.classes[c]}]": areas[:, i] for i, c in enumerate(kept)},
    }


def _mean(columns: list[np.ndarray]) -> np.ndarray:
    return mean_defined(np.stack(columns, axis=1))
