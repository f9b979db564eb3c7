"""L2 logistic regression, many problems at once on one matrix: every C and fold shares its products.

Problem m minimises   mean_i[ loss(y_i, w x_i + b) ] + ||w||^2 / (2 C_m N_m)
over w and an unpenalised b, where the mean is weighted by row weights and N_m is their sum: scikit-learn's
objective (C times the summed loss plus ||w||^2 / 2) divided by C N. `link` "softmax" couples the columns of y,
"sigmoid" makes each column a problem of its own (binary and one-vs-rest).

The matrix is turned to its principal axes, which leaves ||w|| alone. There the Hessian at w = 0 is diagonal, and
L-BFGS started from that diagonal needs few passes. Float32 passes bring every problem near its minimum; float64
passes, which take over the curvature learnt, finish it, and Newton's method what is too ill-conditioned for them. A
problem is solved when a dual feasible point proves that its
objective is within the tolerance of the minimum: what is returned depends neither on an estimate nor on the
number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bench.allocator import freed_memory_kept
from bench.features.resident import CPU, Array
from bench.protocols._arrays import beside, host
from bench.protocols._lbfgs import LbfgsResult, Start, minimise
from bench.protocols._loss import Losses
from bench.protocols._train import one_thread

TOLERANCE = 1e-10
"""Relative gap of the objective, proven, at which a problem is solved."""
ROUGH = 1e-6
"""Relative gap, estimated, at which the float32 passes end."""
MAX_ITERATIONS = 1000
ALONE = 1024
"""Columns up to which eigenvectors are found on one thread."""
SMALL = 2048
"""Parameters of a problem up to which Newton's method takes over from L-BFGS, after as many passes as a quarter of
them: a step costs about what that many passes do, and a handful of steps is enough."""
FEWEST = 32
"""Passes of L-BFGS in each precision before that, however small the problem."""
NEWTON_STEPS = 100


@dataclass(frozen=True)
class LogisticFit:
    """Solutions of m problems.

    weights: float64 (m, k, d). bias: float64 (m, k). gap: float64 (m,), a bound: the objective is at most this
    far from its minimum. converged: bool (m,). iterations: float32 and float64 passes together.
    """

    weights: np.ndarray
    bias: np.ndarray
    gap: np.ndarray
    converged: np.ndarray
    iterations: int

    def part(self, which: slice) -> LogisticFit:
        """The fit of some of the problems."""
        return LogisticFit(
            self.weights[which], self.bias[which], self.gap[which], self.converged[which], self.iterations
        )

    def logits(self, x: Array) -> np.ndarray:
        """float64 (m, n, k) for rows x (n, d), float64 on a device."""
        m, k, d = self.weights.shape
        rows = x.astype(np.float64, copy=False) if isinstance(x, np.ndarray) else x
        flat = host(rows @ beside(self.weights.reshape(m * k, d).T, rows))
        return flat.reshape(len(x), m, k).transpose(1, 0, 2) + self.bias[:, None]


class Design:
    """Rows and targets that several fits share.

    x: float (n, d). y: (n, k) in [0, 1]; for "softmax" its rows sum to 1 (soft labels are fine). The problems are
    solved where x lies; what comes back is arrays.
    """

    def __init__(self, x: Array, y: np.ndarray, link: str = "softmax") -> None:
        self.link, self.device = link, x.device if isinstance(x, Tensor) else CPU
        with self._there():
            self.axes, self.rows = _principal(torch.as_tensor(x, dtype=torch.float64))
            target = torch.as_tensor(np.ascontiguousarray(np.asarray(y, dtype=np.float64).T))
            # Shares in float32 sum to 1 but for rounding; then no common bias is the best, and no gap is bounded.
            total = target.sum(0)
            self.target = target / torch.where(total > 0, total, 1.0) if link == "softmax" else target

    def _there(self) -> AbstractContextManager[object]:
        """Tensors made inside lie on the device; for the CPU nothing is changed, which takes no time."""
        return nullcontext() if self.device.type == "cpu" else self.device

    def fit(
        self,
        strengths: Sequence[float],
        weights: np.ndarray | None = None,
        *,
        start: LogisticFit | None = None,
        tolerance: float = TOLERANCE,
        max_iterations: int = MAX_ITERATIONS,
    ) -> LogisticFit:
        """Solve len(strengths) problems, each with its C. weights: (m, n) or (n,) row weights, 0 leaves a row out.

        start: solutions to begin from, m problems or one for all.
        """
        with self._there(), freed_memory_kept():
            return self._fit(strengths, weights, start, tolerance, max_iterations)

    def _fit(
        self,
        strengths: Sequence[float],
        weights: np.ndarray | None,
        start: LogisticFit | None,
        tolerance: float,
        max_iterations: int,
    ) -> LogisticFit:
        n, m, k = self.rows.shape[1], len(strengths), len(self.target)
        rows = torch.ones(n, dtype=torch.float64) if weights is None else torch.as_tensor(weights, dtype=torch.float64)
        rows, c = rows.expand(m, n), torch.as_tensor(np.asarray(strengths, dtype=np.float64))
        target = self.target[None]
        if self.link == "sigmoid":
            rows, c, target = rows.repeat_interleave(k, 0), c.repeat_interleave(k), self.target.repeat(m, 1)[:, None]
        losses = Losses(self.rows, target, rows, c, self.link)
        w = self._turned(start, m).reshape(losses.shape) if start else torch.zeros(losses.shape, dtype=rows.dtype)
        begin = Start(losses.without_absent(w))
        parameters = losses.shape[1] * losses.shape[2]
        small = parameters <= SMALL
        passes = min(max_iterations, max(FEWEST, parameters // 4)) if small else max_iterations
        rough = minimise(losses.to(torch.float32), begin.to(torch.float32), ROUGH, passes)
        fine = minimise(losses, rough.start.to(torch.float64), tolerance, passes)
        if small and not fine.converged.all():
            fine = _finished(losses, fine, tolerance, min(NEWTON_STEPS, max_iterations))
        w = fine.start.w.reshape(m, k, -1)
        return LogisticFit(
            (w[..., 1:] @ self.axes.T).cpu().numpy(),
            w[..., 0].cpu().numpy(),
            fine.gap.reshape(m, -1).sum(1).cpu().numpy(),
            fine.converged.reshape(m, -1).all(1).cpu().numpy(),
            rough.iterations + fine.iterations,
        )

    def _turned(self, start: LogisticFit, m: int) -> Tensor:
        w = torch.cat([torch.as_tensor(start.bias)[..., None], torch.as_tensor(start.weights) @ self.axes], dim=-1)
        return w.expand(m, *w.shape[1:]).contiguous()


def _finished(losses: Losses, sofar: LbfgsResult, tolerance: float, limit: int) -> LbfgsResult:
    """Newton's method for the problems too ill-conditioned for L-BFGS."""
    left = torch.nonzero(~sofar.converged)[:, 0]
    last = minimise(losses.part(left), Start(sofar.start.w[left]), tolerance, limit, newton=True)
    sofar.start.w[left], sofar.gap[left], sofar.converged[left] = last.start.w, last.gap, last.converged
    return replace(sofar, iterations=sofar.iterations + last.iterations)


def _eigenvectors(products: Tensor) -> Tensor:
    """Of a symmetric matrix. A small one on one thread: the steps are short, and where other programs run beside, each
    waits for every thread (129 columns on two busy cores: 4 s on two threads, 3 ms on one)."""
    with one_thread() if len(products) <= ALONE else nullcontext():
        return torch.linalg.eigh(products).eigenvectors


def _principal(x: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal axes (d, r), r = min(n, d), that span every row, and the turned rows under a row of ones, (1 + r, n).

    No axis is left out, however little varies along it: a bound for some of them would be none for the whole.
    """
    n, d = x.shape
    if d > n:
        span = torch.linalg.qr(x.T).Q
        within = x @ span
        axes = span @ _eigenvectors(within.T @ within)
    else:
        axes = _eigenvectors(x.T @ x).contiguous()  # the layout decides the last bits of `rows`
    rows = torch.ones(1 + axes.shape[1], n, dtype=x.dtype)
    torch.mm(axes.T, x.T, out=rows[1:])
    return axes, rows
