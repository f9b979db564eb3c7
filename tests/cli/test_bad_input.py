"""Bad input: one clear message, exit code 2, nothing half written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

CARD = """schema = 1
name = "mine"
version = "1"
title = "Mine"
authors = ["A. Author"]
licence = "MIT"
paradigm = "contrastive"
objective = "instance-contrastive"
method = "SimCLR"
architecture = "cnn"
pretraining = []
source = { adapter = "timm", model = "resnet10t", weights = "w.safetensors", sha256 = "SHA" }
preprocessing = { size = 32, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }
"""


def write_encoder(folder: Path, *, card: str = CARD, poison: bool = False) -> Path:
    """A folder with a card and seeded weights; `poison` puts a NaN into them."""
    folder.mkdir()
    torch.manual_seed(0)
    state = timm.create_model("resnet10t", num_classes=0).state_dict()
    if poison:
        state["conv1.0.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, folder / "w.safetensors")
    digest = hashlib.sha256((folder / "w.safetensors").read_bytes()).hexdigest()
    (folder / "encoder.toml").write_text(card.replace("SHA", digest))
    return folder


def test_a_valid_encoder_and_tasks_run(medssl: Callable, own_tasks: Path, tmp_path: Path) -> None:
    done = medssl("run", write_encoder(tmp_path / "mine"), "--tasks", own_tasks)
    assert done.code == 0
    assert "own-shapes" in done.out


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (CARD.replace("licence", "licens"), "unknown key 'licens' (did you mean 'licence'?)"),
        (CARD.replace('"contrastive"', '"contrastiv"'), "'paradigm' is 'contrastiv'"),
        (CARD.replace("resnet10t", "resnet10tt"), "resnet10t"),
        (CARD.replace("size = 32", "size = -1"), "'preprocessing.size'"),
        (CARD.replace("w.safetensors", "absent.safetensors"), "absent.safetensors"),
        (CARD.replace("SHA", "0" * 64), "sha256"),
        ("not toml at all [", "not valid TOML"),
    ],
    ids=["unknown key", "unknown word", "unknown model", "out of range", "missing file", "wrong hash", "not TOML"],
)
def test_cards_with_a_mistake(medssl: Callable, tmp_path: Path, own_tasks: Path, card: str, message: str) -> None:
    done = medssl("run", write_encoder(tmp_path / "mine", card=card), "--tasks", own_tasks)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "runs").exists()


def test_an_encoder_that_gives_nan(medssl: Callable, tmp_path: Path, own_tasks: Path) -> None:
    done = medssl("run", write_encoder(tmp_path / "mine", poison=True), "--tasks", own_tasks)
    assert done.code == 2
    assert "mine: global features hold NaN or infinite values" in done.err


def test_a_missing_encoder_offers_the_nearest(medssl: Callable) -> None:
    done = medssl("run", "raw-pixel", "--suite", "phantom-mini")
    assert done.code == 2
    assert "did you mean 'raw-pixels'?" in done.err


def test_no_name_is_no_encoder(medssl: Callable) -> None:
    done = medssl("run", "", "--suite", "phantom-mini")
    assert (done.code, "no encoder is named" in done.err) == (2, True)


def test_a_folder_as_suite_names_the_option_that_takes_folders(medssl: Callable, own_tasks: Path) -> None:
    done = medssl("run", "raw-pixels", "--suite", own_tasks)
    assert done.code == 2
    assert f"--tasks {own_tasks}" in done.err


@pytest.mark.parametrize("command", [["run", "raw-pixels", "--tasks"], ["data", "status"]], ids=["run", "data status"])
def test_a_folder_without_cards_is_told_how_to_get_one(medssl: Callable, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    done = medssl(*command, tmp_path / "empty")
    assert done.code == 2
    assert "holds no task cards (*.toml) ('medssl data new FOLDER' writes one)" in done.err


def test_a_table_as_tasks_is_no_card(medssl: Callable, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label\n")
    done = medssl("run", "raw-pixels", "--tasks", tmp_path / "t.csv")
    assert done.code == 2
    assert "t.csv: is no task card (--tasks takes a folder of cards, or one card" in done.err


def test_an_npz_with_other_keys(medssl: Callable, own_tasks: Path, write_npz: Callable) -> None:
    write_npz(own_tasks / "shapes.npz", image_key="pictures")
    done = medssl("run", "raw-pixels", "--tasks", own_tasks)
    assert done.code == 2
    assert "train_images" in done.err
    assert "train_pictures" in done.err


def test_labels_outside_the_range(medssl: Callable, own_tasks: Path, write_npz: Callable) -> None:
    write_npz(own_tasks / "shapes.npz", labels_offset=1)
    done = medssl("run", "raw-pixels", "--tasks", own_tasks)
    assert done.code == 2
    assert "own-shapes" in done.err or "shapes.npz" in done.err
    assert "2" in done.err


def test_a_missing_data_file(medssl: Callable, own_tasks: Path) -> None:
    (own_tasks / "masks.npz").unlink()
    done = medssl("run", "raw-pixels", "--tasks", own_tasks)
    assert done.code == 2
    assert "masks.npz" in done.err


def test_an_unwritable_output(medssl: Callable, own_tasks: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = medssl("run", "raw-pixels", "--tasks", own_tasks, "--out", tmp_path / "file" / "runs")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_a_full_disk(medssl: Callable, own_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills while units are written: one message, what was written stays, and the next call goes on."""
    import os

    real = os.fsync

    def fsync(handle: int) -> None:
        if len(list((tmp_path / "runs").rglob("units/*.json"))) > 1:  # whatever earlier tests left in the cache
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    first = medssl("run", "raw-pixels", "--tasks", own_tasks)
    monkeypatch.setattr(os, "fsync", real)
    assert first.code == 2
    assert "No space left on device (free some space and run the same command again)" in first.err
    kept = len(list((tmp_path / "runs").rglob("units/*.json")))
    assert kept > 0
    assert medssl("run", "raw-pixels", "--tasks", own_tasks).code == 0


def test_an_empty_folder_of_tasks(medssl: Callable, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = medssl("run", "raw-pixels", "--tasks", tmp_path / "empty")
    assert done.code == 2
    assert "no task cards" in done.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "raw-pixels", "--suite", "phantom-min"], "did you mean 'phantom-mini'?"),
        (["run", "raw-pixels", "--suite", "phantom-mini", "--task", "nothing-like-it"], "unknown task"),
        (["run", "raw-pixels", "--suite", "phantom-mini", "--executor", "serail"], "did you mean 'serial'?"),
        (["list", "encoder"], "encoders"),
        (["compare", "tiny-vit-dino", "raw-pixel"], "did you mean 'raw-pixels'?"),
        (["verify", "nowhere"], "nowhere"),
    ],
)
def test_mistyped_words_are_answered_with_near_ones(medssl: Callable, arguments: list[str], hint: str) -> None:
    done = medssl(*arguments)
    assert done.code == 2
    assert hint in done.err
