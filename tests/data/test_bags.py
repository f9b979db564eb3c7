"""Several images of a patient with one label: from a table, a folder and an npz, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.data.load import load_task
from bench.errors import CardError, DataError

BAGS = {"bags": True, "aggregation": "mean"}


def write_table(folder, rows, header="image,label,patient,split") -> None:
    """Grey 8 x 8 images, each of the brightness of its place in the table."""
    lines = [header]
    for number, row in enumerate(rows):
        Image.fromarray(np.full((8, 8), 10 + number, np.uint8)).save(folder / f"i{number}.png")
        lines.append(",".join([f"i{number}.png", *row]))
    (folder / "t.csv").write_text("\n".join(lines))


ROWS = [
    ("a", "p1", "train"), ("b", "p2", "train"), ("a", "p1", "train"), ("a", "p1", "train"),
    ("a", "p3", "val"), ("b", "p4", "val"), ("b", "p4", "val"), ("a", "p5", "test"), ("b", "p6", "test"),
]  # fmt: skip


def test_the_images_of_a_patient_are_one_case(tmp_path, make_task) -> None:
    write_table(tmp_path, ROWS)
    data = load_task(make_task(classes=("a", "b"), reader="csv", file="t.csv", **BAGS), folder=tmp_path)
    assert data.train.images.shape == (2, 3, 8, 8, 1)
    assert data.train.images[:, :, 0, 0, 0].tolist() == [[10, 12, 13], [11, 0, 0]]
    assert data.train.sizes.tolist() == [3, 1]
    assert data.train.labels.tolist() == [0, 1]
    assert data.train.groups.tolist() == data.train.ids.tolist() == ["p1", "p2"]
    assert data.val.sizes.tolist() == [1, 2]


def test_a_column_of_bags_keeps_examinations_of_a_patient_apart(tmp_path, make_task) -> None:
    exams = ["e1", "e2", "e1", "e9", "e3", "e4", "e4", "e5", "e6"]
    rows = [(*row, exam) for row, exam in zip(ROWS, exams, strict=True)]
    write_table(tmp_path, rows, "image,label,patient,split,bag")
    data = load_task(make_task(classes=("a", "b"), reader="csv", file="t.csv", **BAGS), folder=tmp_path)
    assert data.train.ids.tolist() == ["e1", "e2", "e9"]
    assert data.train.groups.tolist() == ["p1", "p2", "p1"]
    assert data.train.sizes.tolist() == [2, 1, 1]


def test_splits_are_made_of_whole_bags(tmp_path, make_task) -> None:
    rows = [(("a", "b")[p % 2], f"p{p}") for p in range(20) for _ in range(1 + p % 3)]
    write_table(tmp_path, rows, "image,label,patient")
    data = load_task(make_task(classes=("a", "b"), reader="csv", file="t.csv", **BAGS), folder=tmp_path)
    assert sum(len(split) for split in data.splits.values()) == 20
    assert sum(split.sizes.sum() for split in data.splits.values()) == len(rows)


def test_folders_are_bags(tmp_path, make_task) -> None:
    for split in ("train", "val", "test"):
        for name, images in (("a", 2), ("b", 1)):
            (tmp_path / split / name / f"{split}-{name}").mkdir(parents=True)
            for i in range(images):
                picture = Image.fromarray(np.full((8, 8), 40 + i, np.uint8))
                picture.save(tmp_path / split / name / f"{split}-{name}" / f"{i}.png")
    task = make_task(classes=("a", "b"), reader="imagefolder", folder=".", groups="folder", **BAGS)
    assert load_task(task, folder=tmp_path).train.sizes.tolist() == [2, 1]


def test_an_npz_with_patients(tmp_path, make_task) -> None:
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8)
        arrays[f"{split}_labels"] = np.array([0, 1, 0, 1, 1])
        arrays[f"{split}_patient"] = np.array([f"{split}{i}" for i in (0, 1, 0, 1, 2)])
    np.savez(tmp_path / "t.npz", **arrays)
    task = make_task(classes=("a", "b"), reader="npz", file="t.npz", groups="{split}_patient", **BAGS)
    data = load_task(task, folder=tmp_path)
    assert data.train.sizes.tolist() == [2, 2, 1]
    assert (data.train.images[1, :2, ..., 0] == arrays["train_images"][[1, 3]]).all()
    assert data.train.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({2: ("b", "p1", "train")}, "the bag 'p1' holds images of different labels: i0.png and i2.png"),
        ({2: ("a", "", "train")}, "i2.png is in no bag"),
    ],
)
def test_bags_that_are_none_are_refused(tmp_path, make_task, change, said) -> None:
    write_table(tmp_path, [change.get(i, row) for i, row in enumerate(ROWS)])
    with pytest.raises(DataError, match=said):
        load_task(make_task(classes=("a", "b"), reader="csv", file="t.csv", **BAGS), folder=tmp_path)


def test_a_patient_in_two_splits_is_refused(tmp_path, make_task) -> None:
    write_table(tmp_path, [*ROWS, ("a", "p1", "test")])
    with pytest.raises(DataError, match="'p1' occurs twice"):
        load_task(make_task(classes=("a", "b"), reader="csv", file="t.csv", **BAGS), folder=tmp_path)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"reader": "csv", "file": "t.csv", "bags": True}, "bags = true and aggregation"),
        ({"reader": "csv", "file": "t.csv", "volume": True, **BAGS}, "flat images"),
        ({"reader": "csv", "file": "t.csv", "columns": {"bag": "e"}}, "for bags = true"),
        ({"reader": "npz", "file": "t.npz", **BAGS}, "'groups' names"),
    ],
)
def test_cards_that_cannot_be_meant_are_refused(tmp_path, make_task, source, said) -> None:
    with pytest.raises(CardError, match=said):
        load_task(make_task(classes=("a", "b"), **source), folder=tmp_path)
