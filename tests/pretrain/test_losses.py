"""Every loss against a formula written out in NumPy float64, lightly's as they are used here included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightly.loss import BarlowTwinsLoss, DINOLoss, IBOTPatchLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss

from bench.pretrain.losses import info_nce, masked_patch_error, soft_location

RNG = np.random.default_rng(0)


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    return [torch.from_numpy(RNG.normal(size=shape)) for shape in shapes]


def unit(x: torch.Tensor) -> np.ndarray:
    x = x.numpy()
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_nt_xent_is_the_mean_over_all_views():
    a, b = tensors((5, 4), (5, 4))
    z, total = np.concatenate([unit(a), unit(b)]), 0.0
    for i in range(10):
        similar = np.exp(z @ z[i] / 0.2)
        total -= np.log(similar[(i + 5) % 10] / (similar.sum() - similar[i]))
    assert NTXentLoss(0.2)(a, b).item() == pytest.approx(total / 10, rel=1e-10)


def test_info_nce_of_moco_v3():
    q, k = tensors((6, 3), (6, 3))
    rows = log_softmax(unit(q) @ unit(k).T / 0.2)
    assert info_nce(q, k, 0.2).item() == pytest.approx(-2 * 0.2 * np.diag(rows).mean(), rel=1e-10)


def test_swav_predicts_the_sinkhorn_codes_of_the_other_view():
    a, b = tensors((6, 4), (6, 4))

    def codes(scores: np.ndarray) -> np.ndarray:
        q = np.exp(scores / 0.05).T
        q /= q.sum()
        for _ in range(3):
            q /= q.sum(1, keepdims=True) * len(q)
            q /= q.sum(0, keepdims=True) * q.shape[1]
        return (q / q.sum(0)).T

    x, y = a.numpy() / 5, b.numpy() / 5
    expected = -(codes(x) * log_softmax(y / 0.1)).sum(1).mean() - (codes(y) * log_softmax(x / 0.1)).sum(1).mean()
    found = SwaVLoss(temperature=0.1, sinkhorn_epsilon=0.05)([a / 5, b / 5], [])
    assert found.item() == pytest.approx(expected / 2, rel=1e-9)


def test_barlow_twins_drives_the_correlation_to_the_identity():
    a, b = tensors((7, 3), (7, 3))
    x, y = ((t - t.mean(0)) / np.sqrt(t.var(0) + 1e-5) for t in (a.numpy(), b.numpy()))
    c = x.T @ y / 7
    off = c - np.diag(np.diag(c))
    expected = ((1 - np.diag(c)) ** 2).sum() + 5e-3 * (off**2).sum()
    assert BarlowTwinsLoss(5e-3)(a, b).item() == pytest.approx(expected, rel=1e-9)


def test_byol_is_minus_the_cosine():
    a, b = tensors((7, 3), (7, 3))
    assert NegativeCosineSimilarity()(a, b).item() == pytest.approx(-(unit(a) * unit(b)).sum(1).mean(), rel=1e-10)


def test_dino_crosses_views_and_moves_its_centre():
    t, s = tensors((2, 5, 4), (2, 5, 4))
    loss = DINOLoss(4, teacher_temp=0.04, student_temp=0.1).double()
    centre = torch.tensor([[[0.1, -0.2, 0.0, 0.3]]], dtype=torch.float64)
    loss.center.data = centre.clone()
    found = loss(list(t), list(s)).item()
    p = np.exp(log_softmax((t.numpy() - centre.numpy()) / 0.04))
    q = log_softmax(s.numpy() / 0.1)
    expected = -((p[0] * q[1]).sum(1).mean() + (p[1] * q[0]).sum(1).mean()) / 2
    assert found == pytest.approx(expected, rel=1e-6)
    moved = 0.9 * centre.numpy() + 0.1 * t.numpy().mean((0, 1))
    np.testing.assert_allclose(loss.center.numpy(), moved, rtol=1e-6)


def test_ibot_weighs_each_image_alike_whatever_its_number_of_hidden_tokens():
    mask = torch.zeros(2, 2, 2, dtype=torch.bool)
    mask[0, 0, 0] = mask[1, 0, 1] = mask[1, 1, 0] = mask[1, 1, 1] = True
    t, s = tensors((4, 5), (4, 5))
    found = IBOTPatchLoss(5, teacher_temp=0.04, student_temp=0.1).double()(t, s, mask).item()
    cross = -(np.exp(log_softmax(t.numpy() / 0.04)) * log_softmax(s.numpy() / 0.1)).sum(1)
    assert found == pytest.approx((cross[0] + cross[1:].mean()) / 2, rel=1e-6)


@pytest.mark.parametrize("power", [1, 2])
def test_masked_patch_error_by_loops(power):
    images, predicted = tensors((2, 3, 8, 8), (2, 4, 48))
    mask = torch.tensor([[True, False, False, True], [False, True, False, False]])
    errors = []
    for i, j in zip(*np.nonzero(mask.numpy()), strict=True):
        y, x = 4 * (j // 2), 4 * (j % 2)
        patch = images[i, :, y : y + 4, x : x + 4].numpy().reshape(-1)
        target = (patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + 1e-6)
        errors.append((np.abs(predicted[i, j].numpy() - target) ** power).mean())
    found = masked_patch_error(predicted, images, mask, 4, power=power)
    assert found.item() == pytest.approx(np.mean(errors), rel=1e-9)


def test_soft_location_by_loops_and_its_lower_bound():
    query, keys = tensors((3, 4), (3, 6, 4))
    target = np.abs(RNG.normal(size=(3, 6)))
    target /= target.sum(1, keepdims=True)
    total = 0.0
    for q, k, t in zip(unit(query), unit(keys), target, strict=True):
        total -= (t * log_softmax(k @ q / 0.2)).sum()
    found = soft_location(query, keys, torch.from_numpy(target), 0.2).item()
    assert found == pytest.approx(total / 3, rel=1e-10)
    assert found >= -(target * np.log(target)).sum(1).mean()
