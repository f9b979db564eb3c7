"""Choosing a hyper-parameter: folds inside a subset, and the primary metric of many candidates at once."""

from __future__ import annotations

import hashlib

import numpy as np

from bench.data.task import Task
from bench.metrics.calibration import fit_temperature
from bench.metrics.set import primaries


def one_hot(task: Task, labels: np.ndarray) -> np.ndarray:
    """float64 (n, k) targets; multi-label passes through. Binary has one column, the positive class."""
    if task.target == "multi-label":
        return labels.astype(np.float64)
    if task.target == "binary":
        return labels.reshape(-1, 1).astype(np.float64)
    return np.eye(len(task.classes))[labels]


def class_index(y: np.ndarray) -> np.ndarray:
    """int64 (n,): inverse of `one_hot` for tasks of one class an image."""
    return (y[:, 0] > 0.5).astype(np.int64) if y.shape[1] == 1 else y.argmax(1)


def link(task: Task) -> str:
    """ "sigmoid" where each column is its own problem, else "softmax"."""
    return "sigmoid" if task.target in ("binary", "multi-label") else "softmax"


def probabilities(task: Task, logits: np.ndarray) -> np.ndarray:
    """float64 (..., n, k) from logits of the columns of `one_hot`; binary becomes two columns."""
    if link(task) == "softmax":
        exp = np.exp(logits - logits.max(-1, keepdims=True))
        return exp / exp.sum(-1, keepdims=True)
    p = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return np.concatenate([1.0 - p, p], axis=-1) if task.target == "binary" else p


def calibrated(task: Task, probability: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """{"temperature": T} fitted on held-out predictions (n, k), for `Prediction.chosen`; {} where none is defined.

    labels: class index (n,). Several labels have no calibration error, and without held-out rows there is no fit.
    """
    if task.target == "multi-label" or not len(labels):
        return {}
    return {"temperature": fit_temperature(probability, labels)}


def stratified_folds(strata: np.ndarray, groups: np.ndarray | None, folds: int, seed: int) -> np.ndarray:
    """int (n,): the fold of each row; strata are spread evenly, and a group stays in one fold."""
    rng = np.random.default_rng([seed, folds])
    _, unit = np.unique(np.arange(len(strata)) if groups is None else groups, return_inverse=True)
    key = np.zeros(unit.max() + 1, dtype=np.int64)
    key[unit] = strata
    order = rng.permutation(len(key))
    order = order[np.argsort(key[order], kind="stable")]
    fold = np.empty(len(key), dtype=np.int64)
    fold[order] = np.arange(len(key)) % folds
    return fold[unit]


def primary(task: Task, probability: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Primary metric, float64 (m,), of m candidates: probability (m, n, k), y as from `one_hot`; NaN if undefined."""
    labels = y > 0.5 if task.target == "multi-label" else class_index(y)
    return primaries(task.target)[task.metric].of_candidates(task, probability, labels)


def best(values: np.ndarray) -> int:
    """Index of the largest value; ties (to 1e-12) go to the first, the smaller C; 0 where all are NaN."""
    filled = np.where(np.isnan(values), -np.inf, values)
    return int(np.flatnonzero(filled >= filled.max() - 1e-12)[0])


def entropy(task: Task, seed: int) -> list[int]:
    """What random draws of a protocol start from: task and seed, the same for every encoder."""
    return [int.from_bytes(hashlib.sha256(task.name.encode()).digest()[:8], "little"), seed]
