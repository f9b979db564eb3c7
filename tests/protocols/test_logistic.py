"""The solver against scikit-learn and scipy, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from bench.protocols._logistic import Design

STRENGTHS = [1e-6, 1e-3, 1e-1, 1.0, 10.0, 1e5]


def rows(n: int, d: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * (1 + np.arange(d)) ** -0.5
    y = (x @ rng.normal(size=(d, k)) * 3 + rng.gumbel(size=(n, k))).argmax(1)
    y[:k] = np.arange(k)
    return (x - x.mean(0)) / x.std(0), y


def objective(w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, c: float) -> float:
    loss = -(log_softmax(x @ w.T + b, axis=1) * y).sum(1).mean()
    return loss + (w**2).sum() / (2 * c * len(x))


@pytest.mark.parametrize(("n", "d", "k"), [(300, 20, 3), (60, 100, 4), (200, 40, 7)])
def test_multinomial_equals_scikit_learn(n, d, k):
    x, y = rows(n, d, k)
    fit = Design(x, np.eye(k)[y]).fit(STRENGTHS)
    assert fit.converged.all()
    for i, c in enumerate(STRENGTHS):
        peer = LogisticRegression(C=c, tol=1e-8, max_iter=20000).fit(x, y)
        np.testing.assert_allclose(softmax(fit.logits(x)[i], axis=1), peer.predict_proba(x), atol=1e-4)
        ours = objective(fit.weights[i], fit.bias[i], x, np.eye(k)[y], c)
        assert ours <= objective(peer.coef_, peer.intercept_, x, np.eye(k)[y], c) + 1e-7


def test_binary_and_one_vs_rest_equal_scikit_learn():
    x, y = rows(250, 30, 3)
    several = np.eye(3)[y]
    fit = Design(x, several, "sigmoid").fit(STRENGTHS)
    for i, c in enumerate(STRENGTHS):
        for j in range(3):
            peer = LogisticRegression(C=c, tol=1e-8, max_iter=20000).fit(x, several[:, j])
            p = 1 / (1 + np.exp(-fit.logits(x)[i, :, j]))
            np.testing.assert_allclose(p, peer.predict_proba(x)[:, 1], atol=1e-4)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_soft_labels_and_row_weights_reach_the_float64_minimum(link):
    rng = np.random.default_rng(1)
    x, k = rng.normal(size=(80, 6)), 3 if link == "softmax" else 1
    y = rng.dirichlet(np.ones(3), 80) if link == "softmax" else rng.random((80, 1))
    weight = rng.random(80) + 0.1

    def value(flat: np.ndarray) -> float:
        w = flat.reshape(k, 7)
        z = x @ w[:, 1:].T + w[:, 0]
        loss = -(log_softmax(z, axis=1) * y).sum(1) if k > 1 else (np.logaddexp(0, z) - z * y)[:, 0]
        return (loss * weight).sum() + (w[:, 1:] ** 2).sum() / (2 * 0.7)

    peer = minimize(value, np.zeros(7 * k), method="BFGS", options={"gtol": 1e-8})
    fit = Design(x, y, link).fit([0.7], weight)
    ours = np.concatenate([fit.bias[0][:, None], fit.weights[0]], axis=1)
    assert value(ours.ravel()) - peer.fun <= 1e-7 * peer.fun


def test_a_weight_of_zero_leaves_a_row_out():
    x, y = rows(120, 15, 3)
    y = np.eye(3)[y]
    mask = (np.arange(120) % 3 > 0).astype(float)
    masked, alone = Design(x, y).fit([0.1], mask), Design(x[mask > 0], y[mask > 0]).fit([0.1])
    np.testing.assert_allclose(masked.logits(x), alone.logits(x), atol=1e-4)


def test_problems_solved_together_equal_problems_solved_alone():
    x, y = rows(150, 30, 4)
    design = Design(x, np.eye(4)[y])
    together = design.fit(STRENGTHS)
    for i, c in enumerate(STRENGTHS):
        alone = design.fit([c])
        np.testing.assert_allclose(
            softmax(together.logits(x)[i], axis=1), softmax(alone.logits(x)[0], axis=1), atol=1e-5
        )


def test_a_start_changes_the_way_and_not_the_end():
    x, y = rows(150, 30, 4)
    design = Design(x, np.eye(4)[y])
    cold = design.fit([1.0])
    warm = design.fit([1.0], start=design.fit([0.1], tolerance=1e-4))
    np.testing.assert_allclose(softmax(cold.logits(x), axis=-1), softmax(warm.logits(x), axis=-1), atol=1e-5)


def test_separable_rows_do_not_depend_on_the_thread_count():
    x, y = rows(40, 200, 4)
    found, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(softmax(Design(x, np.eye(4)[y]).fit(STRENGTHS).logits(x), axis=-1))
    torch.set_num_threads(before)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_running_out_of_iterations_is_said():
    x, y = rows(200, 30, 4)
    assert not Design(x, np.eye(4)[y]).fit([1e5], max_iterations=3).converged.any()


def test_strong_penalty_gives_the_class_frequencies():
    x, y = rows(90, 10, 3)
    p = softmax(Design(x, np.eye(3)[y]).fit([1e-12]).logits(x)[0], axis=1)
    np.testing.assert_allclose(p, np.tile(np.bincount(y) / 90, (90, 1)), atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(5, 40), st.integers(1, 50), st.integers(2, 5), st.sampled_from(STRENGTHS), st.integers(0, 99))
def test_the_gradient_vanishes_at_the_solution(n, d, k, c, seed):
    n = max(n, k)
    x, y = rows(n, d, k, seed)
    fit = Design(x, np.eye(k)[y]).fit([c])
    residual = softmax(fit.logits(x)[0], axis=1) - np.eye(k)[y]
    gradient = residual.T @ x / n + fit.weights[0] / (c * n)
    # The squared gradient over twice the steepest curvature is a lower bound of the gap.
    steepest = 1 / (c * n) + 0.5 * (np.linalg.norm(x, 2) ** 2 / n + 1)
    gap = ((gradient**2).sum() + (residual.mean(0) ** 2).sum()) / (2 * steepest)
    assert gap < 1e-8
