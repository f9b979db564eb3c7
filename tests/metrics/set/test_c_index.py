"""Harrell's C: worked out by hand, pair by pair, and under the weights of the bootstrap."""

from itertools import permutations

import numpy as np
import pytest
import torch

from bench.data.dataset import Split
from bench.laws.problems import make_task
from bench.metrics.base import Comparison
from bench.metrics.resample import resample_counts
from bench.metrics.scored import check_output, primary_replicates, score
from bench.metrics.set.c_index import METRIC

TASK = make_task("survival")


def c_of(time, event, risk, weights=None):
    labels = np.stack([time, event], axis=1).astype(np.float64)
    weights = np.ones((1, len(labels)), np.uint8) if weights is None else weights
    return METRIC.value(Comparison(TASK, np.array(risk, np.float32)[:, None], labels, weights, 2))


def pair_by_pair(time, event, risk):
    """Every ordered pair, asked one after the other."""
    right, count = 0.0, 0
    for i, j in permutations(range(len(time)), 2):
        if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
            count += 1
            right += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    return right / count


def test_worked_out_by_hand():
    """A dies at 1, B is censored at 2, C dies at 3, D is alive at 4: A before B, C, D and C before D."""
    time, event = [1, 2, 3, 4], [1, 0, 1, 0]
    assert c_of(time, event, [4, 0, 3, 2]) == 1.0
    assert c_of(time, event, [1, 5, 2, 2])[0] == pytest.approx(0.5 / 4)  # A below all, C and D equal
    assert c_of(time, event, [0, 0, 0, 0]) == 0.5
    assert c_of(time, event, [-4, 0, -3, -2]) == 0.0


def test_equal_times():
    """Two who die at 2 are no pair; one who is censored at 2 was alive when the others died."""
    assert np.isnan(c_of([2, 2], [1, 1], [1, 0]))
    assert c_of([2, 2], [1, 0], [1, 0]) == 1.0
    assert np.isnan(c_of([1, 2], [0, 1], [1, 0]))


def drawn(seed, n=60):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 15, n), rng.integers(0, 2, n), rng.integers(0, 20, n) / 4


@pytest.mark.parametrize("seed", range(3))
def test_pair_by_pair(seed):
    assert c_of(*drawn(seed))[0] == pytest.approx(pair_by_pair(*drawn(seed)), abs=1e-12)


def test_weights_count_a_case_as_often_as_it_was_drawn(monkeypatch):
    monkeypatch.setattr("bench.metrics.resample.BLOCK_BYTES", 60 * 8 * 7)  # in blocks of seven rows
    time, event, risk = drawn(0)
    counts = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), 5).astype(np.uint8)
    found = c_of(time, event, risk, counts)
    for value, row in zip(found, counts, strict=True):
        rows = np.repeat(np.arange(60), row)
        assert value == pytest.approx(pair_by_pair(time[rows], event[rows], risk[rows]), abs=1e-12)
    np.testing.assert_allclose(c_of(time, event, risk, torch.from_numpy(counts)), found, atol=1e-12)


def test_the_interval_is_over_patients():
    time, event, risk = drawn(0)
    ids = np.array([f"test/{i}" for i in range(60)])
    groups = np.array([f"p{i // 3}" for i in range(60)])
    labels = np.stack([time, event], axis=1).astype(np.float64)
    split = Split(np.zeros((60, 8, 8, 1), np.uint8), labels, ids, groups)
    output = risk[:, None].astype(np.float32)
    counts = resample_counts("t", "test", ids, groups, 200)
    (name, found), *others = score(TASK, output, split, resamples=counts).items()
    assert (name, others) == ("c_index", [])
    draws = primary_replicates(TASK, output, split, counts)
    assert (found.low, found.high) == tuple(np.quantile(draws, [0.025, 0.975]))
    assert found.low < found.value < found.high
    assert TASK.chance == 0.5
    check_output(TASK, output * 1e3 - 7, split)
