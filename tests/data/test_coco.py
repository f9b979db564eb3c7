"""COCO files: polygons and both forms of run lengths are the masks they outline."""

import json

import numpy as np
import pytest
from PIL import Image

from bench.data.coco import drawn
from bench.data.load import load_task
from bench.data.propose import propose
from bench.data.survey import survey
from bench.errors import DataError
from tests.data.clinical import packed, rle, write_coco

CLASSES = ["background", "cell", "nucleus"]


def test_run_lengths_plain_and_packed():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 1.0):
        mask = rng.random((37, 91)) < share
        plain = rle(mask)
        np.testing.assert_array_equal(drawn(plain, mask.shape, "x"), mask)
        np.testing.assert_array_equal(drawn(plain | {"counts": packed(plain["counts"])}, mask.shape, "x"), mask)


def test_the_packed_form_is_that_of_the_coco_api():
    """A known string: rows 0..2 of a (4, 4) mask's first column are runs 0, 3, 13."""
    mask = np.zeros((4, 4), bool)
    mask[:3, 0] = True
    np.testing.assert_array_equal(drawn({"size": [4, 4], "counts": "03=0"[:3]}, (4, 4), "x"), mask)


def test_polygons_hold_the_pixels_whose_centres_lie_inside():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    np.testing.assert_array_equal(drawn([[3, 2, 7, 2, 7, 5, 3, 5]], (8, 9), "x"), mask)
    mask[6, 0] = True
    np.testing.assert_array_equal(drawn([[3, 2, 7, 2, 7, 5, 3, 5], [0, 6, 1, 6, 1, 7, 0, 7]], (8, 9), "x"), mask)


@pytest.mark.parametrize(
    "wrong",
    [{"size": [4, 4], "counts": [3]}, {"size": [4, 4]}, {"size": [4, 4], "counts": "0Z~"}, [[1, 2, 3, 4]], [[1]], 7],
)
def test_outlines_that_cannot_be_drawn_are_refused(wrong):
    with pytest.raises(DataError, match="has an outline that cannot be drawn"):
        drawn(wrong, (4, 4), "x")


@pytest.fixture
def made(tmp_path, make_task):
    """A COCO task of 12 images, its masks, and a way to load it."""
    rng = np.random.default_rng(1)
    masks = rng.integers(0, 3, (12, 8, 8)).astype(np.uint8)
    (tmp_path / "img").mkdir()
    names = [f"{i:02d}.png" for i in range(12)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "img" / name)
    write_coco(tmp_path / "c.json", masks, names, CLASSES)

    def load(**more):
        return load_task(make_task("mask", CLASSES, reader="coco", file="c.json", root="img", **more), folder=tmp_path)

    return tmp_path, dict(zip(names, masks, strict=True)), load


def test_masks_are_read_back(made):
    _, masks, load = made
    data = load()
    found = {i: m for split in data.splits.values() for i, m in zip(split.ids.tolist(), split.labels, strict=True)}
    assert set(found) == set(masks)
    for name, mask in masks.items():
        np.testing.assert_array_equal(found[name], mask)


def test_a_byte_order_mark_changes_nothing(made):
    folder, _, load = made
    ids = {split: data.ids.tolist() for split, data in load().splits.items()}
    text = (folder / "c.json").read_text()
    (folder / "c.json").write_text(text, encoding="utf-8-sig")
    assert {split: data.ids.tolist() for split, data in load().splits.items()} == ids
    assert propose(survey(folder)).card["source"]["reader"] == "coco"


def test_another_outline_is_another_task(made):
    folder, _, load = made
    before = load().sha256
    table = json.loads((folder / "c.json").read_text())
    table["annotations"].pop()
    (folder / "c.json").write_text(json.dumps(table))
    assert load().sha256 != before


def test_overlaps_want_an_order(made):
    folder, _, load = made
    table = json.loads((folder / "c.json").read_text())
    whole = [[0, 0, 8, 0, 8, 8, 0, 8]]
    table["annotations"] = [{"image_id": i, "category_id": c, "segmentation": whole} for i in range(12) for c in (1, 2)]
    (folder / "c.json").write_text(json.dumps(table))
    with pytest.raises(DataError, match=r'c\.json, image .*overlap in 64 pixels.*overlap = "last"'):
        load()
    assert (load(overlap="last").train.labels == 2).all()
    assert (load(overlap="first").train.labels == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["categories"][0].update(name="cel"), r"has the category 'cel'.*did you mean 'cell'"),
        (lambda t: t.pop("images"), r"is no COCO file of masks \(KeyError: 'images'\)"),
        (lambda t: t["annotations"].append({"image_id": 99, "category_id": 1, "segmentation": []}), "image 99, which"),
        (lambda t: t["images"][0].update(height=7), r"run lengths of \(8, 8\)|is 8 x 7 pixels"),
        (lambda t: t["images"][0].update(height=-1), "has no possible size"),
        (lambda t: t["images"].append(dict(t["images"][0], id=77)), "lists the file '00.png' twice"),
        (lambda t: t["images"].append(dict(t["images"][0], file_name="x.png")), "lists the id 0 twice"),
        (lambda t: t["categories"].append(dict(t["categories"][0], name="nucleus")), r"lists the category \d twice"),
        (lambda t: t["annotations"][0].update(segmentation=[]), "annotation without an outline.*a box alone"),
        (lambda t: t["annotations"][0].pop("segmentation"), "annotation without an outline"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(made, change, message):
    folder, _, load = made
    table = json.loads((folder / "c.json").read_text())
    change(table)
    (folder / "c.json").write_text(json.dumps(table))
    with pytest.raises(DataError, match=message):
        load()


@pytest.mark.parametrize(
    ("outline", "message"),
    [([40, 4, 44, 4, 44, 14], "outside the image"), ([0.1, 0.1, 0.4, 0.1, 0.4, 0.4], "shares of the image")],
    ids=["outside", "shares"],
)
def test_outlines_that_hold_nothing_of_their_image_are_refused(outline, message):
    with pytest.raises(DataError, match=message):
        drawn([outline], (32, 32), "x")
    assert drawn([[0, 0, 1, 0, 1, 1, 0, 1]], (32, 32), "x").sum() == 1
