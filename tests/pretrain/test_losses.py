"""Every loss against a formula written out in NumPy float64, lightly's as they are used here included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightly.loss import (
    BarlowTwinsLoss,
    DCLLoss,
    DINOLoss,
    IBOTPatchLoss,
    KoLeoLoss,
    MSNLoss,
    NegativeCosineSimilarity,
    NTXentLoss,
    SwaVLoss,
    VICRegLoss,
)
from lightly.loss.lejepa_loss import SIGReg, lejepa_invariance_loss
from lightly.loss.swav_loss import sinkhorn
from torch.distributions import Normal, kl_divergence

from bench.pretrain.losses import (
    gaussian_divergence,
    info_nce,
    invariance,
    masked_patch_error,
    pair_nce,
    queue_nce,
    restoration_error,
    soft_location,
    spectrum_error,
)

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


def test_pair_nce_is_the_cross_entropy_of_the_diagonal():
    q, k = tensors((6, 3), (6, 3))
    expected = -np.diag(log_softmax(unit(q) @ unit(k).T / 0.1)).mean()
    assert pair_nce(q, k, 0.1).item() == pytest.approx(expected, rel=1e-10)


def test_queue_nce_is_lightlys_with_a_memory_bank():
    q, k, negatives = tensors((5, 4), (5, 4), (9, 4))
    loss = NTXentLoss(0.2, memory_bank_size=(9, 4)).double()
    loss.memory_bank.bank = torch.nn.functional.normalize(negatives, dim=1)
    assert queue_nce(q, k, negatives, 0.2).item() == pytest.approx(loss(q, k).item(), rel=1e-10)


def test_dcl_leaves_the_positive_out_of_the_denominator():
    a, b = tensors((5, 4), (5, 4))
    x, y = unit(a), unit(b)
    total = 0.0
    for u, v in ((x, y), (y, x)):
        for i in range(5):
            others = [j for j in range(5) if j != i]
            negatives = np.exp(u[others] @ u[i] / 0.1).sum() + np.exp(v[others] @ u[i] / 0.1).sum()
            total += -u[i] @ v[i] / 0.1 + np.log(negatives)
    assert DCLLoss(0.1)(a, b).item() == pytest.approx(total / 10, rel=1e-10)


def test_relics_invariance_is_a_kl_divergence():
    a, b = tensors((5, 4), (5, 4))
    p, q = log_softmax(unit(a) @ unit(b).T / 0.2), log_softmax(unit(b) @ unit(a).T / 0.2)
    assert invariance(a, b, 0.2).item() == pytest.approx((np.exp(p) * (p - q)).sum(1).mean(), rel=1e-9)
    assert invariance(a, a, 0.2).item() == pytest.approx(0, abs=1e-12)


def test_gaussian_divergence_is_torchs():
    mean, log_variance = tensors((5, 4), (5, 4))
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(1), torch.ones(1))).sum(1)
    np.testing.assert_allclose(gaussian_divergence(mean, log_variance), expected, rtol=1e-10)


def test_restoration_error_by_loops():
    images, predicted = tensors((2, 3, 8, 8), (2, 4, 48))
    hidden = torch.from_numpy(RNG.random((2, 8, 8)) < 0.3)
    every, chosen = [], []
    for i, c, y, x in np.ndindex(2, 3, 8, 8):
        place, within = 2 * (y // 4) + x // 4, 16 * c + 4 * (y % 4) + x % 4
        error = ((predicted[i, place, within] - images[i, c, y, x]).item() / 0.25) ** 2
        every.append(error)
        chosen += [error] * bool(hidden[i, y, x])
    assert restoration_error(predicted, images, 4).item() == pytest.approx(np.mean(every), rel=1e-10)
    assert restoration_error(predicted, images, 4, hidden).item() == pytest.approx(np.mean(chosen), rel=1e-10)


def test_spectrum_error_is_the_distance_of_the_hidden_frequencies():
    a, b = tensors((2, 3, 6, 6), (2, 3, 6, 6))
    hidden = RNG.random((2, 1, 6, 6)) < 0.4
    distance = np.abs(np.fft.fft2(a.numpy()) - np.fft.fft2(b.numpy())) / 6
    expected = distance[np.broadcast_to(hidden, distance.shape)].mean()
    assert spectrum_error(a, b, torch.from_numpy(hidden)).item() == pytest.approx(expected, rel=1e-10)


def test_vicreg_is_invariance_variance_and_covariance():
    a, b = (0.4 * z for z in tensors((7, 3), (7, 3)))  # so small that the hinge of the variance acts
    expected = ((a.numpy() - b.numpy()) ** 2).mean()
    for z in (a.numpy(), b.numpy()):
        expected += np.maximum(0, 1 - np.sqrt(z.var(0, ddof=1) + 1e-4)).mean() / 2
        expected += (np.cov(z.T) ** 2 * (1 - np.eye(3))).sum() / 3 / 25
    found = VICRegLoss(lambda_param=1.0, mu_param=1.0, nu_param=1 / 25)(a, b)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_lejepa_compares_characteristic_functions_along_random_directions():
    (z,) = tensors((2, 40, 3))
    torch.manual_seed(0)
    found = SIGReg(num_vectors=6)(z).item()
    torch.manual_seed(0)
    directions = torch.randn(3, 6, dtype=z.dtype)
    projected = (z @ (directions / directions.norm(dim=0))).numpy()
    at = np.linspace(-3, 3, 33)
    statistics = []
    for view in projected:
        for sample in view.T:
            gap = np.abs(np.exp(1j * at[:, None] * sample).mean(1) - np.exp(-(at**2) / 2)) ** 2
            statistics.append(40 * np.trapezoid(gap * np.exp(-(at**2) / 2), at))
    assert found == pytest.approx(np.mean(statistics), rel=1e-6)
    expected = ((z - z.mean(0)) ** 2).mean().item()
    assert lejepa_invariance_loss(all_proj=z, global_proj=z).item() == pytest.approx(expected, rel=1e-10)


def test_msn_matches_sharpened_balanced_targets_and_spreads_the_mean_prediction():
    a, t, prototypes = tensors((6, 4), (6, 4), (5, 4))
    predicted, target = (np.exp(log_softmax(unit(x) @ unit(prototypes).T / 0.1)) for x in (a, t))
    target = target**4
    target = (target / target.sum(1, keepdims=True)).T
    target /= target.sum()
    for _ in range(3):
        target /= target.sum(1, keepdims=True) * 5
        target /= target.sum(0, keepdims=True) * 6
    target = target.T * 6
    mean = predicted.mean(0)
    expected = -(target * np.log(predicted)).sum(1).mean() + (mean * np.log(mean)).sum() + np.log(5)
    assert MSNLoss(temperature=0.1)(a, t, prototypes).item() == pytest.approx(expected, rel=1e-9)


def test_koleo_is_the_log_distance_of_nearest_neighbours():
    (z,) = tensors((7, 3))
    distance = np.linalg.norm(unit(z)[:, None] - unit(z), axis=2) + 9 * np.eye(7)
    assert KoLeoLoss()(z).item() == pytest.approx(-np.log(distance.min(1)).mean(), rel=1e-6)


def test_sinkhorn_balances_the_targets_of_dinov2():
    (scores,) = tensors((40, 4))
    q = sinkhorn(scores / 20, iterations=100, epsilon=0.05).numpy()
    np.testing.assert_allclose(q.sum(1), 1, rtol=1e-9)
    np.testing.assert_allclose(q.sum(0), 10, rtol=1e-6)
    # Scaling rows and columns keeps the cross ratios of the kernel.
    ratio = np.log(q) - scores.numpy()
    np.testing.assert_allclose(ratio - ratio[:1], (ratio - ratio[:1])[:, :1].repeat(4, 1), atol=1e-6)
