"""A suite file of one's own is run, submitted, verified; robustness records hold changed copies of the test split."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.encoders.load import REFERENCE
from bench.errors import CardError
from bench.runs.options import RunSpec
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.run import run
from bench.submissions.bundle import bundle
from bench.submissions.verify import verify
from benchmarks.hostile.base import edit_lines, write_tasks

SUITE = """schema = 1
name = "own"
title = "Own"
tasks = ["which"]

[[protocols]]
name = "robustness-v2"
budgets = ["100%"]
"""


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(submission, tasks, suite file)."""
    work = tmp_path_factory.mktemp("own")
    tasks, suite = write_tasks(work / "tasks"), work / "own.toml"
    card = tasks / "which.toml"
    card.write_text(card.read_text().replace('modality = "mixed"', 'modality = "xray"'))
    suite.write_text(SUITE)
    run(RunSpec.of(encoder="colour-histogram", suite=str(suite), tasks=str(tasks), out=str(work / "runs"), command="x"))
    made = bundle(REFERENCE / "colour-histogram.toml", work / "runs", work / "submissions", ["own"])
    return made.folder, tasks, suite


def test_it_is_verified_with_every_changed_copy(sent) -> None:
    folder, tasks, suite = sent
    report = verify(folder, rescore=True, tasks=tasks, suites=[suite])
    assert report.problems == []
    assert report.units == 1
    assert report.largest_difference == 0.0
    assert len(read_predictions(folder / "own" / "predictions" / "which.npz")) == 26


def test_a_changed_copy_left_out_is_a_problem(sent) -> None:
    folder, tasks, suite = sent
    path = folder / "own" / "predictions" / "which.npz"
    kept = path.read_bytes()
    arrays = read_predictions(path)
    del arrays[next(name for name in arrays if name.endswith("test~noise-5"))]
    path.write_bytes(predictions_bytes(arrays))
    try:
        assert verify(folder, rescore=True, tasks=tasks, suites=[suite]).problems
    finally:
        path.write_bytes(kept)
    assert np.all([a.shape == (30, 2) for a in read_predictions(path).values()])


def test_without_its_suite_file_the_message_names_it(sent) -> None:
    folder, tasks, _ = sent
    with pytest.raises(CardError, match="unknown suite 'own'"):
        verify(folder, rescore=True, tasks=tasks)


def test_an_encoder_that_is_features_alone_may_be_refused_by_robustness(sent, tmp_path: Path) -> None:
    """It cannot encode changed images: no result, and no reason to turn the rest of the submission down."""
    folder, tasks, suite = sent
    again = Path(shutil.copytree(folder, tmp_path / folder.name))
    nothing = {"metrics": {}, "n_labels": 0, "predictions": None, "predictions_sha256": None, "chosen": {}}
    refused = {"status": "refused", "reason": "cannot encode changed images", **nothing}
    edit_lines(again / "own" / "records.jsonl", lambda records: records[0].update(refused))
    assert verify(again, rescore=True, tasks=tasks, suites=[suite]).problems == []
