"""Preprocessing against Pillow and hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bench.encoders.card import LATER, Preprocessing
from bench.encoders.preprocess import placed, prepare
from bench.errors import CardError, DataError
from bench.files import canonical_json, sha256_text
from bench.identity import card_parts


def card(**changes) -> Preprocessing:
    return Preprocessing.parse({"size": 16, "mean": [0.0], "std": [1.0], **changes}, where="test")


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("h", "w"), [(64, 64), (9, 13), (50, 17)])
def test_resize_agrees_with_pillow(interpolation, h, w):
    # Away from 0 and 255, where Pillow cuts bicubic overshoot after each of its two passes, ours after both.
    images = noise(2, h, w, 3) // 4 + 96
    ours = prepare(images, card(interpolation=interpolation)) * 255
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    theirs = [Image.fromarray(i.numpy()).resize((16, 16), filters[interpolation]) for i in images]
    expected = torch.from_numpy(np.stack([np.asarray(t) for t in theirs])).permute(0, 3, 1, 2).float()
    # Pillow rounds to whole grey levels after each of its two passes; ours does not round.
    assert (ours - expected).abs().max() <= 1.5
    assert (ours - expected).abs().mean() <= 0.35


def test_an_image_of_the_right_size_is_untouched():
    images = noise(3, 16, 16, 3)
    assert torch.equal((prepare(images, card()) * 255).round().to(torch.uint8), images.permute(0, 3, 1, 2))


def test_range_mean_and_std_by_hand():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 16, 16, 3)
    x = prepare(images, card(mean=[0.5, 0.25, 0.0], std=[0.5, 0.25, 2.0]))
    expected = torch.tensor([[-1.0, -1.0, 0.0], [-0.6, -0.2, 0.1], [1.0, 3.0, 0.5]])
    torch.testing.assert_close(x[:, :, 3, 7], expected)
    torch.testing.assert_close(x.amax((2, 3)), x.amin((2, 3)))


def test_channel_order_is_kept():
    images = torch.zeros((1, 16, 16, 3), dtype=torch.uint8)
    images[..., 0] = 255
    assert prepare(images, card())[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("channels", "grey", "colour", "expected"),
    [
        (3, "repeat", False, [100.0] * 3),
        (3, "repeat", True, [200.0, 100.0, 50.0]),
        (3, "luminance", True, [124.2] * 3),
        (3, "luminance", False, [100.0] * 3),
        (1, "repeat", True, [124.2]),
        (1, "repeat", False, [100.0]),
    ],
)
def test_channels(channels, grey, colour, expected):
    pixel = [200, 100, 50] if colour else [100]
    images = torch.tensor(pixel, dtype=torch.uint8).expand(1, 20, 20, len(pixel))
    x = prepare(images, card(channels=channels, grey=grey)) * 255
    torch.testing.assert_close(x[0, :, 5, 5], torch.tensor(expected), atol=1e-3, rtol=0)


def test_padding_keeps_the_shape_and_is_black_before_normalisation():
    images = torch.full((1, 8, 32, 1), 255, dtype=torch.uint8)
    x = prepare(images, card(pad_to_square=True, mean=[0.5], std=[0.5]))
    assert placed(8, 32, card(pad_to_square=True), dense=False) == (6, 0, 4, 16)
    assert (x[0, :, 6:10] == 1).all()
    assert (x[0, :, :6] == -1).all()
    assert (x[0, :, 10:] == -1).all()


def test_without_padding_the_image_is_squeezed():
    images = torch.full((1, 8, 32, 1), 255, dtype=torch.uint8)
    assert (prepare(images, card()) == 1).all()


def test_odd_padding_is_at_the_bottom_and_right():
    assert placed(5, 16, card(pad_to_square=True), dense=False) == (5, 0, 5, 16)
    assert placed(16, 5, card(pad_to_square=True), dense=False) == (0, 5, 16, 5)


def test_dense_size():
    images = noise(1, 20, 20, 1)
    assert prepare(images, card(dense_size=32), dense=True).shape == (1, 3, 32, 32)
    assert prepare(images, card(dense_size=32)).shape == (1, 3, 16, 16)
    assert prepare(images, card(), dense=True).shape == (1, 3, 16, 16)


def test_bicubic_overshoot_is_cut():
    images = torch.zeros((1, 8, 8, 1), dtype=torch.uint8)
    images[:, :, 4:] = 255
    x = prepare(images, card(interpolation="bicubic"))
    assert x.min() >= 0
    assert x.max() <= 1


def test_each_image_is_prepared_alone():
    images = noise(7, 33, 21, 3)
    whole = prepare(images, card(interpolation="bicubic"))
    assert torch.equal(whole, torch.cat([prepare(i[None], card(interpolation="bicubic")) for i in images]))


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 8, 8, 1), noise(2, 8, 8), noise(2, 8, 8, 4), noise(2, 8, 8, 2).to(torch.int16)]
)
def test_other_images_are_refused(images):
    with pytest.raises(DataError, match="expected uint8"):
        prepare(images, card())


def test_mean_and_std_must_fit_the_channels():
    with pytest.raises(CardError, match="mean has 2 values"):
        card(mean=[0.1, 0.2])
    with pytest.raises(CardError, match="std has 3 values"):
        card(channels=1, std=[0.1, 0.2, 0.3])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("h", "w"), [(40, 40), (33, 64), (71, 30), (20, 90), (19, 16)])
@pytest.mark.parametrize(("crop_pct", "shorter"), [(0.875, 18), (1.0, 16), (0.9, 17)])
def test_a_centre_crop_is_that_of_timm(interpolation, h, w, crop_pct, shorter):
    timm = pytest.importorskip("timm.data")
    theirs = timm.create_transform(
        (3, 16, 16), crop_pct=crop_pct, interpolation=interpolation, mean=(0.0,) * 3, std=(1.0,) * 3
    )
    images = noise(2, h, w, 3) // 4 + 96
    ours = prepare(images, card(interpolation=interpolation, shorter_side=shorter)) * 255
    expected = torch.stack([theirs(Image.fromarray(i.numpy())) for i in images]) * 255
    # timm resizes with Pillow, which rounds to whole grey levels after each of its two passes.
    assert (ours - expected).abs().max() <= 1.5
    assert (ours - expected).abs().mean() <= 0.35


def test_the_whole_image_is_that_of_timm_squeezed():
    timm = pytest.importorskip("timm.data")
    theirs = timm.create_transform(
        (3, 16, 16), crop_pct=1.0, crop_mode="squash", interpolation="bicubic", mean=(0.0,) * 3, std=(1.0,) * 3
    )
    images = noise(2, 50, 31, 3) // 4 + 96
    expected = torch.stack([theirs(Image.fromarray(i.numpy())) for i in images]) * 255
    assert (prepare(images, card(interpolation="bicubic")) * 255 - expected).abs().max() <= 1.5


def test_nothing_is_cut_off_on_dense_tasks():
    images = noise(1, 20, 60, 3)
    cut, whole = card(shorter_side=18), card()
    assert torch.equal(prepare(images, cut, dense=True), prepare(images, whole, dense=True))
    assert not torch.equal(prepare(images, cut), prepare(images, whole))
    assert placed(20, 60, cut, dense=False) == (-1, -19, 18, 54)


@pytest.mark.parametrize("wrong", [{"shorter_side": 15}, {"shorter_side": 18, "pad_to_square": True}])
def test_a_crop_that_cannot_be_meant(wrong):
    with pytest.raises(CardError, match="shorter_side"):
        card(**wrong)


def test_a_card_without_a_crop_keeps_its_hash(make_card):
    # Written before the keys existed; records and submissions hold such hashes.
    plain = make_card({}, preprocessing={"size": 16, "mean": [0.5], "std": [0.5]})
    before = plain.model_dump(mode="json", by_alias=True, exclude=dict.fromkeys(LATER, True))
    for key in ("shorter_side", "depth", "spacing", "input", "window"):
        del before["preprocessing"][key]
    assert plain.sha256 == sha256_text(canonical_json(before))
    cropped = plain.preprocessing.model_copy(update={"shorter_side": 18})
    assert plain.model_copy(update={"preprocessing": cropped}).sha256 != plain.sha256


def test_a_crop_is_part_of_what_global_features_are(make_card):
    plain = make_card({}, preprocessing={"size": 16, "mean": [0.5], "std": [0.5]})
    cut = plain.model_copy(update={"preprocessing": plain.preprocessing.model_copy(update={"shorter_side": 18})})
    assert card_parts(plain, False)["preprocessing"] != card_parts(cut, False)["preprocessing"]
    assert card_parts(plain, True) == card_parts(cut, True)
