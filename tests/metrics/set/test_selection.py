"""A primary metric of many candidates at once is that metric of each: one definition, whatever the way."""

import numpy as np
import pytest

from bench.data.task import Task
from bench.metrics.base import Comparison
from bench.metrics.set import primaries
from bench.metrics.set.auroc import macro_auroc

GLOBAL = [
    (target, k, name)
    for target, k in (("binary", 2), ("multi-class", 4), ("ordinal", 5), ("multi-label", 3))
    for name in primaries(target)
]


@pytest.mark.parametrize(("target", "k", "name"), GLOBAL)
@pytest.mark.parametrize("ties", [False, True])
def test_candidates_equal_one_after_the_other(target, k, name, ties):
    card = {
        "schema": 1, "name": "t", "title": "T", "modality": "mri", "target": target, "metric": name,
        "classes": [f"c{i}" for i in range(k)], "licence": "x", "corpus": "x", "source": {"reader": "x"},
    }  # fmt: skip
    task, rng = Task.parse(card, where="test"), np.random.default_rng(k)
    labels = (rng.random((80, k)) < 0.4).astype(np.uint8) if target == "multi-label" else rng.integers(0, k, 80)
    probability = rng.dirichlet(np.ones(k), (7, 80))
    probability = probability.round(1) if ties else probability
    metric, ones = primaries(target)[name], np.ones((1, 80), np.uint8)
    alone = [metric.value(Comparison(task, p, labels, ones, 2))[0] for p in probability]
    assert metric.of_candidates(task, probability, labels) == pytest.approx(alone, abs=1e-12)


def test_columns_of_one_side_are_left_out():
    """Labels that every case carries, or none, have no order to judge."""
    scores = np.array([[[0.1, 0.9, 0.2], [0.4, 0.1, 0.3], [0.35, 0.4, 0.9], [0.8, 0.3, 0.1]]])
    positive = np.array([[0, 1, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0]], bool)
    assert macro_auroc(scores, positive) == [0.75]
    assert np.isnan(macro_auroc(scores, positive[:, 1:])).all()
