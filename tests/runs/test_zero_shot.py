"""Zero-shot units in a run: what they score, which of them run again, and that no board knows of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.encoders.load import load_encoder
from bench.leaderboard import boards
from bench.leaderboard.collect import collect
from bench.runs.fingerprint import suite_fingerprint
from bench.runs.journal import read_outputs, read_records
from bench.runs.options import RunSpec
from bench.runs.plan import make_plan
from bench.runs.run import run
from bench.submissions.bundle import bundle
from tests.encoders import two_towers
from tests.encoders.conftest import make_card

pytest.importorskip("transformers")
PROMPTS = """
[prompts]
templates = ["a {}", "an image of a {}"]
[prompts.classes]
dark = ["dark mass"]
bright = ["bright mass", "bright lesion"]
"""
SUITE = """schema = 1
name = "mine"
title = "Mine"
tasks = ["which"]
protocols = [
    { name = "linear-v2", budgets = ["100%"] },
    { name = "zero-shot-v1", budgets = ["k=0"] },
]
"""


@pytest.fixture(scope="module")
def made(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CLIP encoder, a task with prompts, and a suite."""
    root = tmp_path_factory.mktemp("zero-shot")
    shutil.copytree(squares, root / "tasks")
    (root / "tasks" / "where.toml").unlink()
    card = root / "tasks" / "which.toml"
    card.write_text(card.read_text() + PROMPTS)
    (root / "suite.toml").write_text(SUITE)
    (root / "encoder").mkdir()
    values = two_towers.write(root / "encoder" / "m", "clip")
    write_card(root, make_card(values, name="clip", features={"pooling": "native"}))
    return root


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Path:
    """A copy of it with a finished run."""
    copy = Path(shutil.copytree(made, tmp_path / "world"))
    go(copy)
    return copy


def write_card(root: Path, card) -> None:
    (root / "encoder" / "encoder.toml").write_text(card.to_toml())


def go(root: Path) -> tuple[set[str], list[str]]:
    """Run; the protocols that wrote a record, and what was said."""
    ran, said = set(), []
    spec = RunSpec.of(str(root / "encoder"), str(root / "suite.toml"), str(root / "tasks"), out=str(root / "runs"),
                   device="cpu")  # fmt: skip
    run(spec, lambda message, record: ran.add(record.unit.protocol) if record else None, said.append)
    return ran, said


def records(root: Path) -> dict[str, object]:
    return {r.unit.protocol: r for r in read_records(root / "runs" / "clip" / "mine")}


def test_it_is_scored_beside_the_probe_and_stands_on_no_board(world: Path) -> None:
    done = records(world)
    zero = done["zero-shot-v1"]
    assert zero.status == "done"
    assert (zero.n_labels, zero.unit.budget, zero.chosen) == (0, "k=0", {})
    assert zero.primary.low is not None
    ((_, outputs),) = read_outputs(world / "runs" / "clip" / "mine", [zero])
    np.testing.assert_allclose(outputs["test"].sum(1), 1, atol=1e-5)
    (collection,) = collect([], local=[world / "runs"], tasks=world / "tasks").values()
    found = boards(collection)
    assert set(found) == {"Global"}
    (row,) = found["Global"].rows
    assert row.score == pytest.approx(2 * done["linear-v2"].primary.value - 1)


def test_other_prompts_run_it_again_and_nothing_else(world: Path) -> None:
    assert go(world) == (set(), [])
    card = world / "tasks" / "which.toml"
    card.write_text(card.read_text().replace('"dark mass"', '"dark lesion"'))
    ran, said = go(world)
    assert ran == {"zero-shot-v1"}
    assert "1 unit of task which is run again: the prompts changed" in said


def test_another_tokenizer_runs_it_again_and_nothing_else(world: Path) -> None:
    path = world / "encoder" / "m" / "tokenizer.json"
    said = json.loads(path.read_text())
    vocabulary = said["model"]["vocab"]
    vocabulary["dark"], vocabulary["bright"] = vocabulary["bright"], vocabulary["dark"]
    path.write_text(json.dumps(said))
    ran, told = go(world)
    assert ran == {"zero-shot-v1"}
    assert "1 unit of task which is run again: the text tower or its tokenizer changed" in told


def test_what_cannot_be_asked_is_refused_and_the_probe_runs(world: Path) -> None:
    shutil.rmtree(world / "runs")
    (world / "encoder" / "m" / "tokenizer.json").unlink()
    go(world)
    done = records(world)
    assert done["linear-v2"].status == "done"
    assert done["zero-shot-v1"].status == "refused"
    assert "save_pretrained(FOLDER)" in done["zero-shot-v1"].reason
    two_towers.tokenizer("clip").save_pretrained(world / "encoder" / "m")
    ran, _ = go(world)
    assert ran == {"zero-shot-v1"}
    assert records(world)["zero-shot-v1"].status == "done"


def test_a_task_without_prompts_is_refused_until_it_has_some(world: Path) -> None:
    card = world / "tasks" / "which.toml"
    whole = card.read_text()
    card.write_text(whole.replace(PROMPTS, ""))
    go(world)
    assert "needs prompts" in records(world)["zero-shot-v1"].reason
    card.write_text(whole)
    assert go(world)[0] == {"zero-shot-v1"}


def test_a_prompt_that_is_too_long_is_refused_and_never_cut_off(world: Path) -> None:
    card = world / "tasks" / "which.toml"
    card.write_text(card.read_text().replace('"dark mass"', '"dark dark dark dark dark mass"'))
    ran, _ = go(world)
    done = records(world)
    assert ran == {"zero-shot-v1"}
    assert done["zero-shot-v1"].status == "refused"
    assert "has 12 tokens, the text tower reads 9 (shorten it" in done["zero-shot-v1"].reason


def test_own_tasks_with_prompts_are_asked_without_being_told(world: Path) -> None:
    assert "zero-shot-v1" in make_plan(None, world / "tasks").protocols
    card = world / "tasks" / "which.toml"
    card.write_text(card.read_text().replace(PROMPTS, ""))
    assert "zero-shot-v1" not in make_plan(None, world / "tasks").protocols


def test_prompts_are_no_part_of_the_data_nor_of_suites_that_do_not_read_them(world: Path) -> None:
    card = world / "tasks" / "which.toml"

    def seen() -> tuple[str, str, str]:
        plan, own = make_plan(world / "suite.toml", world / "tasks"), make_plan(None, world / "tasks")
        probes = own.suite.model_copy(update={"protocols": [p for p in own.suite.protocols if p.name == "linear-v2"]})
        return (
            plan.tasks["which"].sha256,
            suite_fingerprint(probes, own.tasks, own.protocols),
            suite_fingerprint(plan.suite, plan.tasks, plan.protocols),
        )

    first = seen()
    card.write_text(card.read_text().replace('"dark mass"', '"dark lesion"'))
    second = seen()
    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_a_submission_brings_the_folder_of_the_model(world: Path) -> None:
    sent = bundle(world / "encoder", world / "runs", world / "sent", ["mine"], with_weights=True)
    assert sent.weights
    assert sorted(p.name for p in (sent.folder / "m").iterdir()) == sorted(
        p.name for p in (world / "encoder/m").iterdir()
    )
    load_encoder(sent.folder).text_tower()
