"""Laws that every metric keeps, as tests of pytest.

A test module of a new metric imports all of this module and says which metric is meant:

    from bench.laws.metrics import *

    @pytest.fixture
    def metric():
        return Spherical()
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from bench.data.task import Task
from bench.laws.problems import make_task
from bench.metrics import SCORING
from bench.metrics.base import Comparison, Metric
from bench.words import Target

SIDE = 16
NEAR = 1e-9


@dataclass(frozen=True)
class Answered:
    """Labels of a made-up task, outputs that are right, and outputs that are right more often than not."""

    task: Task
    labels: np.ndarray
    perfect: np.ndarray
    fair: np.ndarray

    def under(
        self, metric: Metric, weights: np.ndarray, output: np.ndarray | None = None, scoring: int | None = None
    ) -> Comparison:
        """What the metric is asked, about the fair outputs unless others are given. weights: (r, n)."""
        output, scoring = self.fair if output is None else output, scoring or metric.until or SCORING
        return Comparison(self.task, output, self.labels, weights, scoring, frozenset({metric.name}), temperature=1.0)

    def value(self, metric: Metric, output: np.ndarray | None = None, scoring: int | None = None) -> float:
        """The metric of one output, each case counted once."""
        return float(metric.value(self.under(metric, np.ones((1, len(self.labels)), np.uint8), output, scoring))[0])

    def rows(self, rows: np.ndarray) -> Answered:
        """Some of its cases, in this order."""
        return replace(self, labels=self.labels[rows], perfect=self.perfect[rows], fair=self.fair[rows])


def answered(target: Target, seed: int = 0) -> Answered:
    """A made-up task of this target: 520 cases, so that calibration can be measured, or 12 masks of 16 x 16."""
    task, rng = make_task(target), np.random.default_rng(seed)
    k, n = len(task.classes), 12 if target == "mask" else 520
    if target == "mask":
        task = task.model_copy(update={"classes": ["background", "vessel", *task.classes[2:]]})
        labels, fair = np.zeros((n, SIDE, SIDE), np.uint8), np.zeros((n, SIDE, SIDE), np.uint8)
        for i in range(n - 1):  # the last image is empty
            top, left, label = *rng.integers(1, 9, 2), 1 + i % (k - 1)
            labels[i, top : top + 6, left : left + 6] = label
            fair[i, top : top + 5, left + 1 : left + 6] = label
        fair[0, :2, :2] = k - 1  # a false alarm
        return Answered(task, labels, labels.copy(), fair)
    if target == "number":
        numbers = rng.normal(20, 5, n)
        return Answered(task, numbers, numbers[:, None].astype(np.float32), _near(numbers[:, None], rng))
    if target == "survival":
        times = rng.exponential(10, n) + 0.1
        labels = np.stack([times, rng.random(n) < 0.7], axis=1)
        return Answered(task, labels, -times[:, None].astype(np.float32), _near(-times[:, None], rng))
    if target == "multi-label":
        several = (rng.random((n, k)) < 0.3).astype(np.uint8)
        return Answered(task, several, several.astype(np.float32), np.clip(_near(several, rng, 0.4), 0, 1))
    classes = rng.integers(0, k, n)
    one = np.eye(k)[classes]
    fair = np.abs(_near(one, rng, 0.4)) + np.float32(1e-3)
    return Answered(task, classes, one.astype(np.float32), fair / fair.sum(1, keepdims=True))


def _near(values: np.ndarray, rng: np.random.Generator, spread: float = 4.0) -> np.ndarray:
    return (values + rng.normal(0, spread, values.shape)).astype(np.float32)


@pytest.fixture
def metric() -> Metric:
    """The metric under test: to be overridden."""
    raise NotImplementedError("say which metric is meant: a fixture called 'metric'")


def each(metric: Metric) -> Iterator[Answered]:
    """A made-up task of each target the metric is defined for."""
    return (answered(target) for target in metric.targets)


def test_a_fair_answer_has_a_value(metric):
    for given in each(metric):
        assert np.isfinite(given.value(metric)), given.task.target


def test_the_perfect_answer_is_better_than_any_other(metric):
    for given in each(metric):
        best, sign = given.value(metric, given.perfect), 1 if metric.higher_is_better else -1
        others = [given.value(metric, given.fair)]
        others += [given.value(metric, np.roll(given.perfect, shift, axis=0)) for shift in (1, 2, 3)]
        assert max(sign * other for other in others) <= sign * best, (given.task.target, best, others)
        assert min(sign * other for other in others) < sign * best, f"{given.task.target}: all answers are worth {best}"


def test_a_guess_is_worse_than_the_perfect_answer(metric):
    for given in each(metric):
        if given.task.target in metric.primary_for:
            assert metric.chance(len(given.task.classes)) < given.value(metric, given.perfect)


def test_a_weight_is_a_case_said_so_often(metric):
    """Each row of weights gives what its cases give, written out as often as it says.

    Only in or out for a metric to which a case drawn twice is not two (`draws_are_cases`).
    """
    for given in each(metric):
        n, most = len(given.labels), None if metric.draws_are_cases else 1
        draws = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), 3).clip(max=most).astype(np.uint8)
        found = metric.value(given.under(metric, draws))
        assert found.shape == (3,)
        assert found.dtype == np.float64
        written = [given.rows(np.repeat(np.arange(n), row)).value(metric) for row in draws]
        np.testing.assert_allclose(found, written, rtol=NEAR, atol=NEAR, err_msg=given.task.target)


def test_no_order_of_cases_matters(metric):
    for given in each(metric):
        turned = given.rows(np.random.default_rng(2).permutation(len(given.labels)))
        assert turned.value(metric) == pytest.approx(given.value(metric), rel=NEAR, abs=NEAR)


def test_what_it_is_given_stays_as_it_was(metric):
    for given in each(metric):
        weights = np.ones((2, len(given.labels)), np.uint8)
        arrays = (given.labels, given.fair, weights)
        before = [array.copy() for array in arrays]
        metric.value(given.under(metric, weights))
        metric.parts(given.under(metric, weights))
        assert all(np.array_equal(was, array) for was, array in zip(before, arrays, strict=True))


def test_its_parts_are_replicates_too(metric):
    for given in each(metric):
        for name, values in metric.parts(given.under(metric, np.ones((2, len(given.labels)), np.uint8))).items():
            assert name
            assert values.shape == (2,)


def test_where_it_is_undefined_it_is_nan(metric):
    """A replicate without cases has no value; where all cases are alike it has one or none, but no infinity."""
    for given in each(metric):
        with np.errstate(all="ignore"):
            none = metric.value(given.under(metric, np.zeros((1, len(given.labels)), np.uint8)))
        assert np.isnan(none).all()
        alike = given.rows(np.zeros(len(given.labels), int))
        assert not np.isinf(alike.value(metric))


def test_many_outputs_at_once_are_as_one_after_the_other(metric):
    """Of a metric by which a protocol may choose, in the version that brought it."""
    for given in each(metric):
        if given.task.target in metric.primary_for:
            outputs = np.stack([given.fair, given.perfect, np.roll(given.fair, 1, axis=0)])
            alone = [given.value(metric, output, metric.since) for output in outputs]
            found = metric.of_candidates(given.task, outputs, given.labels)
            np.testing.assert_allclose(found, alone, rtol=1e-6, atol=1e-6)
