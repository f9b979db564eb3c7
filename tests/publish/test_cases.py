"""Pictures of cases: truth and prediction told apart, images of every size of lesion."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from bench.data.dataset import Split
from bench.data.task import Task
from bench.publish.cases import ALARM, FOUND, MISSED, SIDE, agreement
from bench.publish.chosen import SHOWN, SIZE_WORDS, chosen, groups

CARD = {
    "schema": 1, "name": "t", "title": "T", "kind": "dense", "modality": "ct", "target": "mask",
    "classes": ["background", "lesion", "core"], "metric": "dice", "licence": "CC0", "corpus": "x",
    "source": {"reader": "x"},
}  # fmt: skip
DENSE = Task.parse(CARD, where="test")


def colours(png: bytes) -> np.ndarray:
    """RGB of each pixel, black where it is transparent."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    assert pixels.shape == (SIDE, SIDE, 4)
    return np.where(pixels[..., 3:] > 0, pixels[..., :3], 0)


def test_found_missed_and_invented_pixels_have_their_own_colours():
    truth, ours = np.zeros((2, 8, 8), np.uint8)
    truth[:, :4], ours[:4, :] = 1, 1
    half = SIDE // 2
    seen = colours(agreement(ours, truth))
    for area, colour in ((seen[:half, :half], FOUND), (seen[half:, :half], MISSED), (seen[:half, half:], ALARM)):
        assert {tuple(c) for c in area.reshape(-1, 3)} - {(0, 0, 0)} == {colour}
    assert not seen[half:, half:].any()
    assert (seen[half:, :half].any(2)).mean() < 0.6, "hatched, not filled: not told apart by colour alone"
    other = colours(agreement(np.full((8, 8), 2, np.uint8), np.ones((8, 8), np.uint8)))
    assert tuple(other.reshape(-1, 3).max(0)) == ALARM, "another class than the true one is not there"


def of_sizes(shares: list[float]) -> Split:
    masks = np.zeros((len(shares), 40, 40), np.uint8)
    for mask, share in zip(masks, shares, strict=True):
        mask.reshape(-1)[: round(share * 1600)] = 1
    return Split(np.zeros((len(shares), 1, 1, 1), np.uint8), masks, np.arange(len(shares)).astype(str))


def test_every_size_of_lesion_is_shown_from_the_worst_to_the_best():
    test = of_sizes([0.002, 0.01, 0.05, 0.5] * 10)
    quality = np.tile(np.linspace(0, 1, 40), (2, 1))
    rows, how = chosen(DENSE, test, quality, np.ones((2, 40), bool))
    assert len(rows) == SHOWN
    assert "size of lesion" in how
    for k, (words, members) in enumerate(groups(DENSE, test)):
        assert words == SIZE_WORDS[k]
        mine = [i for i in rows if i in members]
        assert mine == sorted(mine, key=lambda i: quality[0, i])
        assert {mine[0], mine[-1]} == {members[0], members[-1]}


def test_where_few_masks_are_kept_images_that_most_encoders_kept_are_shown():
    test, pictured = of_sizes([0.05] * 30), np.zeros((3, 30), bool)
    pictured[:, [4, 7]] = pictured[0, [20, 21]] = True
    rows, how = chosen(DENSE, test, np.tile(np.linspace(1, 0, 30), (3, 1)), pictured)
    assert set(rows) == {4, 7, 20, 21}
    assert rows == sorted(rows, reverse=True)
    assert "worst images only" in how
