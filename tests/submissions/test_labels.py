"""Boards and rescoring from labels alone: what is written is what is read, and no image is needed."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli.data import COMMAND
from bench.data.dataset import TaskData, arrays_of
from bench.data.load import load_task
from bench.data.task import Task, read_suite, read_task, shipped_tasks
from bench.errors import DataError
from bench.files import npz_bytes, read_npz
from bench.leaderboard.collect import collect
from bench.leaderboard.replicates import all_replicates
from bench.locate import shipped
from bench.runs.options import RunSpec
from bench.runs.run import run
from bench.submissions.bundle import bundle
from bench.submissions.labels import load_labels, read_labels, write_labels
from bench.submissions.verify import verify
from benchmarks.hostile.base import copy, write_tasks
from tests.submissions.test_compact import REFERENCE, SUITE


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("labels") / "tasks")


@pytest.fixture
def elsewhere(tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cards without a single image, in another place with an empty cache."""
    cards = tmp_path / "tasks"
    cards.mkdir()
    for path in tasks.glob("*.toml"):
        shutil.copy(path, cards)
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    return cards


@pytest.mark.parametrize("name", ["which", "where"])
def test_every_array_but_the_images_comes_back(tasks: Path, tmp_path: Path, name: str) -> None:
    data = load_task(read_task(tasks / f"{name}.toml"), folder=tasks)
    again = read_labels(data.task, write_labels(data, tmp_path))
    assert (again.sha256, again.store, dict(again.digests)) == (data.sha256, data.store, dict(data.digests))
    before, now = arrays_of(data.splits), arrays_of(again.splits)
    assert before.keys() == now.keys()
    for key in before:
        if key.endswith(".images"):
            assert now[key].shape == (len(before[key]), 0, 0, 1)
        else:
            np.testing.assert_array_equal(now[key], before[key])


def test_masks_may_be_left_out_but_not_what_a_board_reads_of_them(tasks: Path, tmp_path: Path, monkeypatch) -> None:
    data = load_task(read_task(tasks / "where.toml"), folder=tasks)
    path = write_labels(data, tmp_path / "labels", masks=False)
    assert not any(name.split("@")[0].endswith(".labels") for name in read_npz(path))
    again = read_labels(data.task, path)
    assert not again.has_labels
    assert (again.sha256, dict(again.digests)) == (data.sha256, dict(data.digests))
    np.testing.assert_array_equal(
        again.test_pixels, [np.bincount(m.ravel(), minlength=2) for m in data.tests["test"].labels]
    )
    monkeypatch.setenv("MEDSSL_LABELS", str(tmp_path / "labels"))
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    assert not load_labels(data.task, folder=tmp_path, masks=False).has_labels
    with pytest.raises(DataError, match=r"where\.npz"):  # rescoring reads masks: such a file is none
        load_labels(data.task, folder=tmp_path)


def test_pixels_that_changed_are_refused(tasks: Path, tmp_path: Path) -> None:
    path = write_labels(load_task(read_task(tasks / "where.toml"), folder=tasks), tmp_path, masks=False)
    arrays = read_npz(path)
    arrays["test.pixels"][0, 1] += 1
    path.write_bytes(npz_bytes(arrays))
    with pytest.raises(DataError, match="does not hold the labels that were written"):
        read_labels(read_task(tasks / "where.toml"), path)


@pytest.mark.parametrize("name", read_suite("open-v1").tasks)
def test_labels_that_are_shipped_are_those_of_the_index(name: str) -> None:
    card = shipped_tasks()[name]
    data = shipped_labels(card, "open-v1 --no-masks")
    with (shipped("tasks") / "open" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for split, known in data.splits.items():
        listed = {row["id"]: row for row in rows if row["split"] == split}
        assert sorted(listed) == sorted(known.ids)
        if known.groups is not None and "group" in rows[0]:
            grouped = {i: listed[i]["group"] for i in known.ids}
            assert_same_parts(grouped.values(), known.groups)
        if card.kind == "global":
            assert_same_parts([listed[i]["label"] for i in known.ids], known.labels)
    assert data.has_labels == (card.kind == "global")
    assert len(data.test_pixels) == len(data.tests["test"]) if card.kind == "dense" else data.pixels is None


@pytest.mark.parametrize("name", read_suite("phantom-v1").tasks)
def test_labels_of_phantoms_that_are_shipped_are_those_of_the_cards_images(name: str) -> None:
    card = shipped_tasks()[name]
    data = shipped_labels(card, "phantom-v1")
    assert data.sha256 == card.source["sha256"], "the hash of all arrays, images too"
    assert {split: len(data.splits[split]) for split in ("train", "val", "test")} == {
        split: card.source[split] for split in ("train", "val", "test")
    }
    assert data.has_labels


def shipped_labels(card: Task, made_by: str) -> TaskData:
    """The labels of a task that are shipped; `made_by`: what `medssl data labels` is told to write them."""
    path = shipped("tasks") / "labels" / f"{card.name}-{card.sha256[:12]}.npz"
    assert path.is_file(), f"write it with: medssl data labels {made_by} --out tasks/labels"
    return read_labels(card, path)


def assert_same_parts(one: Iterable[str], other: np.ndarray) -> None:
    """Two namings of the same parts of a list."""
    pairs = set(zip(one, map(str, other), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_labels_that_changed_are_refused(tasks: Path, tmp_path: Path) -> None:
    data = load_task(read_task(tasks / "which.toml"), folder=tasks)
    path = write_labels(data, tmp_path)
    arrays = read_npz(path)
    arrays["test.labels"][3] ^= 1
    path.write_bytes(npz_bytes(arrays))
    with pytest.raises(DataError, match="does not hold the labels that were written"):
        read_labels(data.task, path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not a readable file of labels"):
        read_labels(data.task, path)


def test_without_images_and_without_labels_it_says_what_is_missing(elsewhere: Path) -> None:
    with pytest.raises(DataError, match=r"which\.npz"):
        load_labels(read_task(elsewhere / "which.toml"), folder=elsewhere)


def test_boards_and_rescoring_need_no_image(tasks: Path, elsewhere: Path, tmp_path: Path, monkeypatch) -> None:
    suite, home = tmp_path / "own.toml", tmp_path / "home"
    suite.write_text(SUITE)
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "with images"))
    run(RunSpec.of("colour-histogram", str(suite), str(tasks), out=str(tmp_path / "runs"), command="x"))
    sent = bundle(REFERENCE / "colour-histogram.toml", tmp_path / "runs", tmp_path / "sent", ["own"], compact=True)
    whole = replicates(sent.folder, tasks)
    done = CliRunner().invoke(COMMAND, ["labels", str(tasks), "--out", str(tmp_path / "labels")])
    assert done.exit_code == 0, done.output
    assert "labels of 2 tasks" in done.output

    monkeypatch.setenv("MEDSSL_HOME", str(home))
    alone, approximated = replicates(sent.folder, elsewhere)
    assert approximated == whole[0].keys()  # nothing is at hand: the intervals in the records stand in
    monkeypatch.setenv("MEDSSL_LABELS", str(tmp_path / "labels"))
    alone, approximated = replicates(sent.folder, elsewhere)
    assert whole[1] == approximated == frozenset()
    for key, draws in whole[0].items():
        np.testing.assert_array_equal(alone[key], draws)
    report = verify(copy(sent.folder, tmp_path / "copy"), rescore=True, tasks=elsewhere, suites=[suite])
    assert (report.problems, report.badge) == ([], "rescored")
    assert not (home / "store").is_dir() or not list((home / "store").glob("*/entry.json"))


def replicates(folder: Path, tasks: Path) -> tuple[dict, frozenset]:
    collection = collect([folder], tasks=tasks)["own"]
    result = collection.results["colour-histogram"]
    wanted = {("linear", r.unit.budget) for r in result.records}
    return all_replicates(result, collection.at_hand, wanted)
