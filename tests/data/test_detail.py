"""The second look: copies share their fine detail, different eyes in one round mask do not."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.data.dataset import Split
from bench.data.detail import reduced, share_detail
from bench.data.duplicates import _matches, look_at, pairs_across

Y, X = np.mgrid[:128, :128] - 63.5
DISC = (X**2 + Y**2 < 60**2).astype(np.float64)


def eye(seed, texture=12.0):
    """A bright disc on black with its own vessels: uint8 (128, 128, 1)."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(128, 128)), 1.5)
    shade = 150 + 0.3 * X + texture * noise / noise.std()
    return np.clip(DISC * shade, 0, 255).astype(np.uint8)[..., None]


def compressed(image, quality=60):
    Image.fromarray(image[..., 0]).save(buffer := io.BytesIO(), "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))[..., None]


def test_copies_share_their_detail_and_other_eyes_do_not():
    a = eye(0)
    copies = (a, compressed(a), np.roll(a, 1, 0), (a * 0.9 + 10).astype(np.uint8), np.repeat(a, 3, -1))
    assert all(share_detail(a, copy) for copy in copies)
    assert not any(share_detail(a, eye(seed)) for seed in range(1, 20))
    assert share_detail(np.kron(a, np.ones((3, 3, 1), np.uint8)), np.kron(a, np.ones((3, 3, 1), np.uint8)))


def test_eyes_out_of_focus_have_nothing_in_common_but_their_mask():
    assert not share_detail(eye(0, 0.3), eye(1, 0.3))


def test_pairs_of_one_frame_are_duplicates_only_when_they_share_detail():
    shade = gaussian_filter(np.random.default_rng(9).normal(size=(128, 128)), 12)

    def framed(seed):
        """The same coarse picture for all, so that thumbnails agree, with a texture of its own."""
        texture = gaussian_filter(np.random.default_rng(seed).normal(size=(128, 128)), 0.7)
        return np.clip(DISC * (150 + 30 * shade / shade.std() + 6 * texture / texture.std()), 0, 255).astype(np.uint8)

    def split(name, images):
        n = len(images)
        return Split(np.stack(images)[..., None], np.zeros(n, np.int64), np.array([f"{name}/{i}" for i in range(n)]))

    train, test = split("train", [framed(i) for i in range(6)]), split("test", [framed(i) for i in range(10, 14)])
    looks = {"train": look_at(train), "test": look_at(test)}
    assert len(list(_matches(looks["train"], looks["test"]))) > 12, "their thumbnails are alike"
    assert pairs_across({"train": train, "test": test}, looks) == []
    copied = split("test", [framed(10), compressed(framed(3)[..., None], 90)[..., 0]])
    assert [(p.first, p.second) for p in pairs_across({"train": train, "test": copied})] == [("train/3", "test/1")]


@pytest.mark.parametrize("shape", [(2, 20, 30, 3), (2, 5, 20, 30, 1), (2, 100, 100, 1)])
def test_reduced_keeps_the_mean(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    small = reduced(images, 25)
    assert small.shape == (2, min(shape[-3], 25), min(shape[-2], 25))
    if shape[1] == 100:
        np.testing.assert_allclose(small.mean((1, 2)), images.mean((1, 2, 3)), rtol=1e-5)
