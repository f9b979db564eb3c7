"""Image files of every kind become uint8 (h, w, c), and what was done is counted."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from bench.data.images import fit, fit_mask, read_header, read_image
from bench.data.pixels import to_uint8
from bench.errors import DataError


def saved(tmp_path, image, name="x.png", **options):
    path = tmp_path / name
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def test_plain_files_pass_untouched(tmp_path):
    rng = np.random.default_rng(0)
    for shape in ((5, 7), (5, 7, 3)):
        pixels, done = rng.integers(0, 256, shape, dtype=np.uint8), Counter()
        path = saved(tmp_path, pixels)
        np.testing.assert_array_equal(read_image(path, None, done).reshape(shape), pixels)
        assert not done
        assert (read_header(path).width, read_header(path).height) == (7, 5)
        assert read_header(path).colour == (len(shape) == 3)


def test_sixteen_bit_grey_is_windowed_or_within_eight_bits(tmp_path):
    pixels = np.array([[100, 200], [300, 400]], np.uint16)
    path, done = saved(tmp_path, pixels), Counter()
    with pytest.raises(DataError, match=r"x\.png: pixels run from 100 to 400 here.*window = \[0, 4095\]"):
        read_image(path, None, done)
    np.testing.assert_array_equal(read_image(path, [200, 300], done)[..., 0], [[0, 0], [255, 255]])
    assert done == {"images: deeper than 8 bits, scaled by the card's window": 1}
    dark = np.array([[0, 7], [255, 1]], np.uint16)
    np.testing.assert_array_equal(read_image(saved(tmp_path, dark), None, done)[..., 0], dark)


def test_alpha_is_laid_on_black(tmp_path):
    pixels = np.full((1, 2, 4), 200, np.uint8)
    pixels[0, :, 3] = [255, 51]
    done = Counter()
    image = read_image(saved(tmp_path, pixels), None, done)
    np.testing.assert_array_equal(image[0], [[200] * 3, [40] * 3])
    assert done == {"images: transparency laid on black": 1}
    opaque, done = np.full((2, 2, 4), 255, np.uint8), Counter()
    assert read_image(saved(tmp_path, opaque), None, done).shape == (2, 2, 3)
    assert not done


def test_palette_bilevel_cmyk_frames_and_turned(tmp_path):
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8))
    done = Counter()
    assert read_image(saved(tmp_path, rgb.convert("P")), None, done).shape == (4, 6, 3)
    assert read_image(saved(tmp_path, rgb.convert("CMYK"), "x.jpg"), None, done).shape == (4, 6, 3)
    assert read_image(saved(tmp_path, rgb.convert("1")), None, done).shape == (4, 6, 1)
    frames = saved(tmp_path, rgb, "x.tif", save_all=True, append_images=[rgb])
    read_image(frames, None, done)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(tmp_path, rgb, "y.jpg", exif=exif)
    assert read_image(turned, None, done).shape == (6, 4, 3)
    assert (read_header(turned).width, read_header(turned).height) == (4, 6)
    assert len(done) == 3


def test_sixteen_bit_colour_is_noticed(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0xFFFF, 0, 0x0100)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    done = Counter()
    np.testing.assert_array_equal(read_image(png, None, done)[0, 0], [0x12, 0x56, 0x9A])
    assert done == {"images: 16-bit colour or transparency, of which the upper 8 bits are kept": 1}


def test_unreadable_and_missing_files_are_named(tmp_path):
    path = saved(tmp_path, np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"x\.png: is not a readable image"):
        read_image(path, None, Counter())
    path.write_text("not an image")
    with pytest.raises(DataError, match=r"x\.png: is not a readable image"):
        read_image(path, None, Counter())
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "none.png", None, Counter())


def test_float_images_need_a_window():
    images = np.array([0.0, 0.5, 1.0]).reshape(1, 1, 3, 1)
    with pytest.raises(DataError, match="scale is unknown"):
        to_uint8(images, None, Counter())
    np.testing.assert_array_equal(to_uint8(images, [0.0, 1.0], Counter()).ravel(), [0, 128, 255])
    with pytest.raises(DataError, match="NaN"):
        to_uint8(images * np.nan, [0.0, 1.0], Counter())
    with pytest.raises(DataError, match="5 channels"):
        to_uint8(np.zeros((1, 2, 2, 5), np.uint8), None, Counter())


def test_fit_pads_before_it_resizes():
    wide = np.full((10, 20, 1), 255, np.uint8)
    out = fit(wide, 16, 3)
    assert out.shape == (16, 16, 3)
    assert (out[:3] == 0).all()
    assert (out[6:10] == 255).all()
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:] = 2
    small = fit_mask(mask, 10)
    assert small.shape == (10, 10)
    np.testing.assert_array_equal(np.unique(small), [0, 2])
    assert (small == 2).sum() == 25
    np.testing.assert_array_equal(fit_mask(mask[:, 10:], 20), np.kron(mask[:, 10:], np.ones((2, 2), np.uint8)))


def test_a_window_of_deeper_images_does_not_darken_those_of_8_bits(tmp_path):
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"x.png: holds 8 bits, and the window \[0, 4095\] is for deeper images"):
        read_image(tmp_path / "x.png", [0.0, 4095.0], Counter())
    assert read_image(tmp_path / "x.png", [0.0, 255.0], Counter()).max() == 200


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 3)], ids=["grey", "colour"])
def test_a_transparent_colour_is_alpha(tmp_path, shape):
    pixels = np.full(shape, 200, np.uint8)
    pixels[0, 0] = 255
    done = Counter()
    path = saved(tmp_path, pixels, transparency=255 if len(shape) == 2 else (255, 255, 255))
    image = read_image(path, None, done)
    np.testing.assert_array_equal(image[..., 0], [[0, 200], [200, 200]])
    assert image.shape[-1] == (1 if len(shape) == 2 else 3)
    assert done == {"images: transparency laid on black": 1}
    deep = saved(tmp_path, np.full((2, 2), 300, np.uint16), "y.png", transparency=300)
    with pytest.raises(DataError, match=r"y\.png: has 16 bits and a transparent colour"):
        read_image(deep, [0, 4095], done)


def test_no_window_touches_alpha(tmp_path):
    grey = np.linspace(20, 90, 64).astype(np.uint8).reshape(8, 8, 1)
    opaque = np.dstack([grey, np.full_like(grey, 255)])
    plain = to_uint8(grey[None], "percentile", Counter())
    np.testing.assert_array_equal(to_uint8(opaque[None], "percentile", Counter()), plain)
    opaque[0, 0, 1] = 0
    assert to_uint8(opaque[None], "percentile", Counter())[0, 0, 0] == 0


def test_the_scale_that_is_offered_holds_the_values():
    with pytest.raises(DataError, match=r"window = \[-3, 2\]"):
        to_uint8(np.array([-3.0, 2.0]).reshape(1, 2, 1, 1), None, Counter())


@pytest.mark.parametrize("magic", ["P5", "P2"])
def test_a_window_is_in_the_values_of_a_pgm(tmp_path, magic):
    values = np.array([[0, 1000, 4095]], ">u2")
    text = values.tobytes() if magic == "P5" else b"0 1000 4095"
    (tmp_path / "x.pgm").write_bytes(f"{magic} 3 1 4095\n".encode() + text)
    np.testing.assert_array_equal(read_image(tmp_path / "x.pgm", [0, 4095], Counter())[0, :, 0], [0, 62, 255])
    with pytest.raises(DataError, match="run from 0 to 4095 here"):
        read_image(tmp_path / "x.pgm", None, Counter())


def test_deep_colours_of_a_ppm_are_told(tmp_path):
    values, done = np.full((1, 2, 3), 4095, ">u2"), Counter()
    (tmp_path / "x.ppm").write_bytes(b"P6 2 1 4095 " + values.tobytes())
    assert (read_image(tmp_path / "x.ppm", None, done) == 255).all()
    assert done == {"images: 16-bit colour or transparency, of which the upper 8 bits are kept": 1}


def test_a_picture_that_is_transparent_everywhere_does_not_become_black(tmp_path):
    pixels = np.full((2, 2, 4), 200, np.uint8)
    pixels[..., 3] = 0
    with pytest.raises(DataError, match=r"x\.png: is transparent everywhere"):
        read_image(saved(tmp_path, pixels), None, Counter())
    assert not read_image(saved(tmp_path, np.zeros((2, 2, 4), np.uint8)), None, Counter()).any()


def test_an_image_that_a_window_makes_all_but_white_is_told():
    done, half = Counter(), np.tile(np.array([0.5, 300.0], np.float32), (2, 10, 5))[..., None]
    to_uint8(half, [0, 1], done)
    assert list(done) == ["images: deeper than 8 bits, scaled by the card's window"]
    half[1] = 200
    to_uint8(half, [0, 1], done)
    assert done["images: all but white through the window: are they as deep as the others?"] == 1
