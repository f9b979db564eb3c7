"""What of one's own results stands side by side: same task, protocol, metrics and data; the rest is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.leaderboard import comparable
from bench.leaderboard.collect import SuiteResults, collect
from bench.leaderboard.compare import compare
from bench.runs.options import RunSpec
from bench.runs.run import run
from benchmarks.hostile.base import each, edit_lines
from tests.cards import task_card

SUITE = """schema = 1
name = "own"
title = "Own"
tasks = ["left", "right"]

[[protocols]]
name = "knn-v1"
budgets = ["100%"]
"""
CARD = task_card("NAME", 'reader = "npz", file = "own.npz"')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two encoders on two tasks of one's own."""
    work = tmp_path_factory.mktemp("side")
    tasks, rng = work / "tasks", np.random.default_rng(0)
    tasks.mkdir()
    arrays = {}
    for split, n in (("train", 20), ("val", 10), ("test", 20)):
        labels = np.arange(n) % 2
        arrays[f"{split}_images"] = (rng.integers(0, 200, (n, 16, 16)) + 20 * labels[:, None, None]).astype(np.uint8)
        arrays[f"{split}_labels"] = labels
    np.savez(tasks / "own.npz", **arrays)
    for name in ("left", "right"):
        (tasks / f"{name}.toml").write_text(CARD.replace("NAME", name))
    (work / "own.toml").write_text(SUITE)
    for name in ("raw-pixels", "colour-histogram"):
        run(RunSpec.of(name, str(work / "own.toml"), str(tasks), out=str(work / "runs"), command=f"medssl run {name}"))
    return work / "runs"


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "runs"))


def change(runs: Path, encoder: str, edit: Callable[[dict], None]) -> None:
    """Edit each record of an encoder."""
    edit_lines(runs / encoder / "own" / "records.jsonl", each(edit))


def own(runs: Path) -> SuiteResults:
    """The collection, without any folder of cards."""
    return collect([], local=[runs])["own"]


def test_results_are_read_with_the_cards_they_kept(runs: Path, made: Path) -> None:
    found = own(runs)
    assert set(found.results) == {"raw-pixels", "colour-histogram"}
    assert not found.left_out
    assert not found.unfinished
    assert found.origin == made.parent / "tasks"
    assert [row.task for row in compare(found, "raw-pixels", "colour-histogram")] == ["left", "right"]


def test_the_newest_data_count_and_the_older_are_named_task_by_task(runs: Path) -> None:
    def relabelled(record: dict) -> None:
        record["made_by"]["created"] = "2099-01-01T00:00:00+00:00"
        if record["unit"]["task"] == "left":
            record["data_sha256"] = "0" * 64

    change(runs, "raw-pixels", relabelled)
    found = own(runs)
    assert [r.unit.task for r in found.results["colour-histogram"].records] == ["right"]
    assert len(found.results["raw-pixels"].records) == 2
    assert found.left_out.keys() == {"colour-histogram"}
    why = found.left_out["colour-histogram"]
    assert "left: an older version of the data" in why
    assert "raw-pixels has 00000000 of 2099-01-01" in why
    assert "run it again: medssl run colour-histogram" in why
    assert ("colour-histogram", "left", "knn-v1", "100%") in found.unfinished, "it is missing on the board"


def test_the_older_run_decides_nothing_although_it_comes_first(runs: Path) -> None:
    change(runs, "colour-histogram", lambda r: r["made_by"].update(created="2001-01-01T00:00:00+00:00"))
    change(runs, "colour-histogram", lambda r: r.update(data_sha256="f" * 64))
    assert set(own(runs).results) == {"raw-pixels"}
    assert "another" not in own(runs).left_out["colour-histogram"]


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda r: r["unit"].update(protocol="mine-v9"), "protocol 'mine-v9' is not installed here"),
        (lambda r: r["unit"].update(task="gone"), "gone: an unknown task"),
        (lambda r: r["unit"].update(protocol="linear-v1"), "linear-v1 at 100% is no longer part of the suite"),
        (lambda r: r["unit"].update(seed=7), "knn-v1 at 100%, seed 7, is no longer part of the suite"),
        (lambda r: r.update(metric="mcc"), "has primary metric 'mcc', the task's is 'auroc'"),
        (lambda r: r["metrics"]["test"].pop("auroc"), r"is done but holds no primary metric (auroc)"),
        (lambda r: r.update(protocol_sha256="0" * 64), "another version of knn-v1"),
        (lambda r: r.update(scoring=1), "metrics of version 1"),
    ],
)
def test_what_is_not_known_or_no_longer_meant_is_named_and_stops_nothing(
    runs: Path, edit: Callable[[dict], None], why: str
) -> None:
    path = runs / "colour-histogram" / "own" / "records.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    change(runs, "colour-histogram", edit)
    found = own(runs)
    assert why in found.left_out["colour-histogram"]
    assert set(found.results) == {"raw-pixels"}
    assert len(found.frame)


def test_a_card_that_means_something_else_now_is_named(runs: Path) -> None:
    path = runs / "colour-histogram" / "own" / "plan.json"
    plan = json.loads(path.read_text())
    plan["tasks"]["left"]["title"] = "A better title"
    path.write_text(json.dumps(plan))
    assert not own(runs).left_out, "prose decides nothing"
    plan["tasks"]["left"]["classes"] = ["b", "a"]
    path.write_text(json.dumps(plan))
    change(runs, "raw-pixels", lambda r: r["made_by"].update(created="2099-01-01T00:00:00+00:00"))
    assert own(runs).left_out["colour-histogram"].startswith("left: another card, run it again")


def test_tasks_of_another_place_under_one_name_are_not_mixed(runs: Path, tmp_path: Path) -> None:
    path = runs / "colour-histogram" / "own" / "plan.json"
    plan = json.loads(path.read_text())
    (tmp_path / "elsewhere").mkdir()
    path.write_text(json.dumps(plan | {"origin": str(tmp_path / "elsewhere")}))
    change(runs, "raw-pixels", lambda r: r["made_by"].update(created="2099-01-01T00:00:00+00:00"))
    assert own(runs).left_out == {"colour-histogram": f"is of other tasks of this name, in {tmp_path / 'elsewhere'}"}
    path.write_text(json.dumps(plan | {"origin": str(tmp_path / "gone")}))
    assert not own(runs).left_out, "the same cards, whose folder has moved"


@pytest.mark.parametrize("damage", ["records.jsonl", "plan.json", "../encoder.toml"])
def test_a_folder_that_cannot_be_read_is_named_and_blocks_no_other(runs: Path, damage: str) -> None:
    (runs / "colour-histogram" / "own" / damage).write_text("{")
    gathered = collect([], local=[runs])
    assert set(gathered["own"].results) == {"raw-pixels"}
    assert "colour-histogram" in str(gathered.left_out) + str(gathered["own"].left_out)


def test_an_interrupted_run_is_named(runs: Path) -> None:
    folder = runs / "colour-histogram" / "own"
    (folder / "records.jsonl").rename(folder / "gone")
    gathered = collect([], local=[runs])
    assert gathered.left_out == {folder: "is not finished; run the same command again"}
    assert collect([], local=[runs], suites=["other"]) == {}


def test_no_results_have_no_print():
    assert comparable._most_common_print({}, set()) == ""
