"""load_task: the real files as a user's own tasks, the store behind it, and what it refuses."""

import hashlib
import json
import os

import numpy as np
import pytest
from PIL import Image

from bench.data.load import load_task
from bench.data.status import status_of
from bench.data.task import read_task
from bench.errors import CardError, DataError, RunError
from bench.files import sha256_arrays
from tests.cards import task_card

CARDS = {
    name: task_card(f"own-{name}", f'reader = "npz", file = "{name}.npz"', modality=how, target=target, classes=classes)
    for name, how, target, classes in (
        ("brainmri", "mri", "multi-class", ("none", "glioma", "meningioma", "pituitary")),
        ("breastus", "ultrasound", "multi-class", ("normal", "benign", "malignant")),
        ("footulcer", "photo", "mask", ("background", "wound")),
        ("nuclei", "microscopy", "mask", ("background", "nucleus")),
    )
}


@pytest.mark.parametrize("name", CARDS)
def test_a_ten_line_card_outside_the_repository_runs_a_real_file(name, real_data, tmp_path):
    card = tmp_path / f"{name}.toml"
    card.write_text(CARDS[name])
    assert len(CARDS[name].splitlines()) <= 10
    data = load_task(read_task(card), folder=real_data)
    raw = np.load(real_data / f"{name}.npz")
    stated = json.loads((real_data / f"{name}.json").read_text())["n"]
    for split in ("train", "val", "test"):
        loaded = data.splits[split]
        assert len(loaded) == stated[split]
        assert isinstance(loaded.images, np.memmap)
        assert loaded.images.ndim == 4
        np.testing.assert_array_equal(loaded.images.reshape(raw[f"{split}_images"].shape), raw[f"{split}_images"])
        key = f"{split}_label" if data.task.kind == "dense" else f"{split}_labels"
        np.testing.assert_array_equal(loaded.labels.reshape(raw[key].shape), raw[key])
    assert not data.checksum_override


def test_columns_follow_the_contract(tiny, make_task, tmp_path):
    np.savez(tmp_path / "t.npz", **tiny())
    data = load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)
    assert data.train.images.shape == (12, 8, 8, 1)
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int64
    assert data.tests["test"].ids[5] == "test/5"
    with pytest.raises(ValueError, match="read-only"):
        data.train.images[0] = 0
    arrays = {f"{s}.{c}": getattr(v, c) for s, v in data.splits.items() for c in ("images", "labels", "ids")}
    assert data.sha256 == sha256_arrays(arrays)


def test_the_second_load_reads_only_the_store(tiny, make_task, tmp_path, monkeypatch):
    np.savez(tmp_path / "t.npz", **tiny())
    task = make_task(reader="npz", file="t.npz")
    first = load_task(task, folder=tmp_path)
    monkeypatch.setattr("bench.data.store._write", lambda *_: pytest.fail("prepared twice"))
    assert load_task(task, folder=tmp_path).sha256 == first.sha256


def test_changed_file_is_prepared_anew(tiny, make_task, tmp_path):
    task = make_task(reader="npz", file="t.npz")
    np.savez(tmp_path / "t.npz", **tiny(seed=0))
    first = load_task(task, folder=tmp_path)
    np.savez(tmp_path / "t.npz", **tiny(seed=1))
    assert load_task(task, folder=tmp_path).sha256 != first.sha256


def test_checksum_of_the_card(tiny, make_task, tmp_path):
    np.savez(tmp_path / "t.npz", **tiny())
    right = hashlib.sha256((tmp_path / "t.npz").read_bytes()).hexdigest()
    good = make_task(reader="npz", file="t.npz", sha256=right)
    data = load_task(good, folder=tmp_path)
    assert not data.checksum_override
    bad = make_task(reader="npz", file="t.npz", sha256="0" * 64)
    with pytest.raises(DataError, match=f"has sha256 {right}, the card says 0000.*--accept-checksum"):
        load_task(bad, folder=tmp_path)
    accepted = load_task(bad, folder=tmp_path, accept_checksum=True)
    assert accepted.checksum_override
    assert accepted.sha256 == data.sha256
    assert not status_of(bad, folder=tmp_path).prepared
    assert status_of(bad, folder=tmp_path, accept_checksum=True).prepared
    (tmp_path / "t.npz").unlink()
    assert load_task(good, folder=tmp_path).sha256 == data.sha256, "the prepared copy needs no file"
    with pytest.raises(DataError, match="no such file"):
        load_task(bad, folder=tmp_path)


def test_other_keys_are_named(tiny, make_task, tmp_path):
    arrays = {key.replace("images", "x").replace("labels", "y"): a for key, a in tiny().items()}
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=r"holds test_x, test_y, train_x, .*expected train_images.*name the keys"):
        load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)
    named = make_task(reader="npz", file="t.npz", images="{split}_x", labels="{split}_y")
    assert len(load_task(named, folder=tmp_path).train) == 12


def test_multi_label_and_groups(tiny, make_task, tmp_path):
    arrays = tiny()
    for split in ("train", "val", "test"):
        n = len(arrays[f"{split}_images"])
        arrays[f"{split}_labels"] = np.eye(3, dtype=np.uint8)[np.arange(n) % 3]
        arrays[f"{split}_patient"] = np.arange(n) // 2
    np.savez(tmp_path / "t.npz", **arrays)
    data = load_task(make_task("multi-label", reader="npz", file="t.npz", groups="{split}_patient"), folder=tmp_path)
    assert data.train.labels.dtype == np.uint8
    assert data.train.labels.shape == (12, 3)
    assert data.train.groups[:3].tolist() == ["0", "0", "1"]
    assert "3 patients are in train and test: scores are too high" in data.notes


def test_volumes_declare_their_aggregation(tiny, make_task, tmp_path):
    arrays = tiny()
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.stack([arrays[f"{split}_images"]] * 5, 1)
    np.savez(tmp_path / "t.npz", **arrays)
    task = make_task(reader="npz", file="t.npz", volume=True, aggregation="mean")
    assert load_task(task, folder=tmp_path).train.images.shape == (12, 5, 8, 8, 1)
    assert load_task(task, folder=tmp_path).train.spacing is None
    said = make_task(reader="npz", file="t.npz", volume=True, aggregation="mean", spacing=[3.0, 1.0, 1.0])
    assert load_task(said, folder=tmp_path).train.spacing.tolist() == [[3.0, 1.0, 1.0]] * 12
    with pytest.raises(DataError, match=r"shape \(12, 5, 8, 8\).*say volume = true"):
        load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)
    with pytest.raises(CardError, match="go together"):
        load_task(make_task(reader="npz", file="t.npz", volume=True), folder=tmp_path)


def test_unknown_reader_and_key_offer_the_nearest(make_task):
    with pytest.raises(Exception, match=r"unknown reader 'npy'.*did you mean 'npz'"):
        load_task(make_task(reader="npy", file="t.npz"))
    with pytest.raises(CardError, match=r"unknown key 'fiel'.*did you mean 'file'"):
        load_task(make_task(reader="npz", fiel="t.npz"))
    with pytest.raises(CardError, match="missing key 'reader'"):
        load_task(make_task(file="t.npz"))


def test_a_damaged_archive_is_named(tiny, make_task, tmp_path):
    path = tmp_path / "t.npz"
    np.savez_compressed(path, **tiny(size=64))
    data = bytearray(path.read_bytes())
    middle = len(data) // 4
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"t\.npz.*(damaged|cannot be read)"):
        load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="not a readable npz"):
        load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)


def test_pickled_arrays_are_refused(tiny, make_task, tmp_path):
    arrays = tiny()
    arrays["train_labels"] = arrays["train_labels"].astype(object)
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match="Python objects"):
        load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)


def test_a_prepared_copy_in_a_read_only_cache_is_enough(tiny, make_task, tmp_path, monkeypatch):
    np.savez(tmp_path / "t.npz", **tiny())
    task = make_task(reader="npz", file="t.npz")
    monkeypatch.setattr("bench.data.held.JUST_NOW", 0)
    first = load_task(task, folder=tmp_path)
    for memo in (tmp_path / "home" / "digests").iterdir():
        memo.unlink()

    def refuse(*_):
        raise RunError("cannot be written")

    monkeypatch.setattr("bench.data.held.write_atomic", refuse)
    monkeypatch.setattr("bench.data.store.lock", refuse)
    assert load_task(task, folder=tmp_path).sha256 == first.sha256


def test_a_correction_is_seen_whatever_its_size_and_date(tiny, make_task, tmp_path, monkeypatch):
    """Saved again with as many bytes, and with the date of before, as copying tools keep it."""
    path, arrays = tmp_path / "t.npz", tiny()
    np.savez(path, **arrays)
    task = make_task(reader="npz", file="t.npz")
    monkeypatch.setattr("bench.data.held.JUST_NOW", 0)
    first, before = load_task(task, folder=tmp_path), path.stat()
    arrays["test_labels"] = arrays["test_labels"][::-1].copy()
    np.savez(path, **arrays)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert load_task(task, folder=tmp_path).sha256 != first.sha256


def test_a_file_of_this_moment_is_not_remembered(tiny, make_task, tmp_path):
    """Another change within the clock's tick would leave size and times as they are."""
    np.savez(tmp_path / "t.npz", **tiny())
    load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)
    assert not list((tmp_path / "home").glob("digests/*"))


def test_masks_that_change_places_in_a_table_are_read_anew(make_task, tmp_path):
    """The same files in another pairing are other data."""
    names = [f"{split}{i}" for split in ("train", "val", "test") for i in range(3)]
    for number, name in enumerate(names):
        mask = np.zeros((8, 8), np.uint8)
        mask[: number % 3 + 1] = 1
        Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(tmp_path / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / f"{name}-truth.png")

    def masks_of(truth):
        rows = [f"{name}.png,{truth.get(name, name)}-truth.png,{name[:-1]}\n" for name in names]
        (tmp_path / "t.csv").write_text("image,mask,split\n" + "".join(rows))
        task = make_task("mask", ["background", "x"], reader="csv", file="t.csv")
        return load_task(task, folder=tmp_path).tests["test"].labels

    before, after = masks_of({}), masks_of({"test0": "test2", "test2": "test0"})
    np.testing.assert_array_equal(after, before[[2, 1, 0]])
