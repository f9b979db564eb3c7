"""What still holds is kept, what does not is run again, and the command says why: one change after the other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import bench
from bench.errors import UserError
from bench.files import sha256_arrays
from bench.leaderboard.collect import collect
from bench.runs.journal import SUPERSEDED, Journal, read_outputs, read_records
from bench.submissions.folder import read_results
from benchmarks.hostile.base import each, edit_lines
from benchmarks.identities import ALL, CHANGES, TARGETS, World, tried

SAID = {
    "weights (one training step)": "3 units of 3 tasks are run again: the weights changed",
    "labels": "1 unit of task which is run again: the labels changed",
    "groups (patients)": "1 unit of task which is run again: the groups changed",
    "split (4 images from train to val)": "1 unit of task which is run again: the splits or their order changed",
    "precision": "3 units of 3 tasks are run again: computed in fp32 before, bf16 now",
    "aggregation of slices": "1 unit of task stack is run again: aggregation 'mean' before, 'max' now",
    "records.jsonl has lost its last line": "records.jsonl: has no record of 1 unit with predictions in ",
    "records.jsonl is empty": "records.jsonl: has no record of 1 unit with predictions in ",
    "a card taken out of the suite": "1 unit of task stack is set aside (superseded.jsonl): not in the suite",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.build(tmp_path_factory.mktemp("identities") / "base")


@pytest.fixture
def world(base: World, tmp_path: Path) -> World:
    return base.copy(tmp_path / "world")


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_runs_again(base: World, tmp_path: Path, name: str) -> None:
    ran, said, records = tried(base, name, tmp_path / "world")
    assert ran == CHANGES[name][1]
    assert records == 3 + (name == "a new card in the suite") - (name == "a card taken out of the suite") + 2 * (
        name == "a protocol more in the suite"
    )
    assert SAID.get(name, "") in "; ".join(said)
    assert bool(said) == (bool(ran) or name == "a card taken out of the suite") or "more" in name or "new card" in name


def test_a_run_after_a_change_is_the_run_that_had_it_from_the_start(world: World, tmp_path: Path) -> None:
    CHANGES["labels"][0](world)
    CHANGES["weights (one training step)"][0](world)
    world.go()
    rerun = {r.unit.key: r for r in read_records(world.out)}
    shutil.rmtree(world.root / "runs")
    world.run["cache"] = False
    world.go()
    fresh = {r.unit.key: r for r in read_records(world.out)}
    assert {k: (r.metrics, r.identity) for k, r in rerun.items()} == {
        k: (r.metrics, r.identity) for k, r in fresh.items()
    }


def test_the_card_that_is_shown_is_the_new_one_and_the_folder_can_be_read(world: World) -> None:
    world.wrap["authors"] = ["B. Author"]
    world.go()
    (found,) = collect([], local=[world.root / "runs"], tasks=world.tasks).values()
    assert found.cards["mine"].authors == ["B. Author"]
    assert {r.unit.task for r in found.results["mine"].records} == set(TARGETS)
    path = world.root / "runs" / "mine" / "encoder.toml"
    card = found.cards["mine"].model_copy(
        update={"preprocessing": found.cards["mine"].preprocessing.model_copy(update={"size": 64})}
    )
    path.write_text(card.to_toml())
    with pytest.raises(UserError, match="another version of the card"):
        list(read_results(path.parent))


def test_superseded_records_wait_until_their_unit_has_run_and_come_back_when_they_hold_again(world: World) -> None:
    before = read_records(world.out)
    trained, kept = world.module[0].weight.data.clone() + 0.01, world.module[0].weight.data.clone()
    world.module[0].weight.data.copy_(trained)
    world.run["only"] = ("which",)
    made, said, _ = world.go()
    assert made == ["which.knn-v1.100pct.0"]
    assert any(line.startswith("2 units of 2 tasks are set aside") for line in said)
    assert {r.unit.task for r in read_records(world.out)} == {"which"}
    assert set(Journal(world.out).superseded) == {r.unit.key for r in before if r.unit.task != "which"}
    del world.run["only"]
    world.module[0].weight.data.copy_(kept)
    made, _, records = world.go()
    assert made == ["which.knn-v1.100pct.0"]
    assert records == 3
    assert not (world.out / SUPERSEDED).exists()
    sealed = read_records(world.out)
    assert [r.unit.key for r, outputs in read_outputs(world.out, sealed) if sha256_arrays(outputs)] == [
        r.unit.key for r in sealed
    ]


def test_the_same_network_trained_on_between_two_runs(world: World) -> None:
    encoder = world.encoder()
    options = {"suite": world.root / "suite.toml", "tasks": world.tasks, "out": world.root / "again", "device": "cpu"}
    first = bench.run(encoder, **options).records
    with torch.no_grad():
        world.module[0].weight.add_(0.05)
    second = bench.run(encoder, **options, say=lambda line: None).records
    assert {r.weights_sha256 for r in first}.isdisjoint({r.weights_sha256 for r in second})
    assert [r.predictions_sha256 for r in first] != [r.predictions_sha256 for r in second]


def test_results_of_another_suite_in_the_folder_of_the_encoder_are_compared_too(world: World) -> None:
    suite = (world.root / "suite.toml").read_text()
    (world.root / "suite.toml").write_text(suite.replace('name = "mine"', 'name = "other"'))
    CHANGES["weights (one training step)"][0](world)
    _, said, _ = world.go()
    assert any("mine: 3 results are set aside" in line and "the weights changed" in line for line in said)
    assert read_records(world.out) == []
    assert len(Journal(world.out).superseded) == 3


def test_a_record_of_an_earlier_version_is_kept_as_far_as_it_can_be_compared(world: World, tmp_path: Path) -> None:
    options = {"suite": world.root / "suite.toml", "tasks": world.tasks, "out": tmp_path / "o", "device": "cpu"}
    records = bench.run("raw-pixels", **options).records
    for folder in (tmp_path / "o" / "raw-pixels" / "mine", world.out):
        edit_lines(folder / "records.jsonl", each(lambda record: record.pop("identity")))
    said: list[str] = []
    again = bench.run("raw-pixels", **options, say=said.append).records
    assert [r.predictions_sha256 for r in again] == [r.predictions_sha256 for r in records]
    assert said == ["3 results of an earlier version kept: card, weights, data and protocol are as now"]
    made, said, _ = world.go()
    assert len(made) == 3, "what a wrapped network computed is not known"
    assert "made by an earlier version" in said[0]


def test_data_that_are_gone_leave_their_finished_results_alone(world: World) -> None:
    (world.tasks / "which.npz").unlink()
    made, said, records = world.go()
    assert (made, records) == ([], 3)
    assert any("results of which are kept as they are" in line and "no such file" in line for line in said)


def test_every_change_names_its_reason() -> None:
    assert len(CHANGES) > 25
    assert {"", ALL, "which", "where", "stack", "which stack", "other"} == {ran for _, ran in CHANGES.values()}


def test_what_is_no_longer_in_the_suite_is_not_said_to_run_again(world: World) -> None:
    CHANGES["a card taken out of the suite"][0](world)
    (world.out / "predictions" / "stack.npz").unlink()
    made, said, _ = world.go()
    assert made == []
    assert any(line.endswith("is set aside (superseded.jsonl): not in the suite") for line in said)
