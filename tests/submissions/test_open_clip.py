"""An image-text encoder in a folder of open_clip goes out with weights, config, tokenizer, and is verified by these."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.encoders.new import write_found
from bench.runs.options import RunSpec
from bench.runs.run import run
from bench.submissions.bundle import bundle
from bench.submissions.report import VerificationReport
from bench.submissions.verify import verify
from benchmarks.hostile.base import write_tasks
from tests.encoders import test_open_clip_text as towers
from tests.runs.test_zero_shot import PROMPTS, SUITE

FOLDER, WEIGHTS = "m", "open_clip_model.safetensors"
KNOWN = {
    "name": "clip", "title": "clip", "author": "A", "licence": "MIT", "paradigm": "contrastive",
    "objective": "image-text-contrastive", "method": "CLIP", "pooling": "native",
}  # fmt: skip
TINY = {
    "vision_cfg": {"image_size": 32, "layers": 10, "width": 256, "patch_size": 16},
    "text_cfg": {**towers.OWN, "context_length": 9, "vocab_size": 40, "hf_tokenizer_name": "x"},
}


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a task, a suite, and the submission of a CLIP with random weights."""
    root = tmp_path_factory.mktemp("open-clip")
    write_tasks(root / "tasks")
    (root / "tasks" / "where.toml").unlink()
    card = root / "tasks" / "which.toml"
    card.write_text(card.read_text() + PROMPTS)
    (root / "suite.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(towers.MODELS, "Tiny", TINY)
        towers.write("Tiny", root / FOLDER)
    write_found(root / FOLDER, KNOWN, root / "clip")
    where = {"suite": str(root / "suite.toml"), "tasks": str(root / "tasks"), "out": str(root / "runs")}
    run(RunSpec.of(encoder=str(root / "clip"), **where, command="x"))
    bundle(root / "clip", root / "runs", root / "sent", ["mine"], with_weights=True)
    return root


def checked(root: Path, submissions: Path) -> VerificationReport:
    return verify(submissions / "clip", rescore=True, rerun=True, tasks=root / "tasks", suites=[root / "suite.toml"])


def test_it_carries_all_it_is_read_from_and_is_reproduced(sent: Path) -> None:
    carried = {path.name for path in (sent / "sent" / "clip" / FOLDER).iterdir()}
    assert carried == {WEIGHTS, "open_clip_config.json", "tokenizer.json", "tokenizer_config.json"}
    report = checked(sent, sent / "sent")
    assert report.problems == []
    assert report.rerun == report.done == 2
    assert (report.badge, report.largest_difference) == ("reproduced", 0.0)


def swapped(path: Path) -> None:
    said = json.loads(path.read_text())
    words = said["model"]["vocab"]
    words["dark"], words["bright"] = words["bright"], words["dark"]
    path.write_text(json.dumps(said))


def one_bit(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[-1] ^= 1
    path.write_bytes(held)


@pytest.mark.parametrize(
    ("file", "change", "problem"),
    [("tokenizer.json", swapped, "the text tower or its tokenizer changed"), (WEIGHTS, one_bit, "sha256")],
    ids=["tokenizer", "weights"],
)
def test_another_tokenizer_or_weight_is_refused(sent: Path, tmp_path: Path, file, change, problem: str) -> None:
    shutil.copytree(sent / "sent", tmp_path / "sent")
    change(tmp_path / "sent" / "clip" / FOLDER / file)
    report = checked(sent, tmp_path / "sent")
    assert any(problem in found for found in report.problems), report.problems
    assert report.badge == "declared"
