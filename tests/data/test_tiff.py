"""TIFF files that Pillow would cut to 8 bits, turn over or not open."""

from collections import Counter

import numpy as np
import pytest
import tifffile

from bench.data import tiff
from bench.data.images import read_header, read_image
from bench.errors import DataError

RNG = np.random.default_rng(0)


@pytest.fixture
def written(tmp_path):
    """A TIFF file of these values."""

    def write(values, **options):
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, values, **options)
        return path

    return write


def shown(path, window):
    """The image as the store gets it, and what was done."""
    done = Counter()
    return read_image(path, window, done), done


def test_deep_colour_keeps_its_bits(written):
    values = RNG.integers(0, 4096, (6, 5, 3)).astype(np.uint16)
    path = written(values, photometric="rgb")
    assert read_header(path).colour
    np.testing.assert_array_equal(shown(path, [0, 4095])[0], np.rint(values / 4095 * 255))
    planes = written(np.moveaxis(values, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(shown(planes, [0, 4095])[0], np.rint(values / 4095 * 255))
    with pytest.raises(DataError, match="more than 8 bits"):
        shown(path, None)


def test_signed_bytes_and_long_floats(written):
    values = RNG.integers(-100, 100, (6, 5)).astype(np.int8)
    with pytest.raises(DataError, match=f"run from {values.min()} to"):
        shown(written(values), None)
    np.testing.assert_array_equal(shown(written(values), [-128, 127])[0][..., 0], values.astype(int) + 128)
    path = written(values / 100.0)
    assert (read_header(path).width, read_header(path).height) == (5, 6)
    np.testing.assert_array_equal(shown(path, [-1, 1])[0][..., 0], np.rint((values / 100 + 1) * 127.5))


def test_low_values_that_are_white(written):
    values = RNG.integers(0, 4096, (6, 5)).astype(np.uint16)
    image, done = shown(written(values, photometric="miniswhite"), [0, 4095])
    np.testing.assert_array_equal(image[..., 0], 255 - np.rint(values / 4095 * 255))
    assert any("low values are white" in remark for remark in done)


def test_other_channels_and_transparency_are_refused(written):
    with pytest.raises(DataError, match="5 channels"):
        shown(written(RNG.integers(0, 255, (6, 5, 5)).astype(np.uint8), planarconfig="contig"), None)
    four = np.full((6, 5, 4), 40000, np.uint16)
    with pytest.raises(DataError, match="transparent"):
        shown(written(four, photometric="rgb"), [0, 65535])
    four[..., 3] = 65535
    assert shown(written(four, photometric="rgb"), [0, 65535])[0].shape == (6, 5, 3)


def test_what_pillow_reads_whole_is_left_to_it(written, tmp_path):
    for values in (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint16), np.zeros((4, 4), np.float32)):
        assert not tiff.is_deep(written(values))
    (tmp_path / "cut.tif").write_bytes(b"II*\0")
    assert not tiff.is_deep(tmp_path / "cut.tif")
    assert not tiff.is_deep(tmp_path / "none.tif")


def test_whole_numbers_of_32_bits_are_not_negative(written):
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    np.testing.assert_array_equal(shown(written(values), [0, 2**32 - 1])[0][..., 0], [[0, 128, 255]])


def test_a_channel_that_nobody_calls_alpha_is_none(written):
    two = RNG.integers(0, 255, (6, 5, 2)).astype(np.uint8)
    with pytest.raises(DataError, match="2 channels, neither grey nor colour"):
        shown(written(two, photometric="minisblack", planarconfig="contig"), None)
    four = RNG.integers(0, 255, (6, 5, 4)).astype(np.uint8)
    with pytest.raises(DataError, match="fourth channel that says something"):
        shown(written(four, photometric="rgb", extrasamples=[0]), None)
    four[..., 3] = 255
    np.testing.assert_array_equal(shown(written(four, photometric="rgb", extrasamples=[0]), None)[0], four[..., :3])
