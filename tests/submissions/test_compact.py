"""Compact submissions: packed records, predictions of the boards at all labels only, and what may not be left out."""

from __future__ import annotations

import bz2
from pathlib import Path

import pytest

from bench.encoders.load import REFERENCE
from bench.errors import SubmissionError
from bench.leaderboard.collect import collect
from bench.runs import journal
from bench.runs.journal import read_records
from bench.runs.options import RunSpec
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.run import run
from bench.submissions.badge import badge_of, read_verdicts
from bench.submissions.bundle import bundle
from bench.submissions.verify import verify
from benchmarks.hostile.base import copy, write_tasks

SUITE = """schema = 1
name = "own"
title = "Own"
tasks = ["which"]

[[protocols]]
name = "linear-v1"
budgets = ["10%", "100%"]
seeds = 2

[[protocols]]
name = "knn-v1"
budgets = ["100%"]
"""


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, Path]:
    """(compact submission, whole submission, tasks, suite file)."""
    work = tmp_path_factory.mktemp("compact")
    tasks, suite = write_tasks(work / "tasks"), work / "own.toml"
    suite.write_text(SUITE)
    run(RunSpec.of(encoder="colour-histogram", suite=str(suite), tasks=str(tasks), out=str(work / "runs"), command="x"))
    card = REFERENCE / "colour-histogram.toml"
    small = bundle(card, work / "runs", work / "small", ["own"], compact=True)
    whole = bundle(card, work / "runs", work / "whole", ["own"])
    return small.folder, whole.folder, tasks, suite


def test_a_run_made_with_another_version_of_the_card_is_not_sent(sent, tmp_path: Path) -> None:
    runs, changed = sent[0].parents[1] / "runs", tmp_path / "encoder.toml"
    text = (REFERENCE / "colour-histogram.toml").read_text()
    changed.write_text(text.replace("bins = 32", "bins = 16"))
    assert changed.read_text() != text
    with pytest.raises(SubmissionError, match="another version of the card"):
        bundle(changed, runs, tmp_path / "out", ["own"])
    assert not (tmp_path / "out").exists()


def test_records_are_the_same_and_predictions_are_those_of_the_board(sent) -> None:
    small, whole, tasks, _ = sent
    assert not (small / "own" / "records.jsonl").exists()
    assert read_records(small / "own") == read_records(whole / "own")
    (path,) = (small / "own" / "predictions").glob("*.npz")
    assert {name.split("/")[0] for name in read_predictions(path)} == {"which.linear-v1.100pct.0"}
    frames = [collect([folder], tasks=tasks)["own"].frame for folder in (small, whole)]
    assert frames[0].drop(columns="badge").equals(frames[1].drop(columns="badge"))


def test_its_badge_says_what_was_recomputed(sent, tmp_path) -> None:
    small, _, tasks, suite = sent
    folder = copy(small, tmp_path)
    report = verify(folder, rescore=True, tasks=tasks, suites=[suite])
    assert (report.problems, report.units, report.unchecked, report.badge) == ([], 1, 3, "rescored")
    verdict = read_verdicts(tmp_path)["colour-histogram", "own"]
    assert verdict.text.startswith("1 of 4 units rescored, of 2 the primary metric, contract holds; medssl ")
    rerun = verify(folder, sample=0, tasks=tasks, suites=[suite])
    assert (rerun.problems, rerun.rerun, rerun.badge) == ([], 4, "reproduced")
    assert badge_of(folder, "own") == "reproduced"


def test_predictions_of_a_board_may_not_be_left_out(sent, tmp_path) -> None:
    small, _, tasks, suite = sent
    folder = copy(small, tmp_path)
    (path,) = (folder / "own" / "predictions").glob("*.npz")
    path.write_bytes(predictions_bytes({}))
    (problem,) = verify(folder, rescore=True, tasks=tasks, suites=[suite]).problems
    assert "no predictions of 1 units that feed a board" in problem


def test_condensed_predictions_are_checked_against_the_records(sent, tmp_path, monkeypatch) -> None:
    small, _, tasks, suite = sent
    report = verify(copy(small, tmp_path / "as sent"), rescore=True, tasks=tasks, suites=[suite])
    assert (report.problems, report.condensed, report.largest_difference < 1e-12) == ([], 2, True)
    folder = copy(small, tmp_path)
    (path,) = (folder / "own" / "condensed").glob("*.npz")
    key, *_ = arrays = read_predictions(path)
    assert set(arrays) == {"which.linear-v1.10pct.0", "which.linear-v1.10pct.1"}
    path.write_bytes(predictions_bytes({**arrays, key: arrays[key][::-1].copy()}))
    problems = verify(folder, rescore=True, tasks=tasks, suites=[suite]).problems
    assert problems
    assert all(problem.startswith(key) for problem in problems)
    path.unlink()
    (problem,) = verify(folder, rescore=True, tasks=tasks, suites=[suite]).problems
    assert "has no condensed predictions of 2 units" in problem
    monkeypatch.setattr(
        "bench.submissions.rescore_kept.FIRST_SCORING", 99
    )  # as for what was sent before there were any
    assert verify(folder, rescore=True, tasks=tasks, suites=[suite]).problems == []


def test_a_whole_submission_may_leave_nothing_out(sent, tmp_path) -> None:
    _, whole, tasks, suite = sent
    folder = copy(whole, tmp_path)
    (path,) = (folder / "own" / "predictions").glob("*.npz")
    kept = {n: a for n, a in read_predictions(path).items() if "knn" not in n}
    path.write_bytes(predictions_bytes(kept))
    assert "has no predictions of unit" in verify(folder, rescore=True, tasks=tasks, suites=[suite]).problems[0]


def test_packed_records_are_bounded_and_must_unpack(sent, tmp_path, monkeypatch) -> None:
    folder = copy(sent[0], tmp_path) / "own"
    packed = folder / "records.jsonl.bz2"
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SubmissionError, match="cannot be read"):
        read_records(folder)
    packed.write_bytes(b"no archive")
    with pytest.raises(SubmissionError, match="cannot be read"):
        read_records(folder)
    monkeypatch.setattr(journal, "MAX_RECORDS_BYTES", 10_000)
    packed.write_bytes(bz2.compress((bz2.decompress(whole).splitlines()[0] + b"\n") * 100))
    with pytest.raises(SubmissionError, match="unpacks to more than"):
        read_records(folder)
