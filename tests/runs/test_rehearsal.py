"""What units cost, worked out from a few: the line by hand, the rows that stand for a split, planted seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.dataset import Split, TaskData
from bench.data.task import shipped_tasks
from bench.encoders.load import load_encoder
from bench.protocols.base import Prediction
from bench.protocols.dense_linear import PROTOCOL as DENSE
from bench.protocols.knn import PROTOCOL as KNN
from bench.runs import rehearsal
from bench.runs.estimate import estimate
from bench.runs.plan import make_plan
from bench.runs.rehearsal import UnitCost, rehearse
from bench.runs.stand_in import stand_in


def test_the_line_by_hand() -> None:
    assert rehearsal._line([(100, 4.0)]) == UnitCost(fixed=0.0, row=0.04)
    two = rehearsal._line([(10, 2.0), (110, 4.0)])
    assert (two.fixed, two.row, two.once) == (pytest.approx(1.8), pytest.approx(0.02), pytest.approx(0))
    first = rehearsal._line([(10, 5.0), (10, 2.0), (110, 4.0)])
    assert (first.fixed, first.once) == (pytest.approx(1.8), pytest.approx(3.0))
    falling = rehearsal._line([(10, 4.0), (110, 2.0)])
    assert (falling.fixed, falling.row, falling.once) == (2.0, 0.0, 2.0)  # never less for more


def test_the_rows_of_a_split_show_each_class_and_keep_their_arrays_together() -> None:
    task = shipped_tasks()["retinamnist-28"]
    labels = np.zeros(1000, np.int64)
    labels[501:505] = 4
    split = Split(
        np.arange(1000, dtype=np.uint8).reshape(-1, 1, 1, 1),
        labels,
        np.array([f"train/{i}" for i in range(1000)]),
        strata={"row": np.arange(1000)},
    )
    some = rehearsal._some(TaskData.of(task, {"train": split, "val": split}, ""), split, 50)
    rows = some.strata["row"]
    assert 50 <= len(some) <= 62
    assert {501, 502, 503, 504} <= set(rows.tolist())
    assert (rows[0], rows[-1]) == (0, 999)
    assert np.array_equal(some.labels, labels[rows])
    assert np.array_equal(some.images.ravel(), rows.astype(np.uint8))
    assert some.ids[1] == f"train/{rows[1]}"


class Planted(type(KNN)):
    """As kNN on a clock of its own, and no lazy learner: 20 ms a unit and 1 ms a training image."""

    lazy = False

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self.clock = clock

    def predict(self, problem: object, subsets: object) -> Iterator[Prediction]:
        for prediction in super().predict(problem, subsets):
            self.clock[0] += 0.02 + 0.001 * len(prediction.subset.rows)
            yield prediction


class PlantedLazy(Planted):
    """10 us for each pair of a training and a test image."""

    lazy = True

    def predict(self, problem: object, subsets: object) -> Iterator[Prediction]:
        for prediction in type(KNN).predict(self, problem, subsets):
            self.clock[0] += 1e-5 * len(prediction.subset.rows) * len(problem.tests["test"].features.vectors)
            yield prediction


def test_what_a_lazy_learner_takes_grows_with_the_test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    plan, clock = make_plan("core-v1", only=("tissuemnist-224",)), [0.0]
    task = plan.tasks["tissuemnist-224"]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(rehearsal, "_seconds_an_image", lambda *given: 1e-4)
    lazy = replace(plan, protocols={**plan.protocols, KNN.name: PlantedLazy(clock)})
    units = [unit for unit in plan.units(task) if unit.protocol == KNN.name]
    monkeypatch.setattr(type(plan), "units", lambda self, task: units)
    (found,) = estimate(load_encoder("raw-pixels"), lazy).tasks
    counts = task.stated_counts
    pairs = sum(unit.budget.images(counts["train"], 8) for unit in units) * counts["test"]
    assert found.solve_seconds == pytest.approx(1e-5 * pairs)


def test_a_budget_is_tried_with_as_many_labels_as_it_will_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 % of 546 images are 55, and not 10 % of the 128 that stand for them."""
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    plan, tried = make_plan("core-v1", only=("breastmnist-224",)), []
    honest = type(KNN).predict

    def seen(self: object, problem: object, subsets: list) -> Iterator[Prediction]:
        tried.extend(len(subset.rows) for subset in subsets)
        return honest(self, problem, subsets)

    monkeypatch.setattr(type(KNN), "predict", seen)
    estimate(load_encoder("raw-pixels"), plan)
    least = min(
        unit.budget.images(546, 2) for unit in plan.units(plan.tasks["breastmnist-224"]) if unit.protocol == KNN.name
    )
    assert tried[:2] == [least, least]
    assert tried[-1] == 128
    assert len(tried) == 4


def test_patches_beyond_those_that_are_learnt_from_cost_nothing_more() -> None:
    assert [DENSE.learns_from(images, 196) for images in (10, 41, 600)] == [10, 41, 41]
    assert DENSE.learns_from(600, 10**6) == 1
    assert KNN.learns_from(600, 196) == 600


def test_planted_seconds_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    plan = make_plan("core-v1", only=("breastmnist-224",))
    task = plan.tasks["breastmnist-224"]
    units = [unit for unit in plan.units(task) if unit.protocol == KNN.name]
    data = stand_in(task, task.stated_counts)
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(rehearsal, "_seconds_an_image", lambda *given: 0.001)
    found = rehearse(load_encoder("raw-pixels"), data, [Planted(clock)], units, len(data.train)).units[KNN.name]
    assert found.row == pytest.approx(0.001)
    assert found.fixed == pytest.approx(0.02)
    assert (found.test, found.once) == (pytest.approx(0), pytest.approx(0))


def test_a_protocol_whose_units_are_all_refused_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    plan = make_plan("core-v1", only=("breastmnist-224",))
    task = plan.tasks["breastmnist-224"]
    data = stand_in(task, task.stated_counts)
    one_ill = replace(data, train=replace(data.train, labels=np.eye(1, len(data.train), dtype=np.int64)[0]))
    found = rehearse(load_encoder("raw-pixels"), one_ill, [KNN], plan.units(task), len(data.train))
    assert found.units == {KNN.name: UnitCost()}
