"""Data that are not what the card says are refused with the reason."""

import numpy as np
import pytest

from bench.data.conform import Conformity
from bench.data.dataset import Split
from bench.errors import DataError


def block(labels=(0, 1, 2), n=3, start=0, **change):
    columns = {
        "images": np.zeros((n, 4, 4, 1), np.uint8),
        "labels": np.asarray(labels, np.int64) if isinstance(labels, tuple) else labels,
        "ids": np.array([f"{start + i}" for i in range(n)]),
    }
    return Split(**(columns | change))


MASKS = np.zeros((3, 4, 4), np.uint8)


VOLUMES = np.zeros((3, 2, 4, 4, 1), np.uint8)


@pytest.mark.parametrize(
    ("target", "bad", "message"),
    [
        ("multi-class", block(images=np.zeros((3, 4, 4, 1))), "images are float64, expected uint8"),
        ("multi-class", block(images=np.zeros((3, 4, 4), np.uint8)), r"images have shape \(3, 4, 4\)"),
        ("multi-class", block(images=np.zeros((3, 4, 4, 2), np.uint8)), "c 1 or 3"),
        ("multi-class", block(images=np.zeros((2, 4, 4, 1), np.uint8)), "3 ids but 2 rows of images"),
        ("multi-class", block(groups=np.array(["p"])), "3 ids but 1 rows of groups"),
        ("multi-class", block(strata={"size": np.zeros(2)}), "3 ids but 2 rows of size"),
        ("multi-class", block(labels=(0, 1, 3)), "labels hold the value 3, expected 0 to 2"),
        ("multi-class", block(labels=(0, 1, -1)), "labels hold the value -1"),
        ("multi-class", block(labels=np.zeros(3, np.uint8)), "labels are uint8, expected int64"),
        ("multi-class", block(labels=np.zeros((3, 1), np.int64)), r"labels have shape \(3, 1\)"),
        ("multi-label", block(labels=np.full((3, 3), 2, np.uint8)), "labels hold the value 2, expected 0 to 1"),
        ("multi-label", block(labels=np.zeros((3, 2), np.uint8)), r"expected \(3, 3\)"),
        ("mask", block(labels=MASKS + 3), "masks hold the value 3"),
        ("mask", block(labels=MASKS[:, :2]), r"masks have shape \(3, 2, 4\), expected \(3, 4, 4\)"),
        ("mask", block(labels=MASKS, images=np.zeros((3, 2, 4, 4, 1), np.uint8)), "volumes of an unknown spacing"),
        ("multi-class", block(ids=np.array(["x", "y", "x"])), "the id 'x' occurs twice"),
        ("multi-class", block(spacing=np.ones((3, 3))), "spacing is float64"),
        ("multi-class", block(images=VOLUMES, spacing=np.zeros((3, 3))), "a spacing of 0 mm"),
    ],
)
def test_a_bad_block_is_refused(make_task, target, bad, message):
    with pytest.raises(DataError, match=f"task 'tiny': .*{message}"):
        Conformity(make_task(target, reader="npz", file="x")).check("train", bad)


def checked(task, **splits):
    conformity = Conformity(task)
    for i, (name, labels) in enumerate(splits.items()):
        conformity.check(name, block(labels, len(labels), 100 * i))
    conformity.finish()


def test_the_whole_is_checked_at_the_end(make_task):
    task = make_task(reader="npz", file="x")
    checked(task, train=(0, 1, 2), val=(0, 1), test=(1, 2))
    with pytest.raises(DataError, match="the val split is empty"):
        checked(task, train=(0, 1, 2), test=(0, 1, 2))
    with pytest.raises(DataError, match="no train image of class 'c'"):
        checked(task, train=(0, 1), val=(0, 1), test=(0, 1))
    with pytest.raises(DataError, match="every test image is of class 'b'"):
        checked(task, train=(0, 1, 2), val=(0, 1, 2), test=(1, 1))


def test_several_labels_of_which_none_tells_images_apart_are_refused(make_task):
    """Of labels of -1 and 1, read as U-Ones, say."""
    task = make_task("multi-label", "ab", reader="npz", file="x")
    some, same = np.array([[0, 1], [1, 1]], np.uint8), np.array([[0, 1], [0, 1]], np.uint8)
    checked(task, train=some, val=some, test=some)
    with pytest.raises(DataError, match="each class is on all test images or on none"):
        checked(task, train=some, val=some, test=same)


def test_ids_are_unique_across_splits_and_blocks(make_task):
    conformity = Conformity(make_task(reader="npz", file="x"))
    conformity.check("train", block())
    with pytest.raises(DataError, match="the id '0' occurs twice"):
        conformity.check("test", block())
    with pytest.raises(DataError, match="unknown split 'dev'"):
        conformity.check("dev", block(start=10))


def test_images_of_a_split_share_their_shape(make_task):
    conformity = Conformity(make_task(reader="npz", file="x"))
    conformity.check("train", block())
    with pytest.raises(DataError, match=r"shapes \(4, 4, 1\) and \(5, 4, 1\)"):
        conformity.check("train", block(start=5, images=np.zeros((3, 5, 4, 1), np.uint8)))
