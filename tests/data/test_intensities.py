"""Hounsfield units kept beside 8 bits: what is stored, what is refused, and that the 8 bits stay as they were."""

import numpy as np
import pytest
from PIL import Image

from bench.data.check import check_task
from bench.data.dataset import arrays_of
from bench.data.images import fit_intensities
from bench.data.load import load_task
from bench.data.task import Task
from bench.errors import CardError, DataError
from bench.files import read_npz
from bench.identity import measured
from bench.submissions.labels import read_labels, write_labels
from tests.data.clinical import radiological, write_dicom, write_nifti

RNG = np.random.default_rng(0)
HU = RNG.integers(-1000, 2000, (12, 3, 10, 8)).astype(np.int16)


def card(modality="ct", **source) -> Task:
    values = {"reader": "imagefolder", "folder": "ct", "window": "soft-tissue", "intensities": "hu"} | source
    about = {"schema": 1, "name": "ct", "title": "CT", "modality": modality, "target": "binary", "licence": "x",
             "classes": ["a", "b"], "corpus": "own"}  # fmt: skip
    return Task.parse(about | {"source": {k: v for k, v in values.items() if v is not None}}, where="test")


WHOLE = {"volume": True, "aggregation": "mean"}


@pytest.fixture
def folder(tmp_path):
    for i, image in enumerate(HU):
        write_nifti(tmp_path / "ct" / "ab"[i % 2] / f"{i}.nii.gz", *radiological(image))
    return tmp_path


def numbers(split):
    return [int(name.split("/")[1].split(".")[0]) for name in split.ids]


def test_values_are_kept_as_they_are_and_the_8_bits_stay(folder):
    kept, plain = (load_task(card(**WHOLE, intensities=i), folder=folder) for i in ("hu", None))
    assert plain.train.intensities is None
    for name, split in kept.splits.items():
        np.testing.assert_array_equal(split.images, plain.splits[name].images)
        assert split.intensities.dtype == np.float32
        for i, values in zip(numbers(split), split.intensities, strict=True):
            np.testing.assert_array_equal(values[..., 0], HU[i])
    assert kept.sha256 != plain.sha256
    assert measured(kept).images != measured(plain).images


def test_slices_and_depth_take_the_same_of_both(folder):
    middle = load_task(card(slices="middle"), folder=folder).train
    np.testing.assert_array_equal(middle.intensities[0, ..., 0], HU[int(middle.ids[0].split("/")[1].split(".")[0]), 1])
    some = load_task(card(**WHOLE, depth=1), folder=folder).train
    np.testing.assert_array_equal(some.intensities[0, 0, ..., 0], HU[numbers(some)[0], 1])


def test_a_size_pads_with_air_and_cuts_nothing(folder):
    split = load_task(card(slices="middle", size=20), folder=folder).train
    assert split.intensities.shape[1:] == (20, 20, 1)
    assert split.intensities.max() > 255
    fitted = fit_intensities(np.full((10, 4, 1), 400, np.float32), 20)[..., 0]
    np.testing.assert_allclose(fitted[:, [0, 9, 19]], np.tile([-1000, 400, -1000], (20, 1)), atol=0.1)


def test_dicom_in_other_units_and_pictures_are_refused_by_name(tmp_path):
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    for i in range(12):
        place, stored = tmp_path / "ct" / "ab"[i % 2] / f"{i}.dcm", (HU[i, 0] + 1024).astype(np.uint16)
        write_dicom(place, stored, modality="CT", **(tags if i else {}))
    with pytest.raises(DataError, match=r"0\.dcm: is not in Hounsfield .* unlike .*\.dcm: one window cannot mean both"):
        load_task(card(window=[-160, 240]), folder=tmp_path)
    task = card(window="percentile")
    with pytest.raises(DataError, match=r"0\.dcm: is not in Hounsfield units.*leave intensities"):
        load_task(task, folder=tmp_path)
    (finding,) = check_task(task, folder=tmp_path).findings
    assert "0.dcm" in finding.examples[0]
    (tmp_path / "ct/a/0.dcm").unlink()
    Image.fromarray(np.zeros((10, 8), np.uint8)).save(tmp_path / "ct/a/0.png")
    with pytest.raises(DataError, match=r"0\.png: holds no Hounsfield units"):
        load_task(task, folder=tmp_path)


def test_what_is_no_ct_or_below_zero_nowhere_is_refused(folder, tmp_path):
    with pytest.raises(CardError, match="intensities are in Hounsfield units, the modality is 'mri'"):
        load_task(card("mri", window=[0, 100], **WHOLE), folder=folder)
    arrays = {f"{s}_images": abs(HU[:4, 0]) for s in ("train", "val", "test")}
    arrays |= {f"{s}_labels": np.arange(4) % 2 for s in ("train", "val", "test")}
    np.savez(tmp_path / "a.npz", **arrays)
    npz = {"reader": "npz", "file": "a.npz", "folder": None}
    with pytest.raises(DataError, match="no intensity is below 0: these are no Hounsfield units"):
        load_task(card(**npz), folder=tmp_path)
    np.savez(tmp_path / "a.npz", **arrays | {"train_images": HU[:4, 0]})
    np.testing.assert_array_equal(load_task(card(**npz), folder=tmp_path).train.intensities[..., 0], HU[:4, 0])
    with pytest.raises(CardError, match="not of bags"):
        load_task(card(**npz, bags=True, groups="{split}_g", aggregation="mean"), folder=tmp_path)


def test_labels_alone_do_not_carry_them(folder):
    data = load_task(card(**WHOLE), folder=folder)
    path = write_labels(data, folder)
    assert not any("intensities" in name for name in read_npz(path))
    kept = read_labels(data.task, path)
    assert not any("intensities" in name for name in arrays_of(kept.splits))
    assert kept.sha256 == data.sha256
