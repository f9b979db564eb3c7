"""Masks of volumes: folders as the Medical Segmentation Decathlon has them, npz, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from bench.data.check import check_task
from bench.data.load import load_task, read_source
from bench.data.task import Task
from bench.errors import CardError, DataError
from tests.data.clinical import radiological, write_nifti

MM = (4.0, 1.0, 2.0)
SHAPE = (5, 12, 16)
"""Planes, rows, columns."""
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(-1000, 1000, (8, *SHAPE)).astype(np.int16)
MASKS = (RNG.random((8, *SHAPE)) < 0.2).astype(np.uint8)


def card(**source) -> Task:
    values = {"reader": "imagefolder", "folder": "task", "volume": True, "window": [-1000, 1000]} | source
    about = {"schema": 1, "name": "spleen", "title": "Spleen", "modality": "ct", "target": "mask", "licence": "x",
             "classes": ["background", "spleen"], "corpus": "own"}  # fmt: skip
    return Task.parse(about | {"source": {k: v for k, v in values.items() if v is not None}}, where="test")


@pytest.fixture
def folder(tmp_path):
    """imagesTr and labelsTr, with what macOS leaves beside them."""
    for i, (image, mask) in enumerate(zip(IMAGES, MASKS, strict=True)):
        write_nifti(tmp_path / "task/imagesTr" / f"spleen_{i}.nii.gz", *radiological(image, MM))
        write_nifti(tmp_path / "task/labelsTr" / f"spleen_{i}.nii.gz", *radiological(mask, MM))
    (tmp_path / "task/imagesTr" / "._spleen_0.nii.gz").write_bytes(b"\0")
    return tmp_path


def rows_of(split):
    return [int(name.split("_")[1].split(".")[0]) for name in split.ids]


def test_images_and_masks_are_read_with_their_spacing(folder):
    data = load_task(card(), folder=folder)
    assert sum(len(split) for split in data.splits.values()) == 8
    for split in data.splits.values():
        for i, image, mask, mm in zip(rows_of(split), split.images, split.labels, split.spacing, strict=True):
            np.testing.assert_array_equal(mask, MASKS[i])
            expected = np.clip(np.rint((IMAGES[i].astype(float) + 1000) * 255 / 2000), 0, 255)
            np.testing.assert_array_equal(image[..., 0], expected)
            assert tuple(mm) == MM
    assert data.test_pixels.sum() == data.tests["test"].labels.size


def test_size_and_depth_take_the_same_slices_of_both_and_change_the_spacing(folder):
    split = load_task(card(size=8, depth=2), folder=folder).train
    assert split.images.shape[1:] == (2, 8, 8, 1)
    for i, mask, mm in zip(rows_of(split), split.labels, split.spacing, strict=True):
        chosen = np.pad(MASKS[i][[1, 3]], ((0, 0), (2, 2), (0, 0)))  # the nearest voxel of a square of 16
        np.testing.assert_array_equal(mask, chosen[:, 1::2, 1::2])
        assert tuple(mm) == (4 * 5 / 2, 1 * 2, 2 * 2)


def test_a_changed_mask_is_another_task(folder):
    before = load_task(card(), folder=folder)
    write_nifti(folder / "task/labelsTr/spleen_0.nii.gz", *radiological(1 - MASKS[0], MM))
    assert load_task(card(), folder=folder).sha256 != before.sha256


def test_a_missing_mask_is_named_as_it_should_be(folder):
    (folder / "task/labelsTr/spleen_3.nii.gz").unlink()
    report = check_task(card(), folder=folder)
    assert [finding.kind for finding in report.findings] == ["missing"]
    assert report.findings[0].examples[0].endswith("labelsTr/spleen_3.nii.gz")


WRONG = {
    "other slices": (MASKS[0][:3], MM, "has 3 slices, its image 5"),
    "elsewhere": (MASKS[0], (4.0, 1.0, 3.0), "lies elsewhere in the patient"),
    "values": (MASKS[0] * 7, MM, "hold the values 0, 7"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mask_that_does_not_fit_is_named_by_check_and_run(folder, what):
    mask, mm, message = WRONG[what]
    write_nifti(folder / "task/labelsTr/spleen_0.nii.gz", *radiological(mask, mm))
    with pytest.raises(DataError, match=message):
        load_task(card(), folder=folder)
    (finding,) = check_task(card(), folder=folder).findings
    assert finding.kind == "mask"
    assert "spleen_0.nii.gz" in finding.examples[0]
    assert message in finding.examples[0]


def test_a_flat_mask_is_not_spread_over_a_volume(folder):
    (folder / "task/labelsTr/spleen_0.nii.gz").unlink()
    Image.fromarray(MASKS[0][0]).save(folder / "task/labelsTr/spleen_0.png")
    with pytest.raises(DataError, match=r"spleen_0\.png: is a mask of one picture, and its image a volume"):
        load_task(card(), folder=folder)


def test_slices_of_the_same_files_are_a_flat_task(folder):
    data = load_task(card(volume=None, slices="all"), folder=folder)
    assert data.train.labels.shape[1:] == SHAPE[1:]
    assert data.train.spacing is None


def write_npz(path, masks=MASKS):
    arrays = {}
    for name, rows in (("train", slice(0, 4)), ("val", slice(4, 6)), ("test", slice(6, 8))):
        arrays |= {
            f"{name}_images": (IMAGES[rows] // 8 + 128).clip(0, 255).astype(np.uint8),
            f"{name}_label": masks[rows],
        }
    np.savez(path, **arrays)


def npz(**more):
    return card(reader="npz", file="a.npz", folder=None, window=None, **more)


def test_npz_says_its_spacing(tmp_path):
    write_npz(tmp_path / "a.npz", 255 * MASKS)
    data = load_task(npz(spacing=[5.0, 1.0, 1.0]), folder=tmp_path)
    np.testing.assert_array_equal(data.train.labels, MASKS[:4])
    assert (data.train.spacing == [5, 1, 1]).all()


def test_volumes_of_an_unknown_spacing_are_refused(tmp_path):
    write_npz(tmp_path / "a.npz")
    with pytest.raises(
        DataError, match=r"train has volumes of an unknown spacing.*spacing = \[planes, rows, columns\]"
    ):
        load_task(npz(), folder=tmp_path)


def test_flat_masks_of_volumes_are_refused(tmp_path):
    write_npz(tmp_path / "a.npz", MASKS[:, 0])
    with pytest.raises(DataError, match=r"masks have shape .*expected \(n, depth, h, w\)"):
        load_task(npz(spacing=[5.0, 1.0, 1.0]), folder=tmp_path)


def test_one_vector_is_said_where_there_is_one_and_nowhere_else():
    with pytest.raises(CardError, match=r"'aggregation' is for one vector a volume.*leave it out"):
        read_source(card(aggregation="mean"))
    whole = card().model_copy(update={"kind": "global", "target": "binary"})
    with pytest.raises(CardError, match="go together"):
        read_source(whole)


def test_cases_as_nnunet_names_them(tmp_path, make_task):
    for i in range(8):
        for channel in range(2):
            image = np.full((4, 8, 8), 100 * channel, np.int16)
            write_nifti(tmp_path / "imagesTr" / f"c_{i}_{channel:04d}.nii.gz", *radiological(image))
        write_nifti(tmp_path / "labelsTr" / f"c_{i}.nii.gz", *radiological((image > 0) * np.uint8(1)))
    options = {"reader": "imagefolder", "folder": ".", "volume": True, "window": [0, 100]}
    with pytest.raises(DataError, match=r"holds the channels 0, 1 of each case.*say channel = 0"):
        load_task(make_task("mask", ["background", "x"], **options), folder=tmp_path)
    for channel in range(2):
        data = load_task(make_task("mask", ["background", "x"], channel=channel, **options), folder=tmp_path)
        assert sum(map(len, data.splits.values())) == 8
        assert (data.train.images == 255 * channel).all()
        assert data.train.labels.all()
    with pytest.raises(DataError, match="holds the channels 0, 1 of each case"):
        load_task(make_task("mask", ["background", "x"], channel=2, **options), folder=tmp_path)


def test_the_channel_of_volumes_in_4d(tmp_path, make_task):
    for i in range(8):
        channels = np.stack([np.full((8, 8, 4), 50 * c) for c in range(3)], -1)
        write_nifti(tmp_path / f"set/{'ab'[i % 2]}/{i}.nii.gz", channels.astype(np.int16))
    options = {"reader": "imagefolder", "folder": "set", "volume": True, "aggregation": "mean", "window": [0, 100]}
    with pytest.raises(DataError, match=r"time points, or channels \(say channel = 0"):
        load_task(make_task("binary", "ab", **options), folder=tmp_path)
    data = load_task(make_task("binary", "ab", channel=1, **options), folder=tmp_path)
    assert set(np.unique(data.train.images)) <= {127, 128}
    with pytest.raises(DataError, match="has no channel 3: it has 3, counted from 0"):
        load_task(make_task("binary", "ab", channel=3, **options), folder=tmp_path)
