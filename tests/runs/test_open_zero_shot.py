"""The shipped zero-shot suite: every task can be asked, and a CLIP in a folder gets from its files to records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data.task import read_suite, shipped_tasks
from bench.runs.fingerprint import meaning_of_task
from bench.runs.journal import read_records
from bench.runs.options import RunSpec
from bench.runs.plan import make_plan
from bench.runs.run import run
from bench.toml import to_toml

SUITE = "open-zero-shot-v1"


def test_it_holds_the_tasks_of_classes_of_open_v1_and_all_can_be_asked() -> None:
    plan = make_plan(SUITE)
    of_classes = [n for n in read_suite("open-v1").tasks if shipped_tasks()[n].kind == "global"]
    assert list(plan.tasks) == of_classes
    for task in plan.tasks.values():
        assert plan.protocols["zero-shot-v1"].refuses(task) is None
        sentences = [s for of_class in task.sentences for s in of_class]
        assert len(set(sentences)) == len(sentences), task.name


def test_prompts_leave_the_other_suites_as_they_were() -> None:
    task = shipped_tasks()["ph2"]
    bare = task.model_copy(update={"prompts": None})
    assert task.sha256 == bare.sha256
    assert meaning_of_task(task) == meaning_of_task(bare)
    assert meaning_of_task(task, prompts=True) != meaning_of_task(bare, prompts=True)


def test_copies_of_the_cards_without_prompts_are_the_shipped_ones(tmp_path: Path) -> None:
    bare = {k: v for k, v in shipped_tasks()["ph2"].model_dump(mode="json", by_alias=True).items() if k != "prompts"}
    (tmp_path / "ph2.toml").write_text(to_toml({k: v for k, v in bare.items() if v is not None}))
    assert make_plan("open-v1", tmp_path).suite.name == "open-v1"


def test_a_folder_of_open_clip_from_its_files_to_records(tmp_path: Path) -> None:
    pytest.importorskip("open_clip", reason="pip install 'medssl-bench[clip]'")
    from tests.encoders.test_open_clip_text import write

    write("ViT-B-32", tmp_path / "clip")
    (tmp_path / "tasks").mkdir()
    draw = np.random.default_rng(0)
    images = {f"{split}_images": draw.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8) for split in SPLITS}
    labels = {f"{split}_labels": np.arange(24)[:, None] % 3 for split in SPLITS}
    np.savez(tmp_path / "tasks" / "ph2.npz", **images, **labels)
    card = shipped_tasks()["ph2"].model_copy(update={"source": {"reader": "npz", "file": "ph2.npz"}})
    values = {k: v for k, v in card.model_dump(mode="json", by_alias=True).items() if v is not None}
    (tmp_path / "tasks" / "ph2.toml").write_text(to_toml(values))
    spec = RunSpec.of(str(tmp_path / "clip"), SUITE, str(tmp_path / "tasks"), out=str(tmp_path / "runs"), device="cpu",
                   only=("ph2",))  # fmt: skip
    run(spec)
    (place,) = tmp_path.glob("runs/*/*/run.json")
    found = {record.unit.protocol: record for record in read_records(place.parent)}
    assert {n: r.status for n, r in found.items()} == {"zero-shot-v1": "done", "linear-v2": "done"}
    assert found["zero-shot-v1"].n_labels == 0


SPLITS = ("train", "val", "test")
