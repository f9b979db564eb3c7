"""A primary metric of many candidates at once is that metric of each: one definition, whatever the way."""

import numpy as np
import pytest

from bench.data.task import Task
from bench.metrics.base import Comparison
from bench.metrics.set import primaries

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
