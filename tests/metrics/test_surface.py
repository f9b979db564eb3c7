import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.spatial.distance import cdist
from surface_distance import compute_robust_hausdorff, compute_surface_distances

from bench.metrics import surface
from bench.metrics.surface import border, surface_metrics


def discs(n, seed, size=48):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centres, radii = rng.uniform(0, size, (n, 3, 2)), rng.uniform(1, 9, (n, 3))
    return np.stack([
        np.any([(y - a) ** 2 + (x - b) ** 2 <= r * r for (a, b), r in zip(c, rr, strict=True)], axis=0)
        for c, rr in zip(centres, radii, strict=True)
    ])  # fmt: skip


TRUTH = discs(40, 0)
PREDICTED = np.roll(TRUTH, (1, 2), axis=(1, 2)) | discs(40, 1)


def two_classes(masks):
    return torch.tensor(np.stack([~masks, masks], axis=1))


def test_surface_dice_equals_monai():
    ours, _ = surface_metrics(PREDICTED, TRUTH)
    reference = compute_surface_dice(two_classes(PREDICTED), two_classes(TRUTH), class_thresholds=[2.0])
    np.testing.assert_allclose(ours, reference[:, 0].numpy(), atol=1e-6)


def test_hausdorff_equals_monai():
    _, ours = surface_metrics(PREDICTED, TRUTH)
    reference = compute_hausdorff_distance(two_classes(PREDICTED), two_classes(TRUTH), percentile=95)
    np.testing.assert_allclose(ours, reference[:, 0].numpy(), atol=1e-5)


def test_hausdorff_is_near_deepmind_surface_distance():
    """Their border runs between pixels and is weighed by length: near for shifted shapes, not equal."""
    moved = np.roll(TRUTH, (1, 2), axis=(1, 2))
    _, ours = surface_metrics(moved[:, 4:-4, 4:-4], TRUTH[:, 4:-4, 4:-4])
    pairs = zip(TRUTH[:, 4:-4, 4:-4], moved[:, 4:-4, 4:-4], strict=True)
    theirs = [compute_robust_hausdorff(compute_surface_distances(t, p, (1, 1)), 95) for t, p in pairs]
    assert np.median(np.abs(ours - theirs)) < 0.3


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7))


@settings(deadline=None)
@given(masks, st.integers(0, 10**6))
def test_equal_to_brute_force(truth, seed):
    predicted = np.random.default_rng(seed).random(truth.shape) < 0.4
    nsd, hd = surface_metrics(predicted, truth)
    for i, (p, t) in enumerate(zip(predicted, truth, strict=True)):
        if not t.any() and not p.any():
            assert np.isnan(nsd[i])
            assert np.isnan(hd[i])
        elif not t.any() or not p.any():
            assert (nsd[i], hd[i]) == (0, np.hypot(*t.shape))
        else:
            apart = cdist(np.argwhere(border(p[None])[0]), np.argwhere(border(t[None])[0]))
            there, back = apart.min(1), apart.min(0)
            assert nsd[i] == pytest.approx(((there <= 2).sum() + (back <= 2).sum()) / (len(there) + len(back)))
            assert hd[i] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


@given(masks)
def test_a_mask_is_at_no_distance_from_itself(truth):
    nsd, hd = surface_metrics(truth, truth)
    some = truth.any(axis=(1, 2))
    assert (nsd[some] == 1).all()
    assert (hd[some] == 0).all()


def test_one_pixel_by_hand():
    truth, predicted = np.zeros((2, 1, 9, 9), bool)
    truth[0, 1, 1] = predicted[0, 4, 5] = True
    assert [float(x[0]) for x in surface_metrics(predicted, truth)] == [0.0, 5.0]
    predicted = np.roll(truth, 2, axis=1)
    assert [float(x[0]) for x in surface_metrics(predicted, truth)] == [1.0, 2.0]


def test_blocks_do_not_matter(monkeypatch):
    whole = surface_metrics(PREDICTED, TRUTH)
    monkeypatch.setattr(surface, "_BLOCK_PIXELS", 48 * 48 * 3)
    monkeypatch.setattr(surface, "_CACHED", 48 * 5)
    for a, b in zip(whole, surface_metrics(PREDICTED, TRUTH), strict=True):
        np.testing.assert_array_equal(a, b)
