"""DICOM files of every kind become the pixels they show, or are refused with a cure."""

from collections import Counter

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from bench.data.dicom import patient
from bench.data.images import read_header, read_image, read_stack
from bench.data.load import load_task
from bench.data.reading import ImageReader
from bench.errors import DataError
from tests.data.clinical import dicom, write_dicom

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
CT = {"modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}


def read(path, window=None):
    return read_image(path, window, Counter())


def test_eight_bits_pass_untouched_also_without_an_ending(tmp_path):
    for name in ("a.dcm", "1.2.840.113"):
        path = write_dicom(tmp_path / name, GREY)
        np.testing.assert_array_equal(read(path)[..., 0], GREY)
        header = read_header(path)
        assert (header.height, header.width, header.colour, header.frames) == (6, 9, False, 1)


def test_monochrome1_is_turned_over(tmp_path):
    path, done = write_dicom(tmp_path / "a.dcm", GREY, colours="MONOCHROME1"), Counter()
    np.testing.assert_array_equal(read_image(path, None, done)[..., 0], 255 - GREY)
    assert list(done) == ["images: low values are white (MONOCHROME1), shown the other way about"]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_values_are_those_that_were_compressed(tmp_path, syntax):
    deep = RNG.integers(0, 4096, (32, 40), dtype=np.uint16)
    path = write_dicom(tmp_path / "a.dcm", deep, syntax=syntax, bits=12)
    np.testing.assert_array_equal(read_stack(path).frames[0, ..., 0], deep)


def test_colours_become_rgb(tmp_path):
    colour = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(write_dicom(tmp_path / "rgb.dcm", colour)), colour)
    grey = np.repeat(GREY[:, :8, None], 3, axis=-1)
    ybr = np.concatenate([grey[..., :1], np.full_like(grey[..., :2], 128)], axis=-1)
    np.testing.assert_array_equal(read(write_dicom(tmp_path / "ybr.dcm", ybr, colours="YBR_FULL")), grey)
    lut = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    shades = {"Red": np.arange(256), "Green": 255 - np.arange(256), "Blue": np.zeros(256)}
    lut |= {f"{c}PaletteColorLookupTableData": (v * 257).astype("<u2").tobytes() for c, v in shades.items()}
    palette = write_dicom(tmp_path / "p.dcm", GREY, colours="PALETTE COLOR", **lut)
    np.testing.assert_array_equal(read(palette), np.stack([GREY, 255 - GREY, 0 * GREY], axis=-1))
    assert read_header(palette).colour


def test_hounsfield_units_want_a_window_and_know_presets(tmp_path):
    stored = np.array([[0, 1024], [1064, 2524]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", stored, bits=12, **CT)
    with pytest.raises(DataError, match=r'a\.dcm: pixels run from -1024 to 1500 .*"lung".*Hounsfield') as error:
        read(path)
    assert "tags" not in str(error.value)
    np.testing.assert_array_equal(read(path, "brain")[..., 0], [[0, 0], [128, 255]])
    np.testing.assert_array_equal(read(path, [-1024.0, 1500.0])[..., 0], [[0, 103], [107, 255]])
    three = read(path, ["lung", "soft-tissue", "bone"])
    assert three.shape == (2, 2, 3)
    np.testing.assert_array_equal(three[0, 1], [230, 102, 71])


def test_signed_values_and_bits_above_those_stored(tmp_path):
    signed = np.array([[-1000, 40], [0, 80]], np.int16)
    path = write_dicom(tmp_path / "a.dcm", signed, modality="CT", RescaleSlope=1, RescaleIntercept=0)
    np.testing.assert_array_equal(read(path, "brain")[..., 0], [[0, 128], [0, 255]])
    overlaid = np.array([[5, 9]], np.uint16) | 0x8000
    np.testing.assert_array_equal(read(write_dicom(tmp_path / "o.dcm", overlaid, bits=12))[..., 0], [[5, 9]])
    negative = (np.array([[-3, 7]], np.int16) & 0x0FFF).astype(np.int16)
    path = write_dicom(tmp_path / "n.dcm", negative, bits=12)
    np.testing.assert_array_equal(read_stack(path).frames[0, ..., 0], [[-3, 7]])


def test_the_window_of_the_file_is_used_when_the_card_says_so(tmp_path):
    stored = np.array([[0, 100], [200, 4095]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", stored, bits=12, WindowCenter=100.5, WindowWidth=201)
    with pytest.raises(DataError, match=r'window = "tags": the file asks to be shown from 0 to 200'):
        read(path)
    np.testing.assert_array_equal(read(path, "tags")[..., 0], [[0, 127], [255, 255]])
    exact = {"WindowCenter": 100, "WindowWidth": 200, "VOILUTFunction": "LINEAR_EXACT"}
    np.testing.assert_array_equal(read(write_dicom(tmp_path / "e.dcm", stored, **exact), "tags")[..., 0][0], [0, 127])
    sigmoid = write_dicom(tmp_path / "s.dcm", stored, **exact | {"VOILUTFunction": "SIGMOID"})
    np.testing.assert_array_equal(read(sigmoid, "tags")[..., 0][0], [30, 128])
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [3, 0, 8], np.array([10, 20, 30], "<u2").tobytes()
    voi = write_dicom(tmp_path / "v.dcm", np.array([[0, 1, 2, 9]], np.uint16), VOILUTSequence=Sequence([table]))
    np.testing.assert_array_equal(read(voi, "tags")[..., 0], [[10, 20, 30, 30]])


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"WindowCenter": [40, -600], "WindowWidth": [400, 1500]}, r"names several windows \(-600 wide 1500, 40 wide"),
        ({}, "names no window of its own"),
        ({"WindowCenter": 40, "WindowWidth": 1}, "names a window of width 1"),
    ],
)
def test_a_window_that_the_file_does_not_say_is_refused(tmp_path, tags, message):
    path = write_dicom(tmp_path / "a.dcm", GREY.astype(np.uint16) * 9, **tags)
    with pytest.raises(DataError, match=rf"a\.dcm: {message}.*window = \[low, high\]"):
        read(path, "tags")


def test_eight_bits_with_a_window_can_be_meant_two_ways(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", GREY, WindowCenter=40, WindowWidth=20)
    with pytest.raises(DataError, match=r'holds 8 bits, and asks to be shown from 30 to 49.*"tags"'):
        read(path)
    np.testing.assert_array_equal(read(path, [0.0, 255.0])[..., 0], GREY)
    plain = write_dicom(tmp_path / "b.dcm", GREY, WindowCenter=127.5, WindowWidth=255)
    np.testing.assert_array_equal(read(plain)[..., 0], GREY)


def test_hounsfield_presets_are_refused_for_other_units(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", GREY, modality="MR")
    with pytest.raises(DataError, match=r"a\.dcm: holds no Hounsfield units.*'lung'"):
        read(path, "lung")
    with pytest.raises(DataError, match="holds no Hounsfield units"):
        read(write_dicom(tmp_path / "b.dcm", GREY.astype(np.uint16), modality="CT"), "lung")


def test_frames_have_to_be_chosen_and_lie_in_order(tmp_path):
    frames = RNG.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    path = write_dicom(tmp_path / "a.dcm", frames)
    assert read_header(path).frames == 3
    with pytest.raises(DataError, match=r'holds 3 slices or frames: which\?.*slices = "middle"'):
        read(path)
    np.testing.assert_array_equal(read_stack(path).frames[..., 0], frames)
    groups = []
    for z in (2.0, 0.0, 1.0):
        group, plane, place = Dataset(), Dataset(), Dataset()
        plane.ImageOrientationPatient, place.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, z]
        group.PlaneOrientationSequence, group.PlanePositionSequence = Sequence([plane]), Sequence([place])
        scale = Dataset()
        scale.RescaleSlope, scale.RescaleIntercept = 1, int(z) * 100
        group.PixelValueTransformationSequence = Sequence([scale])
        groups.append(group)
    path = write_dicom(tmp_path / "e.dcm", frames, PerFrameFunctionalGroupsSequence=Sequence(groups))
    expected = [frames[1], frames[2].astype(int) + 100, frames[0].astype(int) + 200]
    np.testing.assert_array_equal(read_stack(path).frames[..., 0], expected)


def test_a_damaged_file_is_named(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RNG.integers(0, 255, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DataError, match=r"a\.dcm: cannot be read"):
        read(path)
    (tmp_path / "b.dcm").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b\.dcm: cannot be read"):
        read(tmp_path / "b.dcm")
    empty = write_dicom(tmp_path / "c.dcm", GREY)
    import pydicom

    report = pydicom.dcmread(empty)
    del report.Rows, report.PixelData
    report.save_as(empty)
    with pytest.raises(DataError, match=r"c\.dcm: is a DICOM file without a picture"):
        read(empty)


def test_segmentations_odd_words_and_compressions_without_a_decoder_are_refused(tmp_path):
    with pytest.raises(DataError, match="is a DICOM segmentation"):
        read(write_dicom(tmp_path / "a.dcm", GREY, modality="SEG"))
    with pytest.raises(DataError, match="HighBit"):
        read(write_dicom(tmp_path / "b.dcm", GREY.astype(np.uint16), bits=8, HighBit=11))
    file = dicom(GREY, syntax=RLELossless)
    file.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    file.save_as(tmp_path / "c.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"c\.dcm: is compressed \(JPEG Lossless.*python-gdcm"):
        read(tmp_path / "c.dcm")


def test_the_patient_is_a_hash_that_differs_between_corpora(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", GREY, PatientID="4711")
    found = patient(path, "ours")
    assert found == patient(write_dicom(tmp_path / "b.dcm", 1 + GREY, PatientID=" 4711 "), "ours")
    assert found != patient(path, "theirs")
    assert "4711" not in found
    assert patient(write_dicom(tmp_path / "c.dcm", GREY, PatientID=""), "ours") is None


def test_what_says_nothing_of_its_values_is_refused(tmp_path):
    with pytest.raises(DataError, match="rescale slope of 0"):
        read(write_dicom(tmp_path / "a.dcm", GREY.astype(np.uint16), modality="CT", RescaleSlope=0), [0, 80])
    file = dicom(GREY)
    del file.PixelData
    file.save_as(tmp_path / "b.dcm")
    with pytest.raises(DataError, match=r"b\.dcm: is a DICOM file without a picture \(no PixelData\)"):
        read(tmp_path / "b.dcm")
    write_dicom(tmp_path / "c.png", GREY)
    with pytest.raises(DataError, match=r"c\.png: is a DICOM file, .*give it the ending \.dcm"):
        read(tmp_path / "c.png")


def test_one_window_is_not_for_files_in_two_units(tmp_path):
    pictures = ImageReader(2, [-160.0, 240.0], "index")
    for name, tags in (("a", CT), ("b", CT), ("c", {"modality": "CT"})):
        write_dicom(tmp_path / f"{name}.dcm", GREY.astype(np.uint16), **tags)
    for name in ("a.dcm", "b.dcm"):
        pictures.image(tmp_path / name, 1, Counter())
    with pytest.raises(DataError, match=r"c\.dcm: is not in Hounsfield units .* unlike .*a\.dcm"):
        pictures.image(tmp_path / "c.dcm", 1, Counter())


def test_one_window_is_not_for_files_with_and_without_rescale_tags(tmp_path):
    """Also where no modality is named; tags that change nothing go with either."""
    pictures = ImageReader(2, [-160.0, 240.0], "index")
    other = {"RescaleSlope": 2, "RescaleIntercept": -100}
    for name, tags in (("a", other), ("b", {"RescaleSlope": 1, "RescaleIntercept": 0}), ("c", {})):
        write_dicom(tmp_path / f"{name}.dcm", GREY.astype(np.uint16), **tags)
    for name in ("a.dcm", "b.dcm"):
        pictures.image(tmp_path / name, 1, Counter())
    with pytest.raises(DataError, match=r"c\.dcm: has no rescale tags, unlike .*a\.dcm"):
        pictures.image(tmp_path / "c.dcm", 1, Counter())


def test_scouts_are_told(tmp_path, make_task):
    for i in range(24):
        kind = ["ORIGINAL", "PRIMARY", "LOCALIZER" if i < 2 else "AXIAL"]
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
        write_dicom(tmp_path / "ab"[i % 2] / f"{i}.dcm", pixels, ImageType=kind)
    data = load_task(make_task("binary", "ab", reader="imagefolder", folder="."), folder=tmp_path)
    assert any(f.message.startswith("2 images: scouts") for f in data.findings)
