"""The estimate of a run: right counts, before the data are there as after, and within reach of the truth."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.data.task import shipped_tasks
from bench.encoders.load import load_encoder
from bench.metrics.resample import draw_bytes
from bench.metrics.scored import memory_bytes
from bench.protocols.base import UnitSizes
from bench.runs import estimate as module
from bench.runs.estimate import estimate
from bench.runs.options import RunSpec
from bench.runs.plan import make_plan
from bench.runs.run import run
from bench.runs.stand_in import stand_in


def test_before_the_data_are_there_the_card_gives_the_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    plan = make_plan("core-v1", only=("breastmnist-224", "kvasir-256"))
    expected = estimate(load_encoder("raw-pixels"), plan)
    assert {t.task: t.images for t in expected.tasks} == {"breastmnist-224": 780, "kvasir-256": 1000}
    assert not any(t.prepared for t in expected.tasks)
    assert sum(t.units for t in expected.tasks) == plan.n_units
    assert expected.seconds > 0
    assert expected.disk_bytes > 0
    assert not (tmp_path / "store").exists(), "nothing was prepared"


def test_made_up_data_of_one_shape_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    measured = []
    honest = module.rehearse
    monkeypatch.setattr(module, "rehearse", lambda *given: measured.append(given[1].task.name) or honest(*given))
    plan = make_plan("core-v1", only=("breastmnist-224", "organamnist-224", "organcmnist-224", "organsmnist-224"))
    found = estimate(load_encoder("raw-pixels"), plan)
    assert len(measured) == 2
    assert len({t.encode_seconds for t in found.tasks}) == 4  # each by its own number of images


def test_an_estimate_is_of_the_right_order(squares: Path, tmp_path: Path) -> None:
    plan = make_plan(None, squares)
    expected = estimate(load_encoder("raw-pixels"), plan)
    assert all(t.prepared for t in expected.tasks)
    started = time.perf_counter()
    run(RunSpec.of("raw-pixels", None, str(squares), out=str(tmp_path), threads=1))
    assert expected.seconds < 20 * (time.perf_counter() - started)


def test_the_forecast_counts_the_memory_of_solvers_and_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "held", lambda: 0)
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    expected = estimate(load_encoder("raw-pixels"), make_plan("core-v1", only=("breastmnist-224",)))
    (task,) = expected.tasks
    width = task.feature_bytes // task.images // 4
    plan = make_plan("core-v1", only=(task.task,))
    sizes = UnitSizes(plan.tasks[task.task], 546, 78, (156,), 3 * 224**2, 1, width)
    assert task.solver_bytes >= plan.protocols["linear-v2"].memory_bytes(sizes)
    assert task.draw_bytes == 2000 * 156
    assert task.statistics_bytes > task.draw_bytes
    scored = max(task.encoder_bytes, task.solver_bytes + task.statistics_bytes)
    assert expected.memory_bytes == scored + task.feature_bytes + task.draw_bytes


def test_every_task_of_core_v1_fits_16_gb_with_a_vit_b() -> None:
    plan, width, cells = make_plan("core-v1"), 768, 14 * 14
    sizes = {}
    for name in plan.selected:
        task = plan.tasks[name]
        protocols = [plan.protocols[name] for name in {unit.protocol for unit in plan.units(task)}]
        images, dense = sum(task.stated_counts.values()), any(p.reads_grid for p in protocols)
        features = 4 * images * width * (1 + cells * dense)
        train, val, *tests = task.stated_counts.values()
        parts = cells if dense else 1
        sizes[name] = features + max(
            p.memory_bytes(UnitSizes(task, learnt, held, tuple(tests), 3 * 224**2, parts, width))
            for p in protocols
            for learnt, held in ((train, val), (train // 4, 0))
        )
        data, test = stand_in(task, task.stated_counts), task.stated_counts["test"]
        sizes[name] += memory_bytes(task, data.tests["test"], test) + draw_bytes(test)
    assert len(sizes) == 32
    assert max(sizes, key=sizes.__getitem__) == "tissuemnist-224"
    assert max(sizes.values()) < 6e9  # the rest of 16 GB is the process, its images and the draws of other tasks


def test_a_dry_run_knows_data_whose_checksum_was_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    plan = make_plan("core-v1", only=("breastmnist-224",))
    asked = []

    def key(task: object, *, folder: object, accept_checksum: bool) -> tuple[None, str]:
        asked.append(accept_checksum)
        return None, "0" * 16

    monkeypatch.setattr("bench.runs.stand_in.store_key", key)
    told = []
    estimate(load_encoder("raw-pixels"), plan, accept_checksum=True, told=told.append)
    assert asked == [True]
    assert told == ["breastmnist-224: a few units as a trial (task 1 of 1)"]


@pytest.mark.parametrize(
    "name", ["chestmnist-28", "retinamnist-28", "organmnist3d-28", "kvasir-256", "phantom-ct-focal"]
)
def test_what_stands_in_has_the_shape_of_its_target(name: str) -> None:
    task = shipped_tasks()[name]
    data = stand_in(task, task.stated_counts)
    labels = data.train.labels
    expected = {"mask": 3, "multi-label": 2}.get(task.target, 1)
    assert labels.ndim == expected
    assert int(labels.max()) < max(2, len(task.classes))
    assert data.train.images.ndim == (5 if task.source.get("volume") else 4)
    if name == "organmnist3d-28":
        large = stand_in(shipped_tasks()["nodulemnist3d-64"], {"train": 2, "val": 2, "test": 2})
        assert large.train.images.shape[1:4] == (64, 64, 64)
    assert ("test-shift" in data.tests) == bool(task.source.get("shift"))
