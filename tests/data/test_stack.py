"""A volume shows the same slices, whatever file it came in and however its voxels were stored."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from bench.data.images import read_header, read_image, read_stack
from bench.data.reading import ImageReader
from bench.errors import DataError
from tests.data.clinical import radiological, write_dicom, write_nifti, write_series

SLICES = np.random.default_rng(0).integers(0, 256, (4, 5, 6)).astype(np.int16)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The same slices as a series and as NIfTI."""
    folder = tmp_path_factory.mktemp("stored")
    write_series(folder / "series", SLICES, spacing=(2, 1.5, 1.5))
    write_nifti(folder / "scan.nii.gz", *radiological(SLICES, (2, 1.5, 1.5)))
    return folder


@pytest.mark.parametrize("name", ["series", "scan.nii.gz"])
def test_series_and_nifti_give_the_same_slices(stored, name):
    stack, header = read_stack(stored / name), read_header(stored / name)
    np.testing.assert_array_equal(stack.frames[..., 0], SLICES)
    assert (header.frames, header.height, header.width) == (4, 5, 6)
    assert stack.spacing == (2, 1.5, 1.5)


def test_planes_are_cut_as_a_radiologist_sees_them(stored):
    coronal = read_stack(stored / "series", "coronal").frames[..., 0]
    np.testing.assert_array_equal(coronal, SLICES.transpose(1, 0, 2)[:, ::-1])
    sagittal = read_stack(stored / "scan.nii.gz", "sagittal")
    np.testing.assert_array_equal(sagittal.frames[..., 0], SLICES.transpose(2, 0, 1)[:, ::-1])
    assert sagittal.spacing == (1.5, 2, 1.5)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_however_the_voxels_are_stored(tmp_path, order):
    voxels, affine = radiological(SLICES)
    for signs in product((1, -1), repeat=3):
        turned, moved = voxels[tuple(slice(None, None, s) for s in signs)], affine.copy()
        moved[:3, 3] = [(n - 1) if s < 0 else 0 for n, s in zip(voxels.shape, signs, strict=True)]
        moved[:3, :3] = moved[:3, :3] @ np.diag(signs)
        moved[:3, :3] = moved[:3, :3][:, order]
        stack = read_stack(write_nifti(tmp_path / "a.nii", np.ascontiguousarray(turned.transpose(order)), moved))
        np.testing.assert_array_equal(stack.frames[..., 0], SLICES)
        expected = read_stack(write_nifti(tmp_path / "b.nii", voxels, affine)).affine
        np.testing.assert_allclose(stack.affine, expected, atol=1e-6)


def test_slices_acquired_across_are_refused_until_the_plane_is_said(tmp_path):
    voxels, affine = np.zeros((4, 9, 9), np.uint8), np.diag([5.0, 1, 1, 1])
    path = write_nifti(tmp_path / "a.nii", voxels, affine)
    with pytest.raises(DataError, match=r'a\.nii: has voxels of 5 x 1 x 1 mm.*say plane = "sagittal"'):
        read_stack(path)
    assert read_stack(path, "sagittal").frames.shape == (4, 9, 9, 1)
    assert read_stack(path, "axial").frames.shape == (9, 9, 4, 1)


def test_pixels_that_are_not_square_are_told(tmp_path):
    done = Counter()
    path = write_nifti(tmp_path / "a.nii", np.zeros((4, 4, 1), np.uint8), np.diag([1.0, 2, 3, 1]))
    read_image(path, None, done)
    assert list(done) == ["images: pixels longer than wide, or wider than long, shown as if they were square"]


def test_four_dimensions_colour_and_no_orientation_are_refused_with_the_cure(tmp_path):
    import nibabel

    with pytest.raises(DataError, match=r"a\.nii: has 4 dimensions \(3, 3, 3, 7\).*channel = 0"):
        read_stack(write_nifti(tmp_path / "a.nii", np.zeros((3, 3, 3, 7), np.uint8)))
    assert read_stack(write_nifti(tmp_path / "b.nii", np.zeros((3, 3, 3, 1), np.uint8))).frames.shape == (3, 3, 3, 1)
    colour = np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colour, np.eye(4)), tmp_path / "c.nii")
    with pytest.raises(DataError, match=r"c\.nii: holds .*one number a voxel"):
        read_header(tmp_path / "c.nii")
    nowhere = nibabel.Nifti1Image(np.zeros((3, 3, 3), np.uint8), None)
    nibabel.save(nowhere, tmp_path / "d.nii")
    with pytest.raises(DataError, match=r"d\.nii: does not say how it lies.*set_sform"):
        read_stack(tmp_path / "d.nii")


def test_two_orientations_and_other_units_are_refused(tmp_path):
    import nibabel

    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.eye(4))
    image.set_sform(np.diag([2.0, 2, 2, 1]), code=4)
    image.set_qform(np.eye(4), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    read_stack(tmp_path / "a.nii")
    image.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    nibabel.save(image, tmp_path / "b.nii")
    with pytest.raises(DataError, match=r"b\.nii: lies in the patient as RAS by its sform and as LAS by its qform"):
        read_header(tmp_path / "b.nii")
    image.set_qform(None, code=0)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "c.nii")
    with pytest.raises(DataError, match=r"c\.nii: is in meters, expected millimetres"):
        read_header(tmp_path / "c.nii")


def test_slices_of_a_series_are_all_shown_one_way(tmp_path):
    folder = write_series(tmp_path / "s", np.zeros((3, 4, 4), np.uint8), names=["a.dcm", "b.dcm", "c.dcm"])
    again = write_series(
        tmp_path / "t", np.zeros((3, 4, 4), np.uint8), names=["a.dcm", "b.dcm", "c.dcm"], colours="MONOCHROME1"
    )
    read_stack(again)
    (again / "c.dcm").rename(folder / "c.dcm")
    with pytest.raises(DataError, match=r"c\.dcm: shows low values white, unlike .*a\.dcm"):
        read_stack(folder)


def test_scaled_whole_numbers_stay_whole(tmp_path):
    import nibabel

    image = nibabel.Nifti1Image(np.array([[[0, 1024]]], np.int16), np.eye(4))
    image.header.set_slope_inter(1, -1024)
    nibabel.save(image, tmp_path / "a.nii")
    frames = read_stack(tmp_path / "a.nii").frames
    assert frames.dtype == np.int32
    assert sorted(frames.ravel().tolist()) == [-1024, 0]


def test_percentiles_are_those_of_the_whole_volume(stored):
    pictures = ImageReader(2, "percentile", "index")
    done = Counter()
    first = pictures.image(stored / "series", None, done, 0)[..., 0]
    low, high = np.percentile(SLICES, (0.5, 99.5))
    expected = np.clip(np.rint((SLICES[0] - low) * (255 / (high - low))), 0, 255)
    np.testing.assert_array_equal(first, expected)


def test_a_damaged_volume_is_named(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 9, (30, 30, 30)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"a\.nii\.gz: cannot be read"):
        read_stack(path)


def test_a_damaged_slice_of_a_series_is_named(tmp_path):
    folder = write_series(tmp_path / "s", SLICES.repeat(20, axis=1).repeat(20, axis=2))
    broken = sorted(folder.iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:-900])
    with pytest.raises(DataError, match=rf"{broken.name}: cannot be read"):
        read_stack(folder)


def test_a_series_of_which_some_slices_are_rescaled_is_refused(tmp_path):
    folder = write_series(tmp_path / "s", SLICES, modality="", RescaleSlope=2, RescaleIntercept=-100)
    plain = sorted(folder.iterdir())[0]
    image = pytest.importorskip("pydicom").dcmread(plain)
    del image.RescaleSlope, image.RescaleIntercept
    image.save_as(plain)
    with pytest.raises(DataError, match=rf"{plain.name}: has no rescale tags, unlike .*: one window cannot mean both"):
        read_stack(folder)


def test_what_is_no_whole_series_is_refused(tmp_path):
    folder = write_series(tmp_path / "s", SLICES)
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    missing = folder / "010.dcm"
    missing.unlink()
    with pytest.raises(DataError, match=r"lies 2 mm from .* is one missing\?"):
        read_stack(folder)
    missing.write_bytes(kept[missing])
    (folder / "copy.dcm").write_bytes(kept[missing])
    with pytest.raises(DataError, match=r"lies where .* lies .*one time point"):
        read_stack(folder)
    (folder / "copy.dcm").unlink()
    write_dicom(folder / "scout.dcm", SLICES[0], SeriesInstanceUID="9.9")
    with pytest.raises(DataError, match=r"s: holds 2 series in 5 files"):
        read_stack(folder)


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path):
    image = write_nifti(tmp_path / "a.nii", *radiological(SLICES.astype(np.uint8)))
    labels, affine = radiological((SLICES > 128).astype(np.uint8))
    mask, pictures = write_nifti(tmp_path / "m.nii", labels, affine), ImageReader(2, None, "index")
    np.testing.assert_array_equal(pictures.pair(image, [mask], None, Counter(), 2)[1], SLICES[2] > 128)
    moved = affine.copy()
    moved[2, 3] = 1
    with pytest.raises(DataError, match=r"e\.nii: lies elsewhere in the patient"):
        pictures.pair(image, [write_nifti(tmp_path / "e.nii", labels, moved)], None, Counter(), 2)


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    import sys

    path = write_dicom(tmp_path / "a.dcm", SLICES[0].astype(np.uint8))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"a\.dcm: .*package pydicom, which is not here.*medssl-bench\[clinical\]"):
        read_image(path, None, Counter())


def test_slices_of_two_patients_are_no_series(tmp_path):
    write_series(tmp_path, SLICES[:2], PatientID="A")
    write_dicom(
        tmp_path / "z.dcm", SLICES[2], PatientID="B", PixelSpacing=[1, 1], ImagePositionPatient=[-10, -20, 32],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    )  # fmt: skip
    with pytest.raises(DataError, match="holds 2 patients in 3 files"):
        read_stack(tmp_path)
