"""A task of volumes through a run: whole and slice by slice on one board, what a volume costs beside the score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import bench
from bench.cli import main
from bench.runs.records import Cost, Record

CARD = """schema = 1
name = "nodule"
title = "Nodules"
modality = "ct"
target = "binary"
classes = ["vessels", "nodule"]
licence = "CC0-1.0"
corpus = "own"
synthetic = true
source = { reader = "phantom-volume", volume = true, aggregation = "max", seed = 1, train = 12, val = 6, test = 8 }
"""
FLAT = """schema = 1
name = "flat"
title = "Flat"
modality = "ct"
target = "multi-class"
classes = ["none", "cyst", "metastasis"]
licence = "CC0-1.0"
corpus = "own"
synthetic = true
source = { reader = "phantom", aim = "focal", seed = 1, train = 12, val = 6, test = 6 }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "nodule.toml").write_text(CARD)
    return folder


def deep(**more) -> bench.encoders.base.Encoder:
    torch.manual_seed(0)
    return bench.wrap(nn.Conv3d(1, 4, 8, stride=8), name="deep", size=32, depth=16, mean=(0.2,), std=(0.2,), **more)


@pytest.fixture(scope="module")
def runs(place: Path):
    """Results of an encoder of volumes and of one of slices, in one folder of runs."""
    found = {}
    for encoder in (deep(), bench.wrap(nn.Conv2d(1, 4, 8), name="flat", size=16, mean=(0.2,), std=(0.2,))):
        found[encoder.card.name] = bench.run(encoder, None, tasks=place / "tasks", out=place / "runs", device="cpu")
    return found


def test_every_record_says_what_a_volume_costs(runs) -> None:
    for name, inputs in (("deep", 1), ("flat", 32)):
        costs = [record.cost for record in runs[name].records if record.status == "done"]
        assert costs
        assert all(cost.volume.inputs == inputs and cost.volume.seconds > 0 for cost in costs)
        assert all(cost.flops == inputs * cost.flops_per_image for cost in costs)


def test_a_record_is_written_and_read_again_and_one_of_flat_images_as_before(runs) -> None:
    record = runs["deep"].records[0]
    assert Record.from_json(record.to_json()) == record
    assert "volume" not in record.without_times()["cost"]
    assert set(Cost().model_dump()) == {"seconds", "peak_memory_mb", "parameters", "flops_per_image"}


def test_the_frame_tells_the_two_kinds_apart(runs) -> None:
    for name, takes in (("deep", "volume"), ("flat", "image")):
        frame = runs[name].frame
        assert set(frame["takes"]) == {takes}
        assert (frame["volume_seconds"] > 0).all()


def test_both_stand_on_one_board_with_their_costs(runs, place, capfd, monkeypatch) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit):
        main(["leaderboard", "--records", "runs"])
    printed = capfd.readouterr().out
    head = next(line for line in printed.splitlines() if "rank" in line)
    assert all(column in head for column in ("takes", "s a volume", "MB a volume"))
    rows = {name: next(line for line in printed.splitlines() if f" {name} " in line) for name in ("deep", "flat")}
    assert "volumes" in rows["deep"]
    assert "slices" in rows["flat"]


def test_flat_images_are_refused_with_a_reason(tmp_path) -> None:
    (tmp_path / "flat.toml").write_text(FLAT)
    records = bench.run(deep(), None, tasks=tmp_path / "flat.toml", out=tmp_path / "runs", device="cpu").records
    assert {record.status for record in records} == {"refused"}
    assert all("takes volumes" in record.reason for record in records if record.unit.budget == "100%")


def test_the_spacing_of_the_task_reaches_the_network(place, tmp_path) -> None:
    asked = deep(spacing=(4.0, 4.0, 4.0))
    known = bench.run(asked, None, tasks=place / "tasks", out=tmp_path, device="cpu").records
    whole = [record for record in known if record.unit.budget == "100%"]
    assert {record.status for record in whole} == {"done"}


def test_the_monai_adapter_from_the_command(tmp_path, capfd, monkeypatch, place) -> None:
    pytest.importorskip("monai")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "encoder.toml").write_text(
        'schema = 1\nname = "m"\nversion = "1"\ntitle = "m"\nauthors = ["a"]\nlicence = "x"\nparadigm = "reference"\n'
        'objective = "random-init"\nmethod = "m"\narchitecture = "cnn"\npretraining = []\n'
        'features = { pooling = "mean" }\n'
        "preprocessing = { size = 16, depth = 8, channels = 1, mean = [0.1], std = [0.1] }\n"
        '[source]\nadapter = "monai"\nnetwork = "ResNet"\npart = "layer2"\n'
        'options = { block = "basic", layers = [1, 1, 1, 1], block_inplanes = [4, 4, 4, 4], feed_forward = false }\n'
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["run", "m", "--tasks", str(place / "tasks"), "--device", "cpu"])
    assert not stop.value.code
    lines = next((tmp_path / "runs" / "m").rglob("records.jsonl")).read_text().splitlines()
    costs = [record["cost"] for record in map(json.loads, lines) if record["status"] == "done"]
    assert costs
    assert all(cost["volume"]["inputs"] == 1 for cost in costs)


DENSE = CARD.replace('target = "binary"', 'target = "mask"').replace('"vessels", "nodule"', '"background", "nodule"')
DENSE = DENSE.replace('name = "nodule"', 'name = "dense"').replace(' aggregation = "max",', "")


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory):
    """A task of masks, run by an encoder of volumes and one of slices into one folder."""
    folder = tmp_path_factory.mktemp("dense")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "dense.toml").write_text(DENSE)
    flat = bench.wrap(nn.Conv2d(1, 4, 8, 8), name="flat", size=64, mean=(0.2,), std=(0.2,))
    found = {
        encoder.card.name: bench.run(encoder, None, tasks=folder / "tasks", out=folder / "runs", device="cpu")
        for encoder in (deep(), flat)
    }
    return folder, found


def test_masks_of_volumes_are_scored_by_volume_and_in_millimetres(dense) -> None:
    _, found = dense
    for results in found.values():
        assert {record.unit.protocol for record in results.records} == {"dense-volume-v1"}
        record = next(record for record in results.records if record.unit.budget == "100%")
        assert record.status == "done"
        scores = record.metrics["test"]
        assert {"dice", "nsd", "hd95", "lesion_recall", "lesion_f1", "dice[10-20mm]"} <= set(scores)
        assert 16 < scores["hd95"].value <= 222  # the diagonal of 128 mm cubes; pixels would be below 96
        assert scores["dice"].low is not None


def test_what_an_encoder_of_volumes_does_not_see_of_them_is_said(dense) -> None:
    _, found = dense
    said = (
        "data: volumes of 32 x 64 x 64 voxels are shrunk to the 16 x 32 x 32 voxels that the encoder takes: no window"
    )
    for name, told in (("deep", True), ("flat", False)):
        done = [record for record in found[name].records if record.status == "done"]
        assert all(any(w.startswith(said) for w in record.warnings) == told for record in done)


def test_what_a_volume_costs_stands_beside_its_masks(dense) -> None:
    _, found = dense
    assert {r.cost.volume.inputs for r in found["deep"].records if r.status == "done"} == {1}
    assert {r.cost.volume.inputs for r in found["flat"].records if r.status == "done"} == {32}


def test_both_stand_on_a_board_of_volumes(dense, capfd, monkeypatch) -> None:
    folder, _ = dense
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit):
        main(["leaderboard", "--records", "runs"])
    printed = capfd.readouterr().out
    assert "tasks: Volumes" in printed
    assert "volumes" in next(line for line in printed.splitlines() if " deep " in line)
    assert "slices" in next(line for line in printed.splitlines() if " flat " in line)


def test_the_site_shows_the_slice_with_most_of_the_finding(dense, monkeypatch) -> None:
    folder, _ = dense
    monkeypatch.chdir(folder)
    (folder / "none").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["site", "build", "--records", "runs", "--submissions", "none", "--out", "public"])
    assert not stop.value.code
    assert (folder / "public" / "boards" / "tasks" / "volumes.html").is_file()
    assert list((folder / "public" / "pictures").rglob("*-truth.png"))
