"""A compact submission without masks: every metric recomputed from scores of cases, boards and pictures as before."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.encoders.load import REFERENCE
from bench.errors import RunError, SubmissionError
from bench.leaderboard.collect import collect
from bench.leaderboard.replicates import all_replicates
from bench.publish.pictures import pictures
from bench.runs.options import RunSpec
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.run import run
from bench.submissions import bundle as bundling
from bench.submissions import cases, condensed
from bench.submissions.badge import contents_sha256
from bench.submissions.bundle import bundle
from bench.submissions.verify import verify
from bench.words import family
from benchmarks.hostile.base import copy, write_tasks

SUITE = """schema = 1
name = "own"
title = "Own"
scoring = 2
tasks = ["which", "where"]

[[protocols]]
name = "linear-v2"
budgets = ["10%", "100%"]

[[protocols]]
name = "dense-linear-v2"
budgets = ["10%", "100%"]
"""
CARD = REFERENCE / "raw-pixels.toml"
MASKS = "where.dense-linear-v2.100pct.0"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with runs/, tasks/ and own.toml, and with the submission in whole/ and in small/."""
    work = tmp_path_factory.mktemp("cases")
    tasks, suite = write_tasks(work / "tasks"), work / "own.toml"
    suite.write_text(SUITE)
    run(RunSpec.of(encoder="raw-pixels", suite=str(suite), tasks=str(tasks), out=str(work / "runs"), command="x"))
    bundle(CARD, work / "runs", work / "whole", ["own"])
    bundle(CARD, work / "runs", work / "small", ["own"], compact=True)
    return work


def report_on(folder: Path, work: Path):
    return verify(folder, rescore=True, tasks=work / "tasks", suites=[work / "own.toml"])


def test_every_number_of_masks_is_recomputed_without_them(work, tmp_path):
    folder = copy(work / "small" / "raw-pixels", tmp_path)
    assert not (folder / "own" / "predictions" / "where.npz").exists()
    report = report_on(folder, work)
    assert (report.problems, report.units, report.unchecked, report.condensed) == ([], 2, 2, 2)
    assert report.largest_difference < 1e-12


def test_boards_and_pictures_are_those_of_the_whole_submission(work, monkeypatch, tmp_path):
    found = []
    for name in ("whole", "small"):
        monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / name))
        mine = collect([work / name], tasks=work / "tasks")["own"]
        wanted = {(family(r.unit.protocol), r.unit.budget) for r in mine.results["raw-pixels"].records}
        draws, approximated = all_replicates(mine.results["raw-pixels"], mine.at_hand, wanted)
        shown = pictures(mine, mine.tasks["where"], "dense-linear-v2")
        assert not approximated
        found.append((draws, shown.cases, shown.files))
    (draws, whole, files), (again, small, kept) = found
    answers = [given.answers["raw-pixels"] for given in (whole, small)]
    assert (answers[0].failed, answers[0].of, answers[0].quartiles) == (answers[1].failed, 30, answers[1].quartiles)
    assert len(small.images) == cases.SHOWN
    assert None not in answers[1].drawn
    assert list(answers[1].values) == sorted(answers[1].values), "its worst images, worst first"
    shared = files.keys() & kept.keys()
    assert any("/raw-pixels/" in address for address in shared)
    assert all(files[address] == kept[address] for address in shared)
    assert draws.keys() == again.keys()
    for key in draws:
        np.testing.assert_allclose(again[key], draws[key], atol=1e-12)


def forged(arrays: dict[str, np.ndarray]) -> None:
    """Better scores on an image that is not among those whose masks are kept."""
    rows = set(arrays[f"{MASKS}/shown/rows"].tolist())
    i = next(i for i in range(30) if i not in rows)
    areas = arrays[f"{MASKS}/test/areas"] = arrays[f"{MASKS}/test/areas"].copy()
    areas[i, :, :2] = areas[i, :, 2:]


def redrawn(arrays: dict[str, np.ndarray]) -> None:
    arrays[f"{MASKS}/shown/masks"] = arrays[f"{MASKS}/shown/masks"][::-1].copy()


def duplicated(arrays: dict[str, np.ndarray]) -> None:
    arrays[f"{MASKS}9/test/areas"] = arrays[f"{MASKS}/test/areas"]


def enlarged(arrays: dict[str, np.ndarray]) -> None:
    arrays[f"{MASKS}/test/more"] = np.zeros(3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (forged, "dice on test is"),
        (redrawn, "the masks of the worst cases"),
        (duplicated, "twice or of none"),
        (enlarged, "hold 'more', which is none of them"),
    ],
)
def test_what_is_kept_must_give_the_records(work, tmp_path, change, told):
    folder = copy(work / "small" / "raw-pixels", tmp_path)
    path = folder / "own" / "cases" / "where.npz"
    arrays = read_predictions(path)
    change(arrays)
    path.write_bytes(predictions_bytes(arrays))
    assert any(told in problem for problem in report_on(folder, work).problems)


def test_without_cases_and_masks_it_is_refused(work, tmp_path):
    folder = copy(work / "small" / "raw-pixels", tmp_path)
    (folder / "own" / "cases" / "where.npz").unlink()
    (problem,) = report_on(folder, work).problems
    assert "no predictions of 1 units that feed a board" in problem


def test_large_outputs_take_two_bytes_and_large_ranks_become_replicates(work, tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "LARGE", 10)
    monkeypatch.setattr(condensed, "REPLICATES_BYTES", 10)
    folder = bundle(CARD, work / "runs", tmp_path, ["own"], compact=True).folder
    kept = read_predictions(folder / "own" / "cases" / "which.npz")
    assert {name: a.dtype for name, a in kept.items()} == {"which.linear-v2.100pct.0/test/log_odds": np.int16}
    (drawn,) = read_predictions(folder / "own" / "condensed" / "which.npz").values()
    assert (drawn.dtype, drawn.shape) == (np.float16, (2000,))
    report = report_on(folder, work)
    # Of replicates the interval alone is recomputed, around the metric that is stated.
    assert (report.problems, report.units, report.unchecked, report.condensed) == ([], 2, 2, 0)
    assert 0 < report.largest_difference < cases.QUANTISED
    monkeypatch.undo()
    problems = report_on(folder, work).problems
    assert len(problems) == 2
    assert all("keeps replicates, where what the metric reads is smaller" in problem for problem in problems)


def test_the_limit_is_looked_at_after_compaction(work, tmp_path, monkeypatch):
    sizes = [sum(p.stat().st_size for p in (work / name).rglob("*") if p.is_file()) for name in ("small", "whole")]
    monkeypatch.setattr(bundling, "MAX_BYTES", sum(sizes) // 2)
    with pytest.raises(SubmissionError, match="--compact"):
        bundle(CARD, work / "runs", tmp_path / "whole", ["own"])
    assert bundle(CARD, work / "runs", tmp_path / "small", ["own"], compact=True).size == sizes[0]


def test_other_suites_of_a_submission_stay_and_are_not_lost_to_another_card(work, tmp_path):
    out = tmp_path / "out"
    first = bundle(CARD, work / "runs", out, ["own"]).folder
    (first / "own").rename(first / "other")
    made = bundle(CARD, work / "runs", out, ["own"], compact=True)
    assert made.suites == ("own", "other")
    assert (out / "raw-pixels" / "other" / "records.jsonl").is_file()
    card = out / "raw-pixels" / "encoder.toml"
    card.write_text(card.read_text().replace('version = "1"', 'version = "0"'))
    with pytest.raises(SubmissionError, match="on other of another version of the card"):
        bundle(CARD, work / "runs", out, ["own"])
    assert (out / "raw-pixels" / "other" / "records.jsonl").is_file()


def test_a_full_disk_at_any_copy_leaves_what_was_there(work, tmp_path, monkeypatch):
    before = bundle(CARD, work / "runs", tmp_path, ["own"]).folder
    sent = contents_sha256(before, "own")
    real, calls = shutil.copyfile, []

    def full(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(RunError, match="No space left"):
        bundle(CARD, work / "runs", tmp_path, ["own"])
    assert contents_sha256(before, "own") == sent
    assert [p.name for p in tmp_path.iterdir()] == ["raw-pixels"]


def test_a_link_to_a_submission_elsewhere_leads_to_the_new_one(work, tmp_path):
    elsewhere = bundle(CARD, work / "runs", tmp_path / "disk", ["own"]).folder
    link = tmp_path / "out" / elsewhere.name
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    bundle(CARD, work / "runs", link.parent, ["own"], compact=True)
    assert link.is_symlink()
    assert (elsewhere / "own" / "cases").is_dir()
    assert [p.name for p in link.parent.iterdir()] == [p.name for p in elsewhere.parent.iterdir()] == [elsewhere.name]
