"""Dice by hand."""

import numpy as np
import pytest

from bench.data.task import Task
from bench.metrics.base import Comparison
from bench.metrics.set.dice import METRIC

TASK = Task.parse(
    {
        "schema": 1, "name": "t", "title": "T", "modality": "mri", "target": "mask", "classes": ["none", "a", "b"],
        "licence": "x", "corpus": "x", "source": {"reader": "x"},
    },
    where="test",
)  # fmt: skip


def test_three_thresholds_by_hand():
    """Image 1 shows 4 pixels, image 2 none: everything, half of image 1, nothing."""
    truth = np.zeros((2, 4, 4), np.uint8)
    truth[0, 0] = 1
    half = truth * np.array([1, 1, 0, 0], np.uint8)
    ones = np.ones((1, 2), np.uint8)
    found = [METRIC.value(Comparison(TASK, o, truth, ones, 2))[0] for o in (np.ones_like(truth), half, 0 * truth)]
    assert found == pytest.approx([0.4 / 2, 4 / 6, 0])
