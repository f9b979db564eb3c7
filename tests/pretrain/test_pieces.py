"""Augmentations, masks, backbones, decoder, diagnostics: shapes, laws and independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from bench.pretrain.augment import blur, crop, distort, rectangles, two_views
from bench.pretrain.backbone import CnnBackbone, VitBackbone, patches_of, pixels_of
from bench.pretrain.decoder import TokenDecoder
from bench.pretrain.diagnostics import (
    _probed,
    centred_rank,
    collapsed,
    diagnose,
    feature_std,
    knn_accuracy,
    rankme,
    ridge_accuracy,
)
from bench.pretrain.masks import blocks, random_mask, visible


def with_crop(recipe, size, low, high):
    return recipe.model_copy(update={"size": size, "crop_area": [low, high]})


def test_a_crop_of_everything_is_the_image_or_its_mirror(recipe, monkeypatch):
    monkeypatch.setattr("bench.pretrain.augment.MAX_STRETCH", 1.0)
    torch.manual_seed(0)
    images = torch.rand(20, 4, 16, 16)
    out = crop(images, with_crop(recipe, 16, 1.0, 1.0))
    same = [(o - i).abs().max() < 1e-5 for o, i in zip(out, images, strict=True)]
    mirrored = [(o - i.flip(2)).abs().max() < 1e-5 for o, i in zip(out, images, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert 0 < sum(same) < 20


def test_a_crop_shows_the_stated_share_of_the_image(recipe):
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 64).view(1, 1, 1, 64).expand(500, 1, 64, 64)
    both = torch.cat([ramp, ramp.transpose(2, 3)], 1)
    out = crop(both, with_crop(recipe, 32, 0.25, 0.5))
    spread = out.amax((2, 3)) - out.amin((2, 3))
    area = spread.prod(1) * (64 / 63) ** 2 * (32 / 31) ** 2
    assert 0.23 < area.min() < 0.28
    assert 0.46 < area.max() < 0.54
    aspect = spread[:, 0] / spread[:, 1]
    assert 0.72 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.38


def test_a_crop_around_a_point_contains_it(recipe):
    torch.manual_seed(0)
    points = torch.rand(400, 2)
    at = (torch.arange(64) + 0.5) / 64
    x, y = at.view(1, 1, 64).expand(400, 64, 64), at.view(1, 64, 1).expand(400, 64, 64)
    out = crop(torch.stack([x, y], 1), with_crop(recipe, 32, 0.1, 0.3), points)
    low, high = out.amin((2, 3)), out.amax((2, 3))
    assert ((low - 0.02 <= points) & (points <= high + 0.02)).all()
    assert low.min() >= 0
    assert high.max() <= 1


def test_views_differ_from_each_other_and_between_images(recipe):
    torch.manual_seed(0)
    images = torch.rand(1, 3, 40, 40).expand(6, -1, -1, -1)
    first, second = two_views(images, recipe)
    assert first.shape == (6, 3, 32, 32)
    flat = torch.cat([first, second]).flatten(1)
    assert torch.cdist(flat, flat).fill_diagonal_(9).min() > 0.1
    assert flat.min() >= 0
    assert flat.max() <= 1


def test_distort_leaves_black_black():
    assert distort(torch.zeros(8, 3, 8, 8)).abs().max() == 0


def test_blur_is_the_binomial_kernel():
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[0, 0, 4, 4] = 1
    taps = np.array([1, 4, 6, 4, 1]) / 16
    np.testing.assert_allclose(blur(impulse)[0, 0, 2:7, 2:7], np.outer(taps, taps), atol=1e-7)
    torch.testing.assert_close(blur(torch.full((2, 3, 8, 8), 0.3)), torch.full((2, 3, 8, 8), 0.3))


def test_rectangles_are_rectangles_of_the_stated_sides():
    torch.manual_seed(0)
    masks = rectangles(300, 60, 0.2, 0.5, device="cpu")
    height, width = masks.any(2).sum(1), masks.any(1).sum(1)
    assert torch.equal(height * width, masks.sum((1, 2)))
    assert min(height.min(), width.min()) >= 11
    assert max(height.max(), width.max()) <= 31


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(2, 40), st.floats(0.1, 0.9))
def test_random_masks_hide_the_stated_number(n, tokens, share):
    mask = random_mask(n, tokens, share, device="cpu")
    assert mask.sum(1).tolist() == [round(share * tokens)] * n
    keep = visible(mask)
    assert keep.shape == (n, tokens - round(share * tokens))
    assert not mask.gather(1, keep).any()
    assert all(len(set(row)) == len(row) for row in keep.tolist())


def test_blocks_are_unions_of_rectangles_and_visible_tokens_lie_outside():
    torch.manual_seed(0)
    for _ in range(20):
        one = blocks(16, 8, 1, 0.15, 0.2, device="cpu").view(16, 8, 8)
        height, width = one.any(2).sum(1), one.any(1).sum(1)
        assert torch.equal(height * width, one.sum((1, 2)))
        assert height.unique().numel() == width.unique().numel() == 1
        assert 0.1 <= one[0].float().mean() <= 0.27
        union = blocks(16, 8, 4, 0.15, 0.2, device="cpu")
        keep = visible(union)
        assert keep.shape[1] == (~union).sum(1).min()
        assert not union.gather(1, keep).any()


def test_patches_and_pixels_agree_on_the_order_of_tokens():
    mask = torch.zeros(1, 16, dtype=torch.bool)
    mask[0, 6] = True
    pixels = pixels_of(mask, 4)
    assert pixels.nonzero()[:, 1:].float().mean(0).tolist() == [5.5, 9.5]
    patches = patches_of(pixels[:, None].float(), 4)
    assert patches.sum(2)[0].nonzero().flatten().tolist() == [6]


@pytest.mark.parametrize("kind", [VitBackbone, CnnBackbone])
def test_a_backbone_gives_the_networks_own_features(kind, recipe):
    torch.manual_seed(0)
    backbone = kind(recipe).eval()
    for side in (32, 64):
        images = torch.rand(3, 3, side, side)
        tokens, own = backbone.tokens(images), backbone.network.forward_features((images - 0.5) / 0.25)
        own = own.flatten(2).transpose(1, 2) if own.ndim == 4 else own
        torch.testing.assert_close(tokens, own)
        assert tokens.shape == (3, (side // 8) ** 2, backbone.dim)
        torch.testing.assert_close(backbone(images), tokens.mean(1))


@pytest.mark.parametrize("kind", [VitBackbone, CnnBackbone])
def test_what_is_masked_is_not_seen(kind, recipe):
    torch.manual_seed(0)
    backbone = kind(recipe).eval()
    images = torch.rand(2, 3, 32, 32)
    mask = random_mask(2, 16, 0.5, device="cpu")
    changed = torch.where(pixels_of(mask, 8)[:, None], torch.rand_like(images), images)
    torch.testing.assert_close(backbone.tokens(images, mask), backbone.tokens(changed, mask))
    assert (backbone.tokens(images) - backbone.tokens(changed)).abs().max() > 1e-3


def test_all_tokens_visible_is_no_mask(recipe):
    torch.manual_seed(0)
    backbone = VitBackbone(recipe).eval()
    images = torch.rand(2, 3, 32, 32)
    order = torch.stack([torch.randperm(16) for _ in range(2)])
    shown = backbone.visible_tokens(images, order)
    torch.testing.assert_close(shown, backbone.tokens(images).gather(1, order[..., None].expand_as(shown)))


def test_the_decoder_does_not_depend_on_the_order_of_what_it_is_shown(recipe):
    torch.manual_seed(0)
    backbone = VitBackbone(recipe)
    decode = TokenDecoder(backbone, recipe.heads, 5)
    tokens, keep = torch.rand(1, 6, 16), torch.tensor([[3, 0, 9, 14, 7, 2]])
    order = torch.randperm(6)
    out = decode(tokens, keep)
    assert out.shape == (1, 16, 5)
    torch.testing.assert_close(out, decode(tokens[:, order], keep[:, order]))
    other = tokens.clone()
    other[0, 0] += 1
    assert (decode(other, keep) - out).abs().amax(2).min() > 0


def test_rankme_of_known_spectra():
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(200, 6)))
    assert rankme(torch.from_numpy(q)) == pytest.approx(6, rel=1e-4)
    assert rankme(torch.ones(50, 8)) == pytest.approx(1, rel=1e-3)
    sigma = np.array([4.0, 2.0, 1.0, 1.0])
    p = sigma / sigma.sum()
    v, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    z = torch.from_numpy(q[:, :4] * sigma @ v)
    assert rankme(z) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)


def test_collapse_is_recognised_and_a_common_offset_is_not_collapse():
    rng = np.random.default_rng(0)
    spread = torch.from_numpy(rng.normal(size=(400, 32)))
    assert feature_std(spread) == pytest.approx(1, abs=0.02)
    assert feature_std(torch.ones(20, 4)) == 0

    def state(z):
        return {"feature_std": feature_std(z), "centred_rank": centred_rank(z)}

    assert not collapsed(state(spread))
    assert not collapsed(state(spread + 20))
    assert collapsed(state(1 + 1e-4 * spread))
    line = torch.from_numpy(rng.normal(size=(400, 1))) * spread[:1]
    assert collapsed(state(line))
    assert collapsed({"finite": 0.0})


def test_leave_one_out_knn_is_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 3, 120)
    vectors = rng.normal(size=(120, 8)) + np.eye(8)[labels]
    known = vectors[labels >= 0] - vectors[labels >= 0].mean(0)
    unit, truth = known / np.linalg.norm(known, axis=1, keepdims=True), labels[labels >= 0]
    knn = KNeighborsClassifier(20, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07), algorithm="brute")
    predicted = cross_val_predict(knn, unit, truth, cv=LeaveOneOut())
    found = knn_accuracy(torch.from_numpy(vectors), labels)
    assert found == pytest.approx(balanced_accuracy_score(truth, predicted), abs=1e-12)


def test_leave_one_out_ridge_is_refitting_without_each_image():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 3, 60)
    vectors = rng.normal(size=(60, 5)) + np.eye(5)[labels]
    known, truth = vectors[labels >= 0], labels[labels >= 0]
    x = (known - known.mean(0)) / known.std(0, ddof=1)
    predicted = [
        Ridge(len(x) / 100).fit(np.delete(x, i, 0), np.eye(3)[np.delete(truth, i)]).predict(x[i : i + 1]).argmax()
        for i in range(len(x))
    ]
    found = ridge_accuracy(torch.from_numpy(vectors), labels)
    assert found == pytest.approx(balanced_accuracy_score(truth, predicted), abs=1e-12)


def test_diagnosing_does_not_change_the_network(recipe):
    torch.manual_seed(0)
    backbone = CnnBackbone(recipe).train()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    found = diagnose(backbone, torch.rand(40, 3, 32, 32), {"a": np.arange(40) % 2})
    assert backbone.training
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
    assert set(found) == {"rankme", "centred_rank", "feature_std", "knn", "knn/a", "linear", "linear/a"}
    with torch.no_grad():
        backbone.network.conv1[0].weight.fill_(float("nan"))
    assert diagnose(backbone, torch.rand(40, 3, 32, 32), {}) == {"finite": 0.0}


def test_the_patch_projection_starts_as_a_whitening(recipe):
    torch.manual_seed(0)
    wide = recipe.model_copy(update={"vit": recipe.vit.model_copy(update={"dim": 64})})
    backbone = VitBackbone(wide)
    images = torch.nn.functional.interpolate(torch.rand(64, 3, 16, 16), (32, 32), mode="bilinear")
    backbone.start_from(images)
    out = backbone._patches(images).flatten(0, 1).double()
    values = torch.linalg.eigvalsh(
        torch.cov(patches_of((images - 0.5) / 0.25, 8).flatten(0, 1).double().T, correction=0)
    )
    expected = (values / (values + 0.02)).flip(0)[:64]
    torch.testing.assert_close(torch.cov(out.T, correction=0), expected.diag(), atol=2e-3, rtol=2e-3)
    assert out.mean(0).abs().max() < 1e-3


def test_probes_work_within_each_modality():
    rng = np.random.default_rng(0)
    modality = np.repeat([0, 1, 2], 60)
    target = rng.integers(0, 2, 180) + 2 * modality
    constant = np.where(modality == 0, rng.integers(0, 2, 180), 7)
    vectors = torch.from_numpy(rng.normal(size=(180, 6)) + 100 * np.eye(6)[modality] + np.eye(6)[3 + target % 2])
    labels = {"modality": modality, "target": target, "constant": constant, "one": np.zeros(180, int)}
    found = _probed(knn_accuracy, vectors, labels)
    assert set(found) == {"target", "constant"}
    parts = [knn_accuracy(vectors[modality == m], target[modality == m]) for m in range(3)]
    assert found["target"] == pytest.approx(np.mean(parts))
    assert found["constant"] == knn_accuracy(vectors[:60], constant[:60])
