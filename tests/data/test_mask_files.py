"""Which masks belong to which image."""

from pathlib import Path

import pytest

from bench.data.mask_files import is_mask_of, masks_of
from bench.errors import DataError


def matched(images, masks):
    """Image -> its masks, as paths below the two folders."""
    found = masks_of(*[[Path(r, n) for n in names] if r else None for r, names in (("i", images),)], Path("i"),
                     [Path("m", n) for n in masks], Path("m"))  # fmt: skip
    return {p.relative_to("i").as_posix(): [m.relative_to("m").as_posix() for m in own] for p, own in found.items()}


@pytest.mark.parametrize(
    "mask",
    ["x.png", "x_mask.png", "x-mask.tif", "x_Mask.png", "x mask.png", "x_seg.gif", "x_segmentation.png", "x_gt.bmp",
     "x_label.png", "x_GroundTruth.png", "x_mask_1.png", "x_mask1.png", "x_mask (1).png"],
)  # fmt: skip
def test_endings_of_the_field(mask):
    assert matched(["x.jpg", "y.jpg"], [mask, "y.png"]) == {"x.jpg": [mask], "y.jpg": ["y.png"]}


def test_sub_folders_count():
    masks = ["P1/s.png", "P2/s.png"]
    assert matched(["P2/s.png", "P1/s.png"], masks) == {"P2/s.png": ["P2/s.png"], "P1/s.png": ["P1/s.png"]}
    assert matched(["P1/s.png", "P2/s.png"], ["P2/s.png"])["P1/s.png"] == [], "the mask of another patient is none"
    assert matched(["P1/a.png", "P2/b.png"], ["a.png", "b_mask.png"]) == {
        "P1/a.png": ["a.png"],
        "P2/b.png": ["b_mask.png"],
    }
    assert matched(["P1/s.png", "P2/s.png"], ["s.png"]) == {"P1/s.png": [], "P2/s.png": []}


def test_several_masks_of_one_kind():
    masks = ["b (1)_mask.png", "b (1)_mask_1.png", "b (1)_mask_2.png"]
    assert matched(["b (1).png", "b (11).png"], [*masks, "b (11)_mask.png"]) == {
        "b (1).png": masks,
        "b (11).png": ["b (11)_mask.png"],
    }


def test_the_exact_name_of_an_image_is_its_own():
    found = matched(["a.png", "a_seg.png"], ["a.png", "a_seg.png"])
    assert found == {"a.png": ["a.png"], "a_seg.png": ["a_seg.png"]}


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (["x.png"], ["x.png", "x.gif"], r"meant instead of each other: x\.png, x\.gif"),
        (["x.png"], ["x.png", "x_mask.png"], "meant instead of each other"),
        (["x.png"], ["x_mask.png", "x_gt.png"], "meant instead of each other"),
        (["x.png", "x.jpg"], ["x.png"], "two images share the name 'x'"),
    ],
)
def test_what_is_ambiguous_is_refused(images, masks, message):
    with pytest.raises(DataError, match=message):
        matched(images, masks)


def test_masks_beside_images():
    assert is_mask_of("x_mask_1", {"x", "x_mask_1"})
    assert not is_mask_of("x_mask", {"y"})
    assert not is_mask_of("mask", {"mask"})
    assert not is_mask_of("x_1", {"x"})
