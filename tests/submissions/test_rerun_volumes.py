"""Results on masks of volumes are verified from the weights: of an encoder of volumes, and of one of slices."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.files import sha256_file
from bench.runs.journal import read_records
from bench.runs.options import RunSpec
from bench.runs.run import run
from bench.submissions.bundle import bundle
from bench.submissions.report import VerificationReport
from bench.submissions.verify import verify
from benchmarks.hostile.base import edit_lines

TASK = """schema = 1
name = "dense"
title = "Nodules"
modality = "ct"
target = "mask"
classes = ["background", "nodule"]
licence = "CC0-1.0"
corpus = "own"
synthetic = true
source = { reader = "phantom-volume", volume = true, seed = 1, train = 8, val = 4, test = 4 }
"""
SUITE = """schema = 1
name = "own"
title = "Own"
tasks = ["dense"]
protocols = [{ name = "dense-volume-v1", budgets = ["50%", "100%"] }]
"""
CARD = """schema = 1
name = "mine"
version = "1"
title = "mine"
authors = ["a"]
licence = "MIT"
paradigm = "reference"
objective = "random-init"
method = "m"
architecture = "cnn"
pretraining = []
features = {{ pooling = "mean" }}
preprocessing = {{ size = {size}, {depth}channels = 1, mean = [0.2], std = [0.2] }}
source = {{ adapter = "torchscript", weights = "w.pt", sha256 = "{sha256}" }}
"""
NETWORKS = {"volumes": (nn.Conv3d, (1, 1, 16, 32, 32)), "slices": (nn.Conv2d, (1, 1, 32, 32))}


@pytest.fixture(scope="module", params=NETWORKS)
def sent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tasks, a suite, a whole and a compact submission."""
    kind, shape = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp("volumes")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "dense.toml").write_text(TASK)
    (folder / "own.toml").write_text(SUITE)
    (folder / "mine").mkdir()
    torch.manual_seed(0)
    torch.jit.save(torch.jit.trace(kind(1, 4, 8, stride=8), torch.zeros(shape)), folder / "mine" / "w.pt")
    depth = "depth = 16, " if len(shape) == 5 else ""
    card = CARD.format(size=32, depth=depth, sha256=sha256_file(folder / "mine" / "w.pt"))
    (folder / "mine" / "encoder.toml").write_text(card)
    where = {"suite": str(folder / "own.toml"), "tasks": str(folder / "tasks"), "out": str(folder / "runs")}
    run(RunSpec.of(encoder=str(folder / "mine"), **where, command="x", trust_code=True))
    for name, compact in (("whole", False), ("compact", True)):
        bundle(folder / "mine", folder / "runs", folder / name, ["own"], with_weights=True, compact=compact)
    return folder


def rerun(folder: Path, which: str, **more: bool) -> VerificationReport:
    """Verify one of the submissions from its weights."""
    where = {"tasks": folder / "tasks", "suites": [folder / "own.toml"]}
    return verify(folder / which / "mine", rerun=True, trust_code=True, **where, **more)


@pytest.mark.parametrize("which", ["whole", "compact"])
def test_every_unit_is_rerun_to_the_same_scores(sent: Path, which: str) -> None:
    report = rerun(sent, which, rescore=True)
    assert report.problems == []
    assert report.rerun == report.done == 2
    assert report.largest_difference == 0.0


def test_a_score_that_the_weights_do_not_give_is_found(sent: Path) -> None:
    shutil.copytree(sent / "whole", sent / "forged")
    path = sent / "forged" / "mine" / "own" / "records.jsonl"

    def forge(records: list[dict]) -> None:
        for record in records:
            score = record["metrics"]["test"]["dice"]
            record["metrics"]["test"]["dice"] = {key: min(1.0, value + 0.1) for key, value in score.items()}

    edit_lines(path, forge)
    problems = rerun(sent, "forged").problems
    assert sum("dice on test is" in problem for problem in problems) == len(read_records(path.parent)), problems
