"""Phantom volumes: the same bits everywhere, a nodule that only three dimensions show, no shortcut."""

import numpy as np
import pytest

from bench.data.load import read_source
from bench.data.task import shipped_tasks
from bench.errors import CardError, DataError
from bench.files import sha256_arrays
from bench.phantoms.volumes import CLASSES, SHAPE, SPACING, volume

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
