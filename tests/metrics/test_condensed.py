"""Condensed predictions have the primary metric of whole ones, in every resample."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.dataset import Split
from bench.data.task import Task
from bench.errors import DataError
from bench.metrics.condensed import condensed, condensed_areas, restored
from bench.metrics.resample import resample_counts
from bench.metrics.scored import primary_of_areas, primary_replicates

N = 40
IDS = np.array([f"test/{i}" for i in range(N)])
GLOBAL = [
    ("binary", "auroc", 2), ("multi-class", "auroc", 3), ("multi-class", "auroc", 4), ("multi-label", "auroc", 2),
    ("multi-label", "auroc", 3), ("ordinal", "qwk", 4), ("multi-class", "balanced_accuracy", 3),
    ("binary", "balanced_accuracy", 2), ("multi-label", "balanced_accuracy", 3),
]  # fmt: skip


def task_of(target, metric, k):
    card = {
        "schema": 1, "name": "t", "title": "T", "kind": "dense" if target == "mask" else "global", "modality": "mri",
        "target": target, "classes": [f"c{i}" for i in range(k)], "metric": metric, "licence": "x", "corpus": "x",
        "source": {"reader": "x"},
    }  # fmt: skip
    return Task.parse(card, where="test")


def whole_and_condensed(task, output, labels):
    split = Split(np.zeros((N, 1, 1, 1), np.uint8), labels, IDS)
    counts = resample_counts("t", "test", IDS, replicates=50)
    kept = condensed(task, output, labels)
    again = restored(task, kept, labels)
    return kept, *(primary_replicates(task, o, split, counts) for o in (output, again))


@pytest.mark.parametrize(("target", "metric", "k"), GLOBAL)
def test_global_predictions(target, metric, k):
    task, rng = task_of(target, metric, k), np.random.default_rng(k)
    output = rng.random((N, k)).round(1)  # ties on purpose
    if target != "multi-label":
        output = (output + 0.01) / (output + 0.01).sum(axis=1, keepdims=True)
    labels = rng.integers(0, 2, (N, k)) if target == "multi-label" else rng.integers(0, k, N)
    kept, whole, again = whole_and_condensed(task, output.astype(np.float32), labels)
    np.testing.assert_array_equal(whole, again)
    assert kept.dtype == np.uint8
    assert len(np.unique(whole)) > 10


def test_more_than_256_ranks():
    task, rng = task_of("binary", "auroc", 2), np.random.default_rng(0)
    output, labels = rng.random((300, 2)), rng.integers(0, 2, 300)
    kept = condensed(task, output, labels)
    assert (kept.dtype, kept.max()) == (np.uint16, 299)
    assert (restored(task, kept, labels)[:, 1].argsort() == output[:, 1].argsort()).all()


@pytest.mark.parametrize("k", [2, 4])
def test_masks(k):
    task, rng = task_of("mask", "dice", k), np.random.default_rng(k)
    labels, output = (rng.integers(0, k, (N, 9, 7)).astype(np.uint8) for _ in range(2))
    labels[:5] = 0
    output[3:8] = 0
    split, counts = Split(np.zeros((N, 1, 1, 1), np.uint8), labels, IDS), resample_counts("t", "test", IDS)
    kept = condensed(task, output, labels)
    found = condensed_areas(task, kept, pixels(labels, k))
    whole = primary_replicates(task, output, split, counts, scoring=2)
    np.testing.assert_array_equal(primary_of_areas(task, found, counts, scoring=2), whole)
    assert (kept.shape, kept.dtype) == ((N, k, k - 1), np.uint8)
    assert len(np.unique(whole)) > 10


def pixels(labels, k):
    return np.stack([(labels == c).sum(axis=(1, 2)) for c in range(k)], axis=1)


def test_what_was_not_condensed_for_such_labels_is_refused():
    labels = np.zeros((N, 4, 4), np.uint8)
    labels[:, :2] = 1
    dense, ordinal, binary = task_of("mask", "dice", 2), task_of("ordinal", "qwk", 3), task_of("binary", "auroc", 2)
    full = condensed(dense, labels, labels)
    too_many = full.copy()
    too_many[7, 0, 0] = 9
    classes = np.zeros(N, int)
    one_too_high = np.arange(N, dtype=np.uint8)[:, None] % 4
    for kept in (too_many, full[1:], full[:, :, 0], full.astype(np.int64)):
        with pytest.raises(DataError, match="condensed predictions"):
            condensed_areas(dense, kept, pixels(labels, 2))
    for task, kept, truth in [
        (ordinal, one_too_high, classes), (ordinal, np.zeros((N, 3), np.uint8), classes),
        (ordinal, np.zeros((N, 1), np.int64), classes), (ordinal, np.zeros((N - 1, 1), np.uint8), classes),
        (binary, np.zeros((N, 2), np.uint8), classes),
    ]:  # fmt: skip
        with pytest.raises(DataError, match="condensed predictions"):
            restored(task, kept, truth)
