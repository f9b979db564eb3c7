"""Phantom volumes: the same bits everywhere, a nodule that only three dimensions show, no shortcut."""

import numpy as np
import pytest
from scipy import ndimage

from bench.data.load import read_source
from bench.data.task import shipped_tasks
from bench.errors import CardError, DataError
from bench.files import sha256_arrays
from bench.phantoms.volumes import CLASSES, MOST, SHAPE, SPACING, nodules, volume

TASK = shipped_tasks()["phantom-ct-nodule"]


@pytest.fixture(scope="module")
def drawn():
    return [volume(1, "train", i) for i in range(24)]


def test_the_bits_are_those_the_card_was_made_with(drawn):
    assert sha256_arrays({"image": drawn[0].image, "mask": drawn[0].mask})[:16] == "f9a29f60908ef667"
    again = volume(1, "train", 5)
    assert (again.image == drawn[5].image).all()


def test_a_volume_depends_on_every_key():
    first = volume(1, "train", 0).image
    assert all((volume(*keys).image != first).any() for keys in ((2, "train", 0), (1, "val", 0), (1, "train", 2)))


def test_classes_are_in_balance_and_the_mask_is_the_nodule(drawn):
    assert [v.label for v in drawn].count(1) == 12
    for v in drawn:
        assert v.image.shape == (*SHAPE, 1)
        assert v.mask.any() == bool(v.label) == (not np.isnan(v.contrast))
        assert v.image.dtype == v.mask.dtype == np.uint8
    mm3 = [v.mask.sum() * np.prod(SPACING) for v in drawn if v.label]
    assert 500 < min(mm3) < max(mm3) < 12000


def test_a_nodule_is_round_in_millimetres(drawn):
    for v in (v for v in drawn if v.label):
        shadows = [np.flatnonzero(v.mask.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        sides = [(np.ptp(shadow) + 1) * mm for shadow, mm in zip(shadows, SPACING, strict=True)]
        assert max(sides) <= 1.6 * min(sides) + 4


def test_brightness_does_not_tell_the_classes_apart(drawn):
    means = [np.mean([v.image.mean() for v in drawn if v.label == label]) for label in range(len(CLASSES))]
    spread = np.std([v.image.mean() for v in drawn])
    assert abs(means[0] - means[1]) < spread


def small(**changes):
    source = {k: v for k, v in TASK.source.items() if k != "sha256"} | {"train": 4, "val": 2, "test": 2, "shift": 2}
    return TASK.model_copy(update={"source": source | changes})


def test_the_source_gives_volumes_with_their_spacing(tmp_path):
    splits = read_source(small()).load(small(), tmp_path)
    assert {n: s.images.shape for n, s in splits.items()} == {
        "train": (4, *SHAPE, 1), "val": (2, *SHAPE, 1), "test": (2, *SHAPE, 1), "test-shift": (2, *SHAPE, 1)
    }  # fmt: skip
    assert (splits["train"].spacing == np.array([SPACING] * 4)).all()
    assert (splits["train"].images[1] == volume(1, "train", 1).image).all()


def test_another_checksum_and_other_classes_are_refused(tmp_path):
    with pytest.raises(DataError, match="checksum"):
        read_source(small(sha256="0" * 64)).load(small(), tmp_path)
    other = small().model_copy(update={"classes": ["a", "b"]})
    with pytest.raises(CardError, match="not those of the phantom"):
        read_source(other).load(other, tmp_path)
    with pytest.raises(CardError, match="volume"):
        read_source(small(volume=False))


@pytest.fixture(scope="module")
def several():
    return [nodules(1, "train", i) for i in range(24)]


def test_the_bits_of_volumes_with_several_nodules(several):
    assert sha256_arrays({"image": several[0].image, "mask": several[0].mask})[:16] == "3a985d63ad7418be"
    assert (nodules(1, "train", 5).image == several[5].image).all()
    assert (several[1].image != volume(1, "train", 1).image).any()


def test_there_are_none_to_three_nodules_in_equal_parts(several):
    counts = [ndimage.label(v.mask, np.ones((3, 3, 3)))[1] for v in several]
    assert counts.count(0) == len(several) / (MOST + 1)
    assert max(counts) == MOST  # two that touch are one
    assert sum(counts) > 0.8 * 1.5 * len(several)
    for v in several:
        assert v.mask.any() == bool(v.label) == (not np.isnan(v.contrast))


def test_brightness_does_not_tell_how_many(several):
    with_, without = ([v.image.mean() for v in several if v.label == label] for label in (1, 0))
    assert abs(np.mean(with_) - np.mean(without)) < np.std([v.image.mean() for v in several])


def test_masks_are_the_labels_of_a_dense_task(tmp_path):
    dense = shipped_tasks()["phantom-ct-nodule-dense"]
    source = {k: v for k, v in dense.source.items() if k != "sha256"} | {"train": 2, "val": 1, "test": 1, "shift": 1}
    split = read_source(dense).model_validate(source).load(dense, tmp_path)["train"]
    assert split.labels.shape == (2, *SHAPE)
    assert (split.labels[1] == nodules(1, "train", 1).mask).all()
