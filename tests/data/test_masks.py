"""One reading of masks: palettes, 0/255, alpha, depth and loss; what could mean two things is refused."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.data.masks import MasksSeen, read_mask, to_mask, united
from bench.errors import DataError

SQUARE = np.zeros((16, 16), np.uint8)
SQUARE[4:9, 4:9] = 1


def encoded(image, format="PNG", **options):
    """Bytes of an image file."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer := io.BytesIO(), format, **options)
    return buffer.getvalue()


def palette(indices, *colours):
    """A palette image with these indices and colours."""
    image = Image.frombytes("P", indices.shape[::-1], np.ascontiguousarray(indices, np.uint8).tobytes())
    image.putpalette([part for colour in colours for part in colour])
    return image


def classes_of(image, classes=2, rule="index", **options):
    """Class indices of a mask file."""
    values = read_mask(encoded(image, **options), rule, classes).values
    return to_mask(values[None], classes, rule, where="x")[0]


WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0)


@pytest.mark.parametrize(
    "image",
    [
        SQUARE,
        SQUARE * 255,
        SQUARE.astype(np.uint16),
        SQUARE.astype(np.uint16) * 65535,
        SQUARE.astype(bool),
        np.stack([SQUARE * 255] * 3, -1),
        np.stack([SQUARE] * 3 + [np.full_like(SQUARE, 255)], -1),
        np.stack([SQUARE * 255] * 4, -1),
        np.stack([SQUARE * 255, np.full_like(SQUARE, 255)], -1),
        palette(SQUARE, BLACK, WHITE),
        palette(1 - SQUARE, WHITE, BLACK),
        palette(SQUARE, BLACK, RED),
        palette(SQUARE, BLACK, (128, 128, 128)),
        Image.fromarray(SQUARE * 255).convert("RGB").quantize(2),
    ],
)
def test_one_square_in_every_kind_of_file(image):
    np.testing.assert_array_equal(classes_of(image), SQUARE)


@pytest.mark.parametrize("rule", ["nonzero", "threshold"])
@pytest.mark.parametrize("image", [SQUARE * 255, palette(1 - SQUARE, WHITE, BLACK), np.stack([SQUARE * 200] * 3, -1)])
def test_foreground_against_the_rest_is_what_is_seen(rule, image):
    np.testing.assert_array_equal(classes_of(image, rule=rule), SQUARE)


def test_all_foreground_and_none():
    assert classes_of(SQUARE * 0 + 255).all()
    assert classes_of(palette(SQUARE * 0, WHITE)).all()
    assert not classes_of(palette(SQUARE * 0, BLACK)).any()


def test_shades_of_a_palette_are_indices_when_the_darker_comes_first():
    three = SQUARE + np.roll(SQUARE, 7, 0) * 2
    np.testing.assert_array_equal(classes_of(palette(three, BLACK, (128,) * 3, WHITE), 3), three)
    np.testing.assert_array_equal(classes_of(palette(three, BLACK, RED, GREEN), 3), three)
    with pytest.raises(DataError, match="hold the values 0, 128, 255"):
        classes_of(palette(2 - three, WHITE, (128,) * 3, BLACK), 3)
    optimised = palette(2 - three, (2,) * 3, (1,) * 3, BLACK)  # class indices as greys, stored in another order
    np.testing.assert_array_equal(classes_of(optimised, 3), three)


def test_a_coloured_palette_whose_background_is_not_index_0_is_refused():
    with pytest.raises(DataError, match="black has index 1"):
        classes_of(palette(1 - SQUARE, RED, BLACK))
    np.testing.assert_array_equal(classes_of(palette(1 - SQUARE, RED, BLACK), rule="nonzero"), SQUARE)


def test_palettes_that_change_their_colours_are_refused():
    seen = MasksSeen()
    for name, colours in (("a", (BLACK, RED, GREEN)), ("b", (BLACK, RED, GREEN)), ("c", (BLACK, GREEN, RED))):
        mask = read_mask(encoded(palette(SQUARE + np.eye(16, dtype=np.uint8) % 2, *colours)), "index", 3)
        if name == "c":
            with pytest.raises(DataError, match=r"c: palette index 1 is #00ff00, but #ff0000 in a"):
                seen.agree(mask.colours, name)
        else:
            seen.agree(mask.colours, name)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.stack([SQUARE * 255, SQUARE, SQUARE], -1), "mask in colour"),
        (np.stack([SQUARE * 0] * 3 + [SQUARE * 255], -1), "in the colours or in the alpha"),
        (np.stack([SQUARE * 0 + 255] * 3 + [SQUARE * 255], -1), "in the colours or in the alpha"),
        (np.stack([SQUARE * 255] * 3 + [SQUARE * 0 + 90], -1), "in the colours or in the alpha"),
        (SQUARE * 128, r"hold the values 0, 128; expected 0 to 1.*nonzero"),
        (SQUARE * 127 + np.roll(SQUARE, 7, 0) * 255, "hold the values 0, 127, 255"),
    ],
)
def test_files_that_can_mean_two_things_are_refused(image, message):
    with pytest.raises(DataError, match=message):
        classes_of(image)


@pytest.mark.parametrize("colour", [255, 0], ids=["class", "ground"])
def test_a_mask_whose_transparent_colour_is_its_class_is_refused(tmp_path, colour):
    Image.fromarray(SQUARE * 255).save(tmp_path / "x.png", transparency=colour)
    if colour == 0:
        np.testing.assert_array_equal(read_mask(tmp_path / "x.png").values, SQUARE * 255)
        return
    with pytest.raises(DataError, match=r"x\.png: is a mask with transparency"):
        read_mask(tmp_path / "x.png")


def test_colour_is_foreground_when_the_card_says_everything_but_black():
    coloured = np.stack([SQUARE * 255, SQUARE * 0, SQUARE * 9], -1)
    np.testing.assert_array_equal(classes_of(coloured, rule="nonzero"), SQUARE)
    with pytest.raises(DataError, match="mask in colour"):
        classes_of(coloured, rule="threshold")


def test_lossy_files_need_a_threshold():
    big = np.kron(SQUARE, np.ones((3, 3), np.uint8)) * 255
    for rule in ("index", "nonzero"):
        with pytest.raises(DataError, match=r"lossy file .*threshold"):
            classes_of(big, rule=rule, format="JPEG", quality=40)
    for image in (big, np.stack([big] * 3, -1)):
        found = classes_of(image, rule="threshold", format="JPEG", quality=40)
        assert (found != big // 255).mean() < 0.01
    np.testing.assert_array_equal(classes_of(big, format="WEBP", lossless=True), big // 255)


def test_several_frames_are_no_mask():
    image = Image.fromarray(SQUARE)
    with pytest.raises(DataError, match="several frames"):
        read_mask(encoded(image, "TIFF", save_all=True, append_images=[image]))


def test_the_card_may_give_the_value_of_each_class():
    disc = SQUARE * 128 + np.roll(SQUARE, 7, 0) * 255
    found = classes_of(disc, 3, rule=[255, 128, 0])
    assert found[0, 0] == 2
    assert found[5, 5] == 1
    assert found[12, 5] == 0
    with pytest.raises(DataError, match=r"hold the values 0, 128, 255; the card gives \[0, 128, 254\]"):
        classes_of(disc, 3, rule=[0, 128, 254])
    with pytest.raises(DataError, match="lists 2 values for 3 classes"):
        classes_of(disc, 3, rule=[0, 128])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (SQUARE.astype(int) - 1, "hold the values -1, 0"),
        (SQUARE * 2, "hold the values 0, 2"),
        (SQUARE * 0.5, "float64, expected whole numbers"),
        (SQUARE * np.nan, "float64, expected whole numbers"),
    ],
)
def test_arrays_outside_the_classes_are_refused(values, message):
    for rule in ("index",) if "hold" in message else ("index", "nonzero", "threshold"):
        with pytest.raises(DataError, match=message):
            to_mask(values[None], 2, rule, where="x")


def test_several_masks_are_united():
    other = np.roll(SQUARE, 7, 0)
    np.testing.assert_array_equal(united([SQUARE, other], 2, "x"), SQUARE | other)
    with pytest.raises(DataError, match="has 2 masks"):
        united([SQUARE, other], 3, "x")
    with pytest.raises(DataError, match="different sizes"):
        united([SQUARE, other[1:]], 2, "x")


def test_a_coloured_palette_without_black_has_its_ground_in_white():
    np.testing.assert_array_equal(classes_of(palette(SQUARE, WHITE, RED)), SQUARE)
    with pytest.raises(DataError, match=r"white has index 1.*mask = \[\"#ffffff\""):
        classes_of(palette(1 - SQUARE, RED, WHITE))
    np.testing.assert_array_equal(classes_of(palette(SQUARE * 2, BLACK, RED, WHITE), 3), SQUARE * 2)


def test_masks_in_the_colours_of_their_classes():
    three = SQUARE + np.roll(SQUARE, 7, 0) * 2
    colours = np.array([BLACK, RED, GREEN], np.uint8)
    rule = ["#000000", "#ff0000", "#00ff00"]
    np.testing.assert_array_equal(read_mask(encoded(colours[three]), rule, 3).values, three)
    np.testing.assert_array_equal(read_mask(encoded(palette(2 - three, GREEN, RED, BLACK)), rule, 3).values, three)
    with pytest.raises(DataError, match=r"1 colours that 'mask' does not give, e\.g\. #00ff00"):
        read_mask(encoded(colours[three]), rule[:2], 2)
    with pytest.raises(DataError, match="lists 3 values for 2 classes"):
        read_mask(encoded(colours[three]), rule, 2)
    with pytest.raises(DataError, match="holds numbers"):
        to_mask(three[None], 3, rule)


def test_deep_tiff_masks(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", SQUARE.astype(np.float64))
    np.testing.assert_array_equal(to_mask(read_mask(tmp_path / "m.tif").values[None], 2)[0], SQUARE)
    tifffile.imwrite(tmp_path / "w.tif", SQUARE.astype(np.uint16), photometric="miniswhite")
    with pytest.raises(DataError, match="low values are shown white: is its foreground what is 1"):
        read_mask(tmp_path / "w.tif")


def test_a_threshold_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match=r'values 0, 1, and a threshold of 128 leaves nothing .*mask = "nonzero"'):
        to_mask(np.eye(4, dtype=np.uint8)[None], 2, "threshold")
    assert not to_mask(np.zeros((1, 4, 4), np.uint8), 2, "threshold").any()


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 1, 300]])
def test_pgm_masks_keep_the_values_of_the_file(tmp_path, values):
    mask = np.array([values], np.uint16)
    kind = ">u2" if values[-1] > 255 else "u1"
    (tmp_path / "m.pgm").write_bytes(f"P5 3 1 {values[-1]} ".encode() + mask.astype(kind).tobytes())
    np.testing.assert_array_equal(read_mask(tmp_path / "m.pgm", values, 3).values, mask)


def test_a_tiff_of_bits_whose_low_values_are_white_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", SQUARE.astype(bool), photometric="miniswhite")
    with pytest.raises(DataError, match="is its foreground what is 1, or what is white"):
        read_mask(tmp_path / "m.tif")


def test_a_second_channel_is_no_alpha(tmp_path):
    tifffile.imwrite(
        tmp_path / "m.tif", np.dstack([1 - SQUARE, SQUARE]), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(DataError, match="2 channels"):
        read_mask(tmp_path / "m.tif")


def test_white_is_foreground_in_all_masks_or_in_none():
    seen = MasksSeen()
    for values in ([0, 1], [0, 0], [1, 1]):
        seen.agree_on_foreground(np.array(values), "a.png")
    with pytest.raises(DataError, match=r"b\.png: holds 0 and 255, another mask 0 and 1: .*left out"):
        seen.agree_on_foreground(np.array([0, 255]), "b.png")
