"""L2 logistic regression, many problems at once on one matrix: every C, fold and mask shares its products.

Problem m minimises   mean_i[ loss(y_i, a_i w + b) ] + ||w||^2 / (2 C_m N_m)
over w and an unpenalised b, where the mean is weighted by `weights[m]` and N_m is its sum: scikit-learn's
objective (C times the summed loss plus ||w||^2 / 2) divided by C N. `link` "softmax" couples the columns of y,
"sigmoid" makes each column a problem of its own (binary and one-vs-rest).

The matrix is first turned to its principal axes, which leaves ||w|| alone. There the Hessian at w = 0 is diagonal,
and L-BFGS started from that diagonal needs few passes. Everything is float64: on separable data float32 stops where
rounding, and with it the thread count, decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-9
MAX_ITERATIONS = 1000
MEMORY = 8
"""Pairs kept by L-BFGS."""
ARMIJO = 1e-4
COMPACT_BELOW = 0.75
"""Problems that are done leave the batch when fewer than this share is left."""


@dataclass(frozen=True)
class Fit:
    """weights: float64 (m, k, d); bias: float64 (m, k); converged: bool (m,); gap: float64 (m,), the estimated
    distance of the objective from its minimum (half the Newton decrement); iterations: how many were needed."""

    weights: np.ndarray
    bias: np.ndarray
    converged: np.ndarray
    gap: np.ndarray
    iterations: int

    def part(self, which: slice) -> Fit:
        """The fit of some of the problems."""
        return Fit(self.weights[which], self.bias[which], self.converged[which], self.gap[which], self.iterations)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """float64 (m, n, k) for rows x (n, d)."""
        m, k, d = self.weights.shape
        flat = x.astype(np.float64, copy=False) @ self.weights.reshape(m * k, d).T
        return flat.reshape(len(x), m, k).transpose(1, 0, 2) + self.bias[:, None]


def fit(
    x: np.ndarray,
    y: np.ndarray,
    strengths: Sequence[float],
    *,
    weights: np.ndarray | None = None,
    link: str = "softmax",
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> Fit:
    """Solve len(strengths) problems on rows x (n, d).

    y: (n, k) targets in [0, 1]; for "softmax" its rows sum to 1 (soft labels are fine).
    strengths: C of each problem. weights: (m, n) row weights, 0 leaves a row out; None is 1 everywhere.
    tolerance: stop when the estimated relative gap of the objective is below it.
    """
    axes, turned = principal(torch.as_tensor(np.asarray(x, dtype=np.float64)))
    target = torch.as_tensor(np.asarray(y, dtype=np.float64).T.copy())
    m, k, n = len(strengths), len(target), turned.shape[1]
    rows = torch.ones(1, n, dtype=torch.float64) if weights is None else torch.as_tensor(weights, dtype=torch.float64)
    rows = rows.expand(m, n)
    c = torch.as_tensor(np.asarray(strengths, dtype=np.float64))
    if link == "sigmoid":
        rows, c = rows.repeat_interleave(k, 0), c.repeat_interleave(k)
        target = target.repeat(m, 1)[:, None]
    else:
        target = target[None]
    problem = _Batch(turned, target, rows, c, link)
    w, converged, gap, iterations = _minimise(problem, tolerance, max_iterations)
    w = w.reshape(m, k, -1)
    return Fit(
        (w[..., 1:] @ axes.T).numpy(), w[..., 0].numpy(), converged.reshape(m, -1).all(1).numpy(),
        gap.reshape(m, -1).sum(1).numpy(), iterations,
    )


def principal(x: Tensor) -> tuple[Tensor, Tensor]:
    """Axes (d, r) and the turned rows with a leading row of ones, transposed: (1 + r, n)."""
    n, d = x.shape
    gram = x.T @ x if d <= n else x @ x.T
    values, vectors = torch.linalg.eigh(gram)
    keep = values > values[-1].clamp(min=1e-300) * 1e-13
    axes = vectors[:, keep]
    if d > n:
        axes = x.T @ axes / values[keep].sqrt()
    return axes, torch.cat([torch.ones(1, n, dtype=x.dtype), (x @ axes).T])


class _Batch:
    """Loss, gradient and diagonal curvature of the problems still running. Parameters are (m, k, 1 + r)."""

    def __init__(self, rows_t: Tensor, target: Tensor, weights: Tensor, strengths: Tensor, link: str) -> None:
        self.rows_t, self.rows, self.link = rows_t, rows_t.T.contiguous(), link
        self.target, self.weights = target, weights / weights.sum(1, keepdim=True)
        self.decay = (1.0 / (strengths * weights.sum(1)))[:, None, None]
        size = target.shape[1]
        spread = (1.0 / size if link == "softmax" else 0.25) * rows_t.square().mean(1)
        penalised = torch.ones_like(spread)
        penalised[0] = 0.0
        self.penalised = penalised
        self.curvature = spread + self.decay * penalised
        self.shape = (len(strengths), size, len(rows_t))

    def keep(self, index: Tensor) -> None:
        """Forget the other problems."""
        self.target = self.target[index] if len(self.target) > 1 else self.target
        self.weights, self.decay, self.curvature = self.weights[index], self.decay[index], self.curvature[index]

    def logits(self, w: Tensor) -> Tensor:
        """(m, k, n)."""
        return (w.reshape(-1, w.shape[-1]) @ self.rows_t).view(*w.shape[:2], -1)

    def value(self, w: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Objective (m,) and the probabilities (m, k, n) it was computed from."""
        if self.link == "softmax":
            top = logits.amax(1, keepdim=True)
            exp = torch.exp(logits - top)
            total = exp.sum(1, keepdim=True)
            loss = (total.log() + top)[:, 0] - (logits * self.target).sum(1)
            probability = exp.div_(total)
        else:
            loss = (torch.nn.functional.softplus(logits) - logits * self.target)[:, 0]
            probability = torch.sigmoid(logits)
        penalty = (w.square() * self.penalised).sum((1, 2)) * self.decay[:, 0, 0] / 2
        return (loss * self.weights).sum(1) + penalty, probability

    def gradient(self, w: Tensor, probability: Tensor) -> Tensor:
        """(m, k, 1 + r)."""
        residual = (probability - self.target).mul_(self.weights[:, None])
        flat = residual.view(-1, residual.shape[-1]) @ self.rows
        return flat.view_as(w) + self.decay * self.penalised * w


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


def _direction(gradient: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]], curvature: Tensor) -> Tensor:
    """Two-loop recursion (Nocedal & Wright 2006, algorithm 7.4), each problem for itself."""
    q, kept = gradient.clone(), []
    for step, change, rho in reversed(pairs):
        alpha = rho * _dot(step, q)
        q.sub_(alpha[:, None, None] * change)
        kept.append(alpha)
    q.div_(curvature)
    if pairs:
        step, change, rho = pairs[-1]
        scale = 1.0 / (rho * _dot(change, change / curvature)).clamp(min=1e-300)
        q.mul_(torch.where(rho > 0, scale, 1.0)[:, None, None])
    for (step, change, rho), alpha in zip(pairs, reversed(kept), strict=True):
        q.add_((alpha - rho * _dot(change, q))[:, None, None] * step)
    return q.neg_()


def _minimise(problem: _Batch, tolerance: float, max_iterations: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """Parameters, whether converged, estimated gap of each problem, and the iterations used."""
    m = problem.shape[0]
    found = torch.zeros(problem.shape, dtype=torch.float64)
    gaps = torch.full((m,), float("inf"), dtype=torch.float64)
    live = torch.arange(m)
    w = torch.zeros(problem.shape, dtype=torch.float64)
    logits = torch.zeros(*problem.shape[:2], problem.rows.shape[0], dtype=torch.float64)
    value, probability = problem.value(w, logits)
    gradient = problem.gradient(w, probability)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    quiet = torch.zeros(m, dtype=torch.int64)
    iteration = 0
    for iteration in range(1, max_iterations + 1):
        direction = _direction(gradient, pairs, problem.curvature)
        slope = _dot(gradient, direction)
        small = -slope / 2 <= tolerance * value.clamp(min=1e-12)
        quiet = torch.where(small, quiet + 1, 0)
        done = quiet >= 2
        gaps[live], found[live] = -slope / 2, w
        if done.all():
            break
        if done.double().mean() > 1 - COMPACT_BELOW:
            index = torch.nonzero(~done)[:, 0]
            problem.keep(index)
            live, w, logits, value, gradient, direction, slope, quiet = (
                t[index] for t in (live, w, logits, value, gradient, direction, slope, quiet)
            )
            pairs = [tuple(t[index] for t in pair) for pair in pairs]
        change_logits = problem.logits(direction)
        step, value, probability = _search(problem, w, direction, logits, change_logits, value, slope)
        scaled = direction * step[:, None, None]
        w = w + scaled
        logits = logits + change_logits * step[:, None, None]
        fresh = problem.gradient(w, probability)
        change = fresh - gradient
        product = _dot(scaled, change)
        rho = torch.where(product > 1e-300, 1.0 / product.clamp(min=1e-300), 0.0)
        pairs = [*pairs, (scaled, change, rho)][-MEMORY:]
        gradient = fresh
    return found, gaps < float("inf"), gaps, iteration


def _search(problem, w, direction, logits, change, value, slope):
    step = torch.ones_like(value)
    for _ in range(30):
        t = step[:, None, None]
        new, probability = problem.value(w + t * direction, logits + t * change)
        fine = new <= value + ARMIJO * step * slope + 1e-14 * value.abs()
        if fine.all():
            break
        # Minimum of the parabola through value, slope and the new value, kept within [0.1, 0.5] of the step.
        guess = -slope * step**2 / (2 * (new - value - slope * step)).clamp(min=1e-300)
        step = torch.where(fine, step, torch.minimum(torch.maximum(guess, 0.1 * step), 0.5 * step))
    return step, new, probability
