"""Reading a user's own images, a task's, and the procedural ones."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import DataError, UserError
from bench.pretrain import corpus as module
from bench.pretrain.corpus import PHANTOM, open_corpus, resize

REAL = Path(os.environ.get("MEDSSL_REAL_DATA", Path(module.__file__).parents[3] / "shared" / "data" / "real"))


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))


def images(n=24, size=20, channels=3):
    return np.random.default_rng(0).integers(0, 256, (n, size, size, channels), dtype=np.uint8)


def test_an_npz_gives_its_training_images_and_labels_only(recipe, tmp_path):
    train, labels = images(size=40), np.arange(24).reshape(-1, 1) % 3
    np.savez(tmp_path / "own.npz", train_images=train, train_labels=labels, test_images=images(5), val_images=images(5))
    found = open_corpus("x", recipe, data=tmp_path / "own.npz")
    np.testing.assert_array_equal(found.images, train)
    np.testing.assert_array_equal(found.labels["label"], labels[:, 0])
    assert found.classes == {"label": 3}
    assert len(found.held) == 3
    assert sorted([*found.held, *found.trained]) == list(range(24))


def test_grey_images_are_resized_and_repeated(recipe, tmp_path):
    grey = images(channels=1)
    np.save(tmp_path / "own.npy", grey[..., 0])
    found = open_corpus("x", recipe, data=tmp_path / "own.npy")
    assert found.images.shape == (24, 40, 40, 3)
    expected = [np.asarray(Image.fromarray(g[..., 0]).resize((40, 40), Image.Resampling.BILINEAR)) for g in grey]
    assert np.abs(found.images[..., 1].astype(int) - np.stack(expected)).max() <= 1
    assert found.labels == {}


def test_a_folder_of_files_of_any_size(recipe, tmp_path):
    folder = tmp_path / "own"
    (folder / "deep").mkdir(parents=True)
    for i in range(17):
        Image.fromarray(np.full((10 + i, 30, 3), 10 * i, np.uint8)).save(
            folder / ("deep" if i % 2 else "") / f"{i:02}.png"
        )
    (folder / "notes.txt").write_text("not an image")
    found = open_corpus("x", recipe, data=folder)
    assert sorted(found.images[:, 5, 5, 0].tolist()) == [10 * i for i in range(17)]
    (folder / "bad.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"bad\.png: is not a readable image"):
        open_corpus("x", recipe, data=folder)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": images()}, "holds pictures; expected 'train_images' or 'images'"),
        ({"images": images().astype(np.float32)}, "images are float32"),
        ({"images": images(n=3)}, "has 3 images, too few"),
        ({"images": np.zeros((20, 3), np.uint8)}, r"\(20, 3\)"),
    ],
)
def test_what_cannot_be_pretrained_on_is_explained(arrays, message, recipe, tmp_path):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_corpus("x", recipe, data=tmp_path / "own.npz")


HEAD = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,\n"


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_damaged_file_is_one_message(suffix, recipe, tmp_path):
    path = tmp_path / f"own.{suffix}"
    path.write_bytes(b"junk")
    with pytest.raises(UserError, match=f"not a readable {suffix} file"):
        open_corpus("x", recipe, data=path)


@pytest.mark.parametrize("member", ["train_images", "train_labels"])
@pytest.mark.parametrize("content", [b"junk", b"\x93NUMPY\x01\x00" + bytes([len(HEAD), 0]) + HEAD])
def test_a_damaged_member_is_one_message(member, content, recipe, tmp_path):
    np.savez(tmp_path / "own.npz", **({} if member == "train_images" else {"train_images": images()}))
    with zipfile.ZipFile(tmp_path / "own.npz", "a") as archive:
        archive.writestr(f"{member}.npy", content)
    with pytest.raises(UserError, match=r"no array|not a readable npz"):
        open_corpus("x", recipe, data=tmp_path / "own.npz")


def test_missing_files_and_unknown_names(recipe, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        open_corpus("x", recipe, data=tmp_path / "none.npz")
    with pytest.raises(UserError, match="did you mean 'phantom-v1'"):
        open_corpus("phantom-v", recipe)


def test_changed_images_are_another_corpus(recipe, tmp_path):
    np.savez(tmp_path / "own.npz", images=images())
    first = open_corpus("x", recipe, data=tmp_path / "own.npz").sha256
    np.savez(tmp_path / "own.npz", images=255 - images())
    assert open_corpus("x", recipe, data=tmp_path / "own.npz").sha256 != first


def test_an_interrupted_preparation_is_done_again(recipe, tmp_path, monkeypatch):
    np.savez(tmp_path / "own.npz", images=images())

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "resize", stop)
        with pytest.raises(KeyboardInterrupt):
            open_corpus("x", recipe, data=tmp_path / "own.npz")
    assert len(open_corpus("x", recipe, data=tmp_path / "own.npz").images) == 24


def test_the_procedural_corpus_has_its_attributes_and_is_made_once(recipe, monkeypatch):
    found = open_corpus(PHANTOM, recipe)
    assert found.name == "phantom-v1-pretraining"
    assert found.images.shape == (96, 40, 40, 3)
    assert {"modality", "diffuse", "focal"} <= set(found.labels)
    monkeypatch.setattr("bench.phantoms.corpus.pretraining_corpus", None)
    assert open_corpus(PHANTOM, recipe).sha256 == found.sha256


def test_resizing_to_the_same_size_changes_nothing():
    assert resize(images(), 20) is not None
    np.testing.assert_array_equal(resize(images(), 20), images())


@pytest.mark.skipif(not (REAL / "brainmri.npz").exists(), reason="real images are not here (MEDSSL_REAL_DATA)")
def test_a_real_set_is_taken_as_it_is(recipe):
    found = open_corpus("x", recipe.model_copy(update={"corpus_size": 128}), data=REAL / "brainmri.npz")
    with np.load(REAL / "brainmri.npz") as archive:
        np.testing.assert_array_equal(found.images[7, ..., 2], archive["train_images"][7])
        assert len(found.images) == len(archive["train_images"])


def test_a_task_card_reads_its_images_as_a_run_does(recipe, tmp_path):
    """Deeper images need the card's window; a folder alone does not say it."""
    from PIL import Image

    for i in range(40):
        folder = tmp_path / "set" / ("train", "val", "test")[max(0, i - 34) // 2] / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 100 * i, np.uint16)).save(folder / f"{i}.png")
    with pytest.raises(DataError, match=r"png: pixels run from .* more than 8 bits"):
        open_corpus("x", recipe, data=tmp_path / "set")
    card = 'schema = 1\nname = "own"\ntitle = "Own"\nmodality = "mixed"\ntarget = "binary"\nclasses = ["a", "b"]\n'
    card += 'licence = "x"\ncorpus = "x"\nsource = { reader = "imagefolder", folder = "set", window = [0, 4000] }\n'
    (tmp_path / "own.toml").write_text(card)
    found = open_corpus("x", recipe, data=tmp_path / "own.toml")
    assert len(found.images) == 36
    levels = found.images.reshape(36, -1)
    assert (levels.min(1) == levels.max(1)).all()
    assert sorted(levels[:, 0].tolist())[:3] == [0, 6, 13]
