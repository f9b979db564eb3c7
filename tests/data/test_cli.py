"""`medssl data fetch`, `prepare` and `status`, as a person types them."""

import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli.data import COMMAND
from bench.data.choose import chosen_tasks
from bench.data.held import downloads
from bench.errors import UserError

CARD = """schema = 1
name = "{name}"
title = "Own"
modality = "mri"
target = "multi-class"
classes = ["a", "b", "c"]
licence = "CC0"
corpus = "own"
source = {{ reader = "npz", file = "{name}.npz", url = "http://127.0.0.1:9/{name}.npz", md5 = "{md5}" }}
"""


@pytest.fixture
def cards(tmp_path, tiny):
    """Two cards with addresses nobody answers at, and a folder that holds their files."""
    (tmp_path / "seed").mkdir()
    (tmp_path / "cards").mkdir()
    for i, name in enumerate(("one", "two")):
        path = tmp_path / "seed" / f"{name}.npz"
        np.savez(path, **tiny(seed=i))
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        (tmp_path / "cards" / f"{name}.toml").write_text(CARD.format(name=name, md5=md5))
    return tmp_path


def medssl(*arguments):
    return CliRunner().invoke(COMMAND, [str(a) for a in arguments])


def test_from_a_seeded_folder_to_prepared(cards, cache_home):
    run = medssl("fetch", cards / "cards", "--from-folder", cards / "seed")
    assert run.exit_code == 0, run.output
    assert run.output.splitlines()[-3:] == ["one.npz: copied", "two.npz: copied", "2 of 2 files are here"]
    assert sorted(p.name for p in downloads().glob("*.npz")) == ["one.npz", "two.npz"]
    before = json.loads(medssl("status", cards / "cards", "--json").output)
    assert [row["prepared"] for row in before] == [False, False]
    run = medssl("prepare", cards / "cards", "--jobs", 2)
    assert run.exit_code == 0, run.output
    assert "one: train 12, val 6, test 6" in run.output
    after = json.loads(medssl("status", cards / "cards", "--json", "--verify").output)
    assert all(row["prepared"] and row["bytes"] > 0 and not row["problem"] for row in after)
    assert "2 of 2 tasks are prepared" in medssl("status", cards / "cards").output


def test_off_a_terminal_preparing_says_now_and_then_how_far_it_is(cards, cache_home, monkeypatch):
    monkeypatch.setattr("bench.cli._print.SILENCE", 0)
    medssl("fetch", cards / "cards", "--from-folder", cards / "seed")
    said = medssl("prepare", cards / "cards", "--jobs", 1).stderr
    assert "preparing: one 12 images\n" in said
    assert "preparing: two done\n" in said


def test_a_failure_is_told_and_the_others_go_on(cards):
    (cards / "seed" / "one.npz").write_bytes(b"wrong")
    run = medssl("fetch", cards / "cards", "--from-folder", cards / "seed", "--json")
    assert run.exit_code == 1
    one, two = json.loads(run.stdout)
    assert (one["status"], two["status"]) == ("failed", "copied")
    assert "the file is kept as" in one["problem"]
    run = medssl("prepare", cards / "cards")
    assert run.exit_code == 1
    assert "one.npz is not here yet (run 'medssl data fetch one'" in run.output
    assert "two: train 12" in run.output


def test_accepting_another_checksum_is_marked(cards, tiny):
    np.savez(cards / "seed" / "one.npz", **tiny(seed=9))
    card = cards / "cards" / "one.toml"
    run = medssl("fetch", card, "--from-folder", cards / "seed", "--accept-checksum")
    assert run.exit_code == 0, run.output
    assert "another checksum than the card's, accepted" in run.output
    assert medssl("prepare", card).exit_code == 1
    assert medssl("prepare", card, "--accept-checksum").exit_code == 0
    assert json.loads(medssl("status", card, "--json").output)[0]["problem"] != ""


def test_names_suites_and_mistakes(tmp_path):
    assert [task.name for task, _ in chosen_tasks(["breastmnist-28", "medmnist3d-v1", "breastmnist-28"])][:2] == [
        "breastmnist-28",
        "organmnist3d-64",
    ]
    assert len(chosen_tasks(["core-v1"])) == 32
    assert len(chosen_tasks([])) > 150
    with pytest.raises(UserError, match=r"unknown task or suite 'pathmnist-23'.*did you mean 'pathmnist-28'"):
        chosen_tasks(["pathmnist-23"])
    run = medssl("fetch")
    assert run.exit_code == 2
    assert "name the tasks or suites to fetch" in run.output


def test_remove_gives_the_disk_back(cards, cache_home):
    medssl("fetch", cards / "cards", "--from-folder", cards / "seed")
    medssl("prepare", cards / "cards")
    orphan = cache_home / "store" / f".{'0' * 64}.x1"
    orphan.mkdir()
    (orphan / "train.images.npy").write_bytes(b"half")
    assert medssl("remove").exit_code == 0
    assert not orphan.exists()
    assert len([p for p in (cache_home / "store").iterdir() if p.is_dir()]) == 2
    assert medssl("remove", cards / "cards" / "one.toml", "--downloads").exit_code == 0
    assert len([p for p in (cache_home / "store").iterdir() if p.is_dir()]) == 1
    assert [p.name for p in downloads().glob("*.npz")] == ["two.npz"]
    assert sorted(p.name for p in (cards / "seed").iterdir()) == ["one.npz", "two.npz"]


def test_what_is_being_written_is_not_swept(cache_home):
    from bench.data import store

    key = "1" * 64
    half = cache_home / "store" / f".{key}.x1"
    half.mkdir(parents=True)
    with store.lock(cache_home / "store", key):
        store.sweep()
        assert half.is_dir()
    store.sweep()
    assert not half.is_dir()
