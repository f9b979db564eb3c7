"""Image and mask together: turned alike, or refused; one meaning of palettes in all masks of a task."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from bench.data.reading import ImageReader
from bench.errors import DataError

PIXELS = (np.arange(24, dtype=np.uint8) * 10).reshape(4, 6)
MASK = np.zeros((4, 6), np.uint8)
MASK[0, :3] = 1
LEFT = 6
"""EXIF orientation: turn a quarter clockwise to see it upright."""


def file(array, orientation=1, palette=()):
    """A PNG, as bytes; `orientation` in its EXIF tag."""
    image, exif = Image.fromarray(array), Image.Exif()
    if palette:
        image = Image.fromarray(array, mode="P")
        image.putpalette([part for colour in palette for part in colour])
    exif[0x0112] = orientation
    held = io.BytesIO()
    image.save(held, "png", exif=exif if orientation > 1 else None)
    return held.getvalue()


def pair(image, mask, classes=2, remarks=None):
    return ImageReader(classes, None, "index").pair(image, [mask], 1, Counter() if remarks is None else remarks)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_image_and_mask_turned_alike_still_lie_on_each_other(orientation):
    told = Counter()
    image, mask = pair(file(PIXELS, orientation), file(MASK, orientation), remarks=told)
    assert sorted(image[mask == 1].ravel()) == sorted(PIXELS[MASK == 1])
    assert image.shape[:2] == mask.shape == ((6, 4) if orientation >= 5 else (4, 6))
    assert told["images: turned upright as its EXIF tag says"] == 1


def test_the_size_of_a_mask_without_a_tag_tells_whether_it_is_of_the_upright_image():
    upright = np.rot90(MASK, -1).copy()
    image, mask = pair(file(PIXELS, LEFT), file(upright))
    np.testing.assert_array_equal(mask, upright)
    assert sorted(image[mask == 1].ravel()) == sorted(PIXELS[MASK == 1])
    with pytest.raises(DataError, match=r"is 6 x 4 pixels, its image 4 x 6, turned by its EXIF orientation 6"):
        pair(file(PIXELS, LEFT), file(MASK))


@pytest.mark.parametrize(("image", "mask"), [(LEFT, 1), (1, LEFT), (3, 1), (1, 2), (LEFT, 8)])
def test_a_square_mask_that_is_turned_otherwise_than_its_image_is_refused(image, mask):
    with pytest.raises(DataError, match=f"has EXIF orientation {mask}, its image {image}: .*save both upright"):
        pair(file(PIXELS[:, :4].copy(), image), file(MASK[:, :4].copy(), mask))


def test_masks_of_a_task_agree_on_what_a_colour_means():
    black, red, green = (0, 0, 0), (255, 0, 0), (0, 255, 0)
    pictures, classes = ImageReader(3, None, "index"), MASK + np.roll(MASK, 2, 0) * 2
    for colours in ((black, red, green), (black, red, green)):
        _, mask = pictures.pair(file(PIXELS), [file(classes, palette=colours)], 1, Counter())
        np.testing.assert_array_equal(mask, classes)
    with pytest.raises(DataError, match=r"palette index 1 is #00ff00, but #ff0000 in"):
        pictures.pair(file(PIXELS), [file(classes, palette=(black, green, red))], 1, Counter())


def test_an_image_with_a_palette_is_what_it_shows_and_its_mask_too():
    """The image stores 9 - value, its mask 1 - class: both are read by what is seen."""
    greys = [(v, v, v) for v in range(230, -1, -10)]
    image, mask = pair(
        file((23 - PIXELS // 10).astype(np.uint8), palette=greys), file(1 - MASK, palette=[(255,) * 3, (0,) * 3])
    )
    np.testing.assert_array_equal(image[..., 0], PIXELS)
    np.testing.assert_array_equal(mask, MASK)
