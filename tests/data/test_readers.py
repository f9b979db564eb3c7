"""Whole readers on small inputs: tables of findings, columns by name, folders of other files, deep pixels."""

import csv

import numpy as np
import pytest
from PIL import Image

from bench.data.load import load_task
from bench.errors import DataError

SPLITS = ("train", "train", "val", "test")


@pytest.fixture
def table(tmp_path):
    """Writes 16 pictures and a table of them: `cells(i)` are the cells of a line after its image."""

    def write(header, cells, separator=",", encoding="utf-8"):
        (tmp_path / "img").mkdir(exist_ok=True)
        for i in range(16):
            pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "img" / f"{i}.png")
        with open(tmp_path / "t.csv", "w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=separator).writerows([header, *(cells(i) for i in range(16))])
        return tmp_path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_as_they_are_saved(table, make_task, separator, encoding):
    folder = table(
        [" Image", "LABEL ", "split"],
        lambda i: [f"img\\{i}.png", f" {i // 4 % 3}.0", SPLITS[i % 4].upper()],
        separator,
        encoding,
    )
    data = load_task(make_task(reader="csv", file="t.csv"), folder=folder)
    assert data.train.ids[:2].tolist() == ["img/0.png", "img/1.png"]
    assert data.tests["test"].labels.tolist() == [0, 1, 2, 0]


def test_columns_named_on_the_card(table, make_task):
    folder = table(["Path", "dx", "pid", "fold"], lambda i: [f"img/{i}", "abc"[i // 4 % 3], f"{i}.0", SPLITS[i % 4]])
    columns = {"image": "path", "label": "dx", "patient": "pid", "split": "fold"}
    data = load_task(make_task(reader="csv", file="t.csv", columns=columns), folder=folder)
    assert data.val.groups.tolist() == ["2", "6", "10", "14"]
    with pytest.raises(DataError, match=r"has no column 'diagnosis'"):
        load_task(make_task(reader="csv", file="t.csv", columns=columns | {"label": "diagnosis"}), folder=folder)


def test_one_column_a_finding_under_each_policy(table, make_task):
    cells = [["1.0", "0.0"], ["-1.0", "1.0"], ["", "0.0"], ["0.0", "1.0"]]
    folder = table(["image", "Effusion", "Edema", "split"], lambda i: [f"img/{i}.png", *cells[i // 4], SPLITS[i % 4]])

    def read(**policy):
        task = make_task("multi-label", ["effusion", "edema"], reader="csv", file="t.csv", **policy)
        return load_task(task, folder=folder)

    with pytest.raises(DataError, match=r"line 6: 'effusion' is uncertain .*8 of 16 labels"):
        read()
    for policy, flags in (("zeros", [1, 0, 0, 0]), ("ones", [1, 1, 0, 0])):
        data = read(uncertain=policy, blank="zeros")
        assert data.val.labels[:, 0].tolist() == flags
        assert f"4 images: uncertain labels (-1), read as {'01'[policy == 'ones']}" in " ".join(data.notes)
    assert len(read(uncertain="drop", blank="drop").train) == 4


def test_one_hot_columns_of_a_task_with_one_class_an_image(table, make_task):
    folder = table(["image", "a", "b", "c", "split"], lambda i: [f"img/{i}.png", *np.eye(3)[i // 4 % 3], SPLITS[i % 4]])
    assert load_task(make_task(reader="csv", file="t.csv"), folder=folder).val.labels.tolist() == [0, 1, 2, 0]


def test_an_image_listed_twice_with_another_label(table, make_task):
    folder = table(["image", "label", "split"], lambda i: [f"img/{max(i, 1)}.png", "abc"[i % 3], "train"])
    with pytest.raises(DataError, match=r"line 3: lists 1\.png again, with other cells than line 2"):
        load_task(make_task(reader="csv", file="t.csv"), folder=folder)


def test_files_that_are_not_read_are_named(tmp_path, make_task):
    for split in ("train", "val", "test"):
        for name in "abc":
            folder = tmp_path / "set" / split / name
            folder.mkdir(parents=True)
            (folder / "IM01.mha").write_bytes(b"ObjectType = Image")
            (folder / "IM02").write_bytes(b"nothing known")
    task = make_task(reader="imagefolder", folder="set")
    with pytest.raises(DataError, match=r"\.mha: 9 files \(MetaImage\), no ending: 9 files.*window"):
        load_task(task, folder=tmp_path)


def test_masks_and_hidden_files_among_the_images_are_no_images(tmp_path, make_task):
    for k, split in enumerate(("train", "val", "test")):
        for i, name in enumerate("abc"):
            folder = tmp_path / "set" / split / name.upper()
            folder.mkdir(parents=True)
            for file in ("x.PNG", "x_mask.png", "x_mask_1.png", "._x.png"):
                pixels = np.random.default_rng(9 * k + i).integers(0, 256, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / file)
    data = load_task(make_task(reader="imagefolder", folder="set"), folder=tmp_path)
    assert [len(split) for split in data.splits.values()] == [3, 3, 3]
    assert "6 files: masks beside the images of 'A', left out" in data.notes


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int32])
def test_pixels_of_any_width_have_one_scale(tmp_path, make_task, tiny, dtype):
    arrays = {k: v.astype(dtype) if "images" in k else v for k, v in tiny().items()}
    np.savez(tmp_path / "t.npz", **arrays)
    task = make_task(reader="npz", file="t.npz")
    np.testing.assert_array_equal(load_task(task, folder=tmp_path).train.images[..., 0], arrays["train_images"])
    arrays["test_images"][3] += 100
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match="more than 8 bits"):
        load_task(task, folder=tmp_path)
    data = load_task(make_task(reader="npz", file="t.npz", window=[0.0, 510.0]), folder=tmp_path)
    np.testing.assert_allclose(data.train.images[..., 0], arrays["train_images"] / 2, atol=0.5)
