"""The packed corpus: one small file, the same bytes each time, and nothing in it that the suite evaluates on."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench.data.dataset import Split
from bench.data.task import shipped_tasks
from bench.errors import CardError, DataError, RunError, UserError
from bench.files import sha256_file
from bench.locate import shipped
from bench.pretrain import collection as module
from bench.pretrain import pack as packing
from bench.pretrain.collection import Collection, alike, cover_of, gathered, held_out, thumbnails
from bench.pretrain.corpus import open_corpus
from bench.pretrain.pack import contents, is_pack, open_pack, read_collection, read_pack, write_pack
from bench.pretrain.recipe import read_recipe

PACK = Path(os.environ.get("MEDSSL_PACK", "absent"))
TOY = {"schema": 1, "name": "toy", "suite": "open-v1", "size": 40, "quality": 80, "held": 0.2}


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))


def smooth(n, seed):
    """Images that no other resembles."""
    small = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((48, 48), Image.Resampling.BICUBIC)) for s in small])


def split(name, n, seed, labels=None, groups=None, images=None):
    images = smooth(n, seed) if images is None else images
    labels = np.arange(n) % 2 if labels is None else labels
    ids = np.array([f"{name}/{i:03d}_x.png" for i in range(n)])
    return Split(images, labels, ids, None if groups is None else np.array(groups), {})


@pytest.fixture
def toy(monkeypatch):
    """A global and a dense task: one training image repeats a test image, brighter; one patient is in both."""
    train = split("g-train", 30, 1, groups=[f"p{i // 2}" for i in range(30)])
    test = split("g-test", 4, 2, groups=["q0", "q1", "p0", "q2"])
    train.images[7] = (test.images[1] * 0.9 + 20).astype(np.uint8)
    masks = np.zeros((20, 48, 48), np.uint8)
    masks[:, :24] = 1
    dense = {"train": split("d-train", 20, 3, masks), "val": split("d-val", 3, 4, masks[:3])}
    data = {
        "g": SimpleNamespace(train=train, splits={"train": train, "val": split("g-val", 4, 5), "test": test}),
        "d": SimpleNamespace(train=dense["train"], splits=dense),
    }
    monkeypatch.setattr(module, "load_task", lambda name: data[name])
    collection = Collection.parse(TOY, where="toy")
    monkeypatch.setitem(collection.__dict__, "tasks", {"g": "g", "d": "d"})
    return collection


@pytest.fixture
def small():
    tiny = read_recipe("tiny")
    return tiny.model_copy(update={"corpus_size": 40, "size": 32, "corpus": "toy"})


def test_what_the_suite_evaluates_on_stays_out(toy):
    parts = {name: [p for p in gathered(toy) if p.source == name] for name in "gd"}
    ids = [str(i) for part in parts["g"] for i in part.ids]
    assert "g-train/007_x.png" not in ids  # looks like a test image
    assert not {"g-train/000_x.png", "g-train/001_x.png"} & set(ids)  # a patient of the test split
    assert len(ids) == 27
    assert sum(len(p.ids) for p in parts["d"]) == 20


def test_an_unlabelled_set_keeps_apart_from_a_task_that_shares_its_patients(toy, tmp_path, monkeypatch):
    repository = tmp_path / "clones" / "o+pictures"
    (repository / "in").mkdir(parents=True)
    for i, image in enumerate(smooth(6, 9)):
        Image.fromarray(image).save(repository / "in" / f"{i:03d}_a.png")
    (repository / "in" / "notes.txt").write_text("no picture")
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@x"]
    for rest in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *rest], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setenv("MEDSSL_REPOSITORIES", str(tmp_path / "clones"))
    entry = {
        "name": "more", "repository": "o/pictures", "commit": commit, "folder": "in/", "channels": 3, "geometry": "pad",
        "files": r"/(?P<group>\d+)_a\.png$", "apart_from": {"task": "g", "group": r"/(?P<group>\d+)_x"},
    }  # fmt: skip
    collection = Collection.parse(TOY | {"unlabelled": [entry]}, where="toy")
    monkeypatch.setitem(collection.__dict__, "tasks", toy.tasks)
    found = [part for part in gathered(collection) if part.source == "more"]
    # Patients 000 to 003 are in the task's test and validation splits.
    assert [str(i) for part in found for i in part.ids] == ["in/004_a.png", "in/005_a.png"]
    assert all((part.labels == -1).all() and (part.cover == 255).all() for part in found)
    entry["apart_from"]["group"] = "none(?P<group>x)"
    wrong = Collection.parse(TOY | {"unlabelled": [entry]}, where="toy")
    monkeypatch.setitem(wrong.__dict__, "tasks", toy.tasks)
    with pytest.raises(CardError, match="names no patient"):
        list(gathered(wrong))


def test_near_equal_images_are_found_and_others_are_not():
    images = smooth(20, 1)
    darker = (images[:5] * 0.8).astype(np.uint8)
    assert alike(darker, thumbnails(images)).all()
    assert not alike(smooth(20, 2), thumbnails(images)).any()
    assert not alike(images[:2], np.zeros((0, module.THUMBNAIL**2), np.float32)).any()


def test_the_pack_is_the_same_bytes_each_time_and_reads_back(toy, tmp_path):
    for name in "ab":
        write_pack(toy, gathered(toy), tmp_path / f"{name}.npz")
    assert sha256_file(tmp_path / "a.npz") == sha256_file(tmp_path / "b.npz")
    pack = read_pack(tmp_path / "a.npz")
    assert is_pack(tmp_path / "a.npz")
    expected = np.concatenate([part.images for part in gathered(toy)])
    assert np.abs(pack.images(0, len(pack.ends)).astype(int) - expected).mean() < 8
    counts = contents(pack)
    assert {name: c["images"] for name, c in counts.items()} == {"g": 27, "d": 20}
    assert 0 < sum(c["held"] for c in counts.values()) < 20


def test_a_pack_is_a_corpus_with_patients_held_apart(toy, small, tmp_path):
    write_pack(toy, gathered(toy), tmp_path / "toy.npz")
    corpus, pack = open_corpus("any", small, data=tmp_path / "toy.npz"), read_pack(tmp_path / "toy.npz")
    assert corpus.sha256 == sha256_file(tmp_path / "toy.npz")
    assert corpus.images.shape == (47, 40, 40, 3)
    assert sorted([*corpus.held, *corpus.trained]) == list(range(47))
    assert not set(pack.groups[corpus.held]) & set(pack.groups[corpus.trained])
    assert set(corpus.labels) == {"g"}
    assert (corpus.labels["g"][27:] == -1).all()
    rows, percent = corpus.covers["d"]
    assert list(rows) == list(range(27, 47))
    assert (percent[:, :8] == 100).all()
    assert (percent[:, 8:] == 0).all()


def test_another_file_than_the_recipe_names_is_refused_by_name_and_taken_as_ones_own(toy, small, tmp_path, monkeypatch):
    path = tmp_path / "home" / "pretrain" / "packs" / "toy.npz"
    write_pack(toy, gathered(toy), path)
    monkeypatch.setattr(packing, "collection_names", lambda: ["toy"])
    assert open_corpus("toy", small).name == "toy"
    pinned = small.model_copy(update={"corpus_sha256": "0" * 64})
    with pytest.raises(DataError, match="the recipe 'tiny' names 000000000000"):
        open_corpus("toy", pinned)
    assert open_corpus("toy", pinned, data=path).sha256 == sha256_file(path)


def test_damaged_and_oversized_packs_are_refused(toy, tmp_path, monkeypatch):
    path = tmp_path / "toy.npz"
    write_pack(toy, gathered(toy), path)
    arrays = dict(np.load(path))
    np.savez(tmp_path / "short.npz", **(arrays | {"labels": arrays["labels"][:-1]}))
    with pytest.raises(DataError, match="different lengths"):
        read_pack(tmp_path / "short.npz")
    np.savez(tmp_path / "size.npz", **(arrays | {"about": np.array(["toy", "64"])}))
    with pytest.raises(DataError, match="not 64 x 64"):
        read_pack(tmp_path / "size.npz").images(0, 1)
    (tmp_path / "half.npz").write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError):
        read_pack(tmp_path / "half.npz")
    monkeypatch.setattr(packing, "MAX_BYTES", 1000)
    with pytest.raises(RunError, match="MiB, over 0"):
        write_pack(toy, gathered(toy), tmp_path / "big.npz")
    assert not (tmp_path / "big.npz").exists()
    with pytest.raises(DataError, match="did you mean 'open-v1-training'"):
        read_collection("open-v1-trainin")


def test_groups_are_held_by_their_names_alone():
    groups = [f"patient {i}" for i in range(2000)]
    chosen = held_out("task", groups, 0.1)
    assert 150 < chosen.sum() < 250
    assert list(held_out("task", groups[::-1], 0.1)) == list(chosen[::-1])
    assert list(held_out("other", groups, 0.1)) != list(chosen)


def test_the_cover_is_the_share_of_foreground_of_any_class():
    masks = np.zeros((1, 32, 32), np.uint8)
    masks[0, :2, :1], masks[0, 30:, 30:] = 2, 1
    cover = cover_of(masks)
    assert (cover[0, 0, 0], cover[0, 15, 15], cover.sum()) == (50, 100, 150)


@pytest.mark.skipif(not PACK.exists(), reason="needs MEDSSL_PACK, the file of 'medssl pretrain --pack'")
def test_the_real_pack_holds_training_images_alone():
    pack, recipe = read_pack(PACK), read_recipe("open-small")
    assert sha256_file(PACK) == recipe.corpus_sha256
    assert PACK.stat().st_size <= 25 << 20
    collection = read_collection("open-v1-training")
    for i, name in enumerate(pack.sets.tolist()):
        if name not in collection.tasks:
            continue
        index = shipped("tasks") / shipped_tasks()[name].source["index"]
        rows = list(csv.DictReader(index.read_text(encoding="utf-8").splitlines()))
        train = {row["id"] for row in rows if row["split"] == "train"}
        others = {row["group"] or row["id"] for row in rows if row["split"] != "train"}
        mine = pack.set == i
        assert set(pack.ids[mine].tolist()) <= train, name
        assert not set(pack.groups[mine].tolist()) & others, name
    assert open_pack(PACK, recipe).images.shape[1:] == (128, 128, 3)
