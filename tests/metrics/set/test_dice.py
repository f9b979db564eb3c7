"""Dice of many candidates at once is Dice of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.task import Task
from bench.metrics.base import Comparison
from bench.metrics.overlap import class_areas
from bench.metrics.set.dice import METRIC

TASK = Task.parse(
    {
        "schema": 1, "name": "t", "title": "T", "modality": "mri", "target": "mask", "classes": ["none", "a", "b"],
        "licence": "x", "corpus": "x", "source": {"reader": "x"},
    },
    where="test",
)  # fmt: skip


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 10**6))
def test_candidates_equal_one_after_the_other(n, m, seed):
    rng = np.random.default_rng(seed)
    truth = (rng.integers(0, 3, (n, 4, 4)) * (rng.random((n, 1, 1)) < 0.6)).astype(np.uint8)
    outputs = (rng.integers(0, 3, (m, n, 4, 4)) * (rng.random((m, n, 1, 1)) < 0.6)).astype(np.uint8)
    shared, ours, theirs = zip(*(class_areas(o, truth, 3) for o in outputs), strict=True)
    together = METRIC.of_areas(np.stack(shared, -1), np.stack(ours, -1), theirs[0])
    ones = np.ones((1, n), np.uint8)
    alone = [METRIC.value(Comparison(TASK, o, truth, ones, 2))[0] for o in outputs]
    assert together == pytest.approx(alone, nan_ok=True)


def test_three_thresholds_by_hand():
    """Image 1 shows 4 pixels, image 2 none: everything, half of image 1, nothing."""
    shared = np.array([[[4, 2, 0]], [[0, 0, 0]]])
    ours = np.array([[[16, 2, 0]], [[16, 0, 0]]])
    theirs = np.array([[4], [0]])
    assert METRIC.of_areas(shared, ours, theirs) == pytest.approx([0.4 / 2, 4 / 6, 0])
