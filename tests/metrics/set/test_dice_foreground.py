"""Dice over images that show the class: one pixel is enough to show it, and false alarms elsewhere do not count."""

import numpy as np
import pytest

from bench.data.task import Task
from bench.metrics.base import Comparison
from bench.metrics.set.dice_foreground import METRIC

TASK = Task.parse(
    {
        "schema": 1, "name": "t", "title": "T", "modality": "mri", "target": "mask", "classes": ["none", "a"],
        "licence": "x", "corpus": "x", "source": {"reader": "x"},
    },
    where="test",
)  # fmt: skip


def test_a_single_pixel_shows_the_class():
    truth, output = np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8)
    truth[0, 0, 0] = truth[1, :2] = 1
    output[1, :1] = output[2, 3, 3] = 1
    found = METRIC.value(Comparison(TASK, output, truth, np.ones((1, 3), np.uint8), 2))
    assert found == pytest.approx([(0 + 8 / 12) / 2])
