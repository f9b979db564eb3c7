"""L2 logistic regression, many problems at once on one matrix: every C and fold shares its products.

Problem m minimises   mean_i[ loss(y_i, w x_i + b) ] + ||w||^2 / (2 C_m N_m)
over w and an unpenalised b, where the mean is weighted by row weights and N_m is their sum: scikit-learn's
objective (C times the summed loss plus ||w||^2 / 2) divided by C N. `link` "softmax" couples the columns of y,
"sigmoid" makes each column a problem of its own (binary and one-vs-rest).

The matrix is turned to its principal axes, which leaves ||w|| alone. There the Hessian at w = 0 is diagonal, and
L-BFGS started from that diagonal needs few passes. Float32 passes bring every problem near its minimum; float64
passes, which take over the curvature learnt, finish it, and Newton's method what is too ill-conditioned for them, or
everything where its steps are cheap. A problem is solved when a dual feasible point proves that its
objective is within the tolerance of the minimum: what is returned depends neither on an estimate nor on the
number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.allocator import freed_memory_kept
from bench.features.resident import CPU, Array
from bench.protocols._arrays import beside, host
from bench.protocols._lbfgs import LbfgsResult, Start, minimise
from bench.protocols._loss import Losses, newton_operations
from bench.threads import one_thread

TOLERANCE = 1e-10
"""Relative gap of the objective, proven, at which a problem is solved."""
ROUGH = 1e-6
"""Relative gap, estimated, at which the float32 passes end."""
MAX_ITERATIONS = 1000
SHORT = 3 * 10**8
"""Operations of a product over all problems (milliseconds) up to which they are solved on one thread: where other
programs run beside, each of many short steps waits for every thread (measured: 5 to 11 times as long on two)."""
ALONE = 1024
"""Columns up to which eigenvectors are found on one thread."""
FEWEST = 32
"""Passes of L-BFGS in each precision before Newton's method takes over, however small the problem; of larger ones as
many as a quarter of their parameters: a step costs about what that many passes do, and a handful is enough."""
NEWTON_STEPS = 100
DIRECT, DIRECT_ELSEWHERE = {"cpu": 10**7}, 10**9
"""Operations of a step of Newton's method for one problem up to which there are no float64 passes before it."""
SHARE = {"cpu": 8}
"""Parameters of such a problem for each float32 pass; elsewhere, where launches take the time, there are none."""
TOGETHER = 1 << 24
"""Logits of all problems up to which matrices are solved side by side: 128 MB in float64."""
L = TypeVar("L")


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


class Designs:
    """Rows and targets of several matrices, whose problems are solved side by side; see `Design` for one.

    xs: float (n, d) each; ys: (n, k) in [0, 1]; for "softmax" its rows sum to 1 (soft labels are fine). All lie in one
    place, where the problems are solved; what comes back is arrays. Smaller matrices get rows of no weight.
    """

    def __init__(self, xs: Sequence[Array], ys: Sequence[np.ndarray], link: str = "softmax") -> None:
        self.link, self.device = link, xs[0].device if isinstance(xs[0], Tensor) else CPU
        with self._there():
            turned = [_principal(torch.as_tensor(x, dtype=torch.float64)) for x in xs]
            self.axes, self.sizes = [axes for axes, _ in turned], [rows.shape[1] for _, rows in turned]
            self.rows = _filled([rows for _, rows in turned])
            self.target = _filled([_targets(y, link) for y in ys])

    def _there(self) -> AbstractContextManager[object]:
        """Tensors made inside lie on the device; for the CPU nothing is changed, which takes no time."""
        return nullcontext() if self.device.type == "cpu" else self.device

    def fit(
        self,
        strengths: Sequence[Sequence[float]],
        weights: Sequence[np.ndarray] | None = None,
        *,
        start: Sequence[LogisticFit | None] | None = None,
        tolerance: float = TOLERANCE,
        max_iterations: int = MAX_ITERATIONS,
    ) -> list[LogisticFit]:
        """Solve, of each matrix, a problem for each of its strengths C, as many on each.

        weights: of each matrix (m, n) or (n,) row weights, 0 leaves a row out. start: of each matrix solutions to begin
        from, m problems or one for all, or none.
        """
        with self._there(), freed_memory_kept(), torch.inference_mode():
            c = torch.as_tensor(np.asarray(strengths, dtype=np.float64))
            each = [torch.ones(n, dtype=torch.float64) for n in self.sizes] if weights is None else weights
            each = [torch.as_tensor(w, dtype=torch.float64).expand(c.shape[1], -1) for w in each]
            losses = self._losses(c, _filled(each))
            begin = [torch.zeros(c.shape[1], len(self.target[0]), len(rows), dtype=c.dtype) for rows in self.rows]
            for i, known in enumerate(start or ()):
                if known is not None:
                    turned = torch.as_tensor(known.weights) @ self.axes[i]
                    begin[i][..., 0] = torch.as_tensor(known.bias)
                    begin[i][..., 1 : 1 + turned.shape[-1]] = turned
            with _threads(2 * math.prod(losses.shape) * losses.rows.shape[2]):
                found = _solution(losses, torch.cat(begin).reshape(losses.shape), tolerance, max_iterations)
            return self._found(found)

    def _losses(self, c: Tensor, weights: Tensor) -> Losses:
        """Of strengths (g, m) and row weights (g, m, n)."""
        k, target = self.target.shape[1], self.target[:, None]
        if self.link == "sigmoid":
            weights, target = weights.repeat_interleave(k, 1), self.target.repeat(1, c.shape[1], 1)[:, :, None]
            c = c.repeat_interleave(k, 1)
        return Losses(self.rows, target, weights.reshape(-1, weights.shape[-1]), c.flatten(), self.link)

    def _found(self, solved: LbfgsResult) -> list[LogisticFit]:
        """The solutions on each matrix, in its own axes."""
        g, k = self.target.shape[:2]
        w = solved.start.w.reshape(g, -1, k, self.rows.shape[1])
        shape = (g, w.shape[1], -1)
        bias, gap = w[..., 0].cpu().numpy(), solved.gap.reshape(shape).sum(2).cpu().numpy()
        converged = solved.converged.reshape(shape).all(2).cpu().numpy()
        return [
            LogisticFit(
                (w[i, ..., 1 : 1 + axes.shape[1]] @ axes.T).cpu().numpy(),
                bias[i], gap[i], converged[i], solved.iterations,
            )
            for i, axes in enumerate(self.axes)
        ]  # fmt: skip


class Extent(NamedTuple):
    """Of what is learnt: folds, rows, features, columns of the targets that are coupled, and logits of a row in all."""

    folds: int
    rows: int
    features: int
    columns: int
    logits: int

    @classmethod
    def of(cls, folds: int, x: tuple[int, int], columns: int, link: str, strengths: int) -> Extent:
        """x: rows and features; strengths: how many C are tried on each fold."""
        return cls(folds, *x, columns if link == "softmax" else 1, columns * strengths * max(1, folds))

    @property
    def width(self) -> int:
        """Parameters of a column."""
        return 1 + min(self.rows, self.features)

    def direct(self, device: str) -> bool:
        """Whether Newton's method is cheap."""
        return _direct(newton_operations(self.rows, self.width, self.columns), device)

    def memory_bytes(self, matrices: int = 1, *, beside: int = 0) -> int:
        """Memory to expect of a search, of so many matrices as `side_by_side` takes of these.

        The rows in float64, as they come and turned, and beside them what takes most: a third copy, the arrays of
        logits and of parameters (as measured), or `beside`, what is made of the solutions.
        """
        some = max(1, min(matrices, TOGETHER // (self.rows * self.logits)))
        rows, logits = 8 * some * self.rows * self.features, 8 * some * self.rows * self.logits
        arrays = (6 if self.columns > 1 else 14) * logits + 75 * 8 * some * self.logits * self.width
        return 2 * rows + max(rows, arrays, beside)


def side_by_side(
    learning: Iterable[L], extent: Callable[[L], Extent], device: torch.device, *, together: bool
) -> Iterator[list[L]]:
    """What is learnt side by side: each alone, or if `together` neighbours, as long as the logits of all are few.

    They are filled up to the largest. What has no folds is apart, and what is solved in another way.
    """
    if not together:
        yield from ([one] for one in learning)
        return
    found: list[L] = []
    for one in learning:
        sizes = [*map(extent, found), extent(one)]
        many = len(sizes) * max(e.rows for e in sizes) * max(e.logits for e in sizes) > TOGETHER
        if found and (many or len({(e.folds > 0, e.direct(device.type)) for e in sizes}) > 1):
            yield found
            found = []
        found.append(one)
    if found:
        yield found


def searches(rows: Sequence[np.ndarray], strengths: int) -> list[np.ndarray]:
    """Row weights, float64 (m, n), of a search: of each matrix for each of its folds, (f, n), and each strength.

    Where there are fewer folds than most the last one is there again.
    """
    most = max(map(len, rows))
    full = (np.concatenate([each, np.repeat(each[-1:], most - len(each), axis=0)]) for each in rows)
    return [np.repeat(each, strengths, axis=0).astype(np.float64) for each in full]


class Design:
    """Rows x (n, d) and targets y (n, k) that several fits share; as `Designs` of one matrix."""

    def __init__(self, x: Array, y: np.ndarray, link: str = "softmax") -> None:
        self._alone = Designs([x], [y], link)

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
        known = None if weights is None else [weights]
        (found,) = self._alone.fit(
            [strengths], known, start=[start], tolerance=tolerance, max_iterations=max_iterations
        )
        return found


def _threads(operations: int) -> AbstractContextManager[object]:
    """One thread for steps of so few operations."""
    return one_thread() if operations <= SHORT else nullcontext()


def _targets(y: np.ndarray, link: str) -> Tensor:
    """float64 (k, n)."""
    target = torch.as_tensor(np.ascontiguousarray(np.asarray(y, dtype=np.float64).T))
    # Shares in float32 sum to 1 but for rounding; then no common bias is the best, and no gap is bounded.
    total = target.sum(0)
    return target / torch.where(total > 0, total, 1.0) if link == "softmax" else target


def _filled(parts: Sequence[Tensor]) -> Tensor:
    """One tensor, (g, ...), of g tensors, which are filled up with 0 to the size of the largest."""
    if len(parts) == 1:
        return parts[0][None]
    found = parts[0].new_zeros(len(parts), *(max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True)))
    for place, part in zip(found, parts, strict=True):
        place[tuple(map(slice, part.shape))] = part
    return found


def _solution(losses: Losses, w: Tensor, tolerance: float, max_iterations: int) -> LbfgsResult:
    """Float32 passes from w, and float64 passes from where they end, with Newton's method for what these leave; or at
    once, where it is cheap."""
    begin = Start(losses.without_absent(w))
    (_, k, width), device = losses.shape, losses.rows.device.type
    parameters, steps = k * width, min(NEWTON_STEPS, max_iterations)
    direct = _direct(newton_operations(losses.rows.shape[2], width, k), device)
    if direct:
        passes = parameters // SHARE[device] if device in SHARE else 0
    else:
        passes = max(FEWEST, parameters // 4) if losses.newton_fits else max_iterations
    rough = minimise(losses.to(torch.float32), begin.to(torch.float32), ROUGH, min(passes, max_iterations))
    near = rough.start.to(torch.float64)
    if direct:
        fine = minimise(losses, Start(near.w), tolerance, steps, newton=True)
    else:
        fine = minimise(losses, near, tolerance, min(passes, max_iterations))
        if losses.newton_fits and not fine.converged.all():
            fine = _finished(losses, fine, tolerance, steps)
    return replace(fine, iterations=rough.iterations + fine.iterations)


def _direct(operations: int, device: str) -> bool:
    """Whether Newton's method is cheap, by the operations of a step."""
    return operations <= DIRECT.get(device, DIRECT_ELSEWHERE)


def _finished(losses: Losses, sofar: LbfgsResult, tolerance: float, limit: int) -> LbfgsResult:
    """Newton's method for the problems too ill-conditioned for L-BFGS, matrix by matrix: none is there to fill up."""
    each, iterations = len(losses.weights) // len(losses.rows), sofar.iterations
    for i in range(len(losses.rows)):
        left = torch.nonzero(~sofar.converged[i * each : (i + 1) * each])[:, 0] + i * each
        if len(left):
            part = losses.part(left, [i])
            last = minimise(part, Start(sofar.start.w[left]), tolerance, limit, newton=True)
            sofar.start.w[left], sofar.gap[left], sofar.converged[left] = last.start.w, last.gap, last.converged
            iterations += last.iterations
    return replace(sofar, iterations=iterations)


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
    with _threads(2 * n * d * min(n, d)):
        if d > n:
            span = torch.linalg.qr(x.T).Q
            within = x @ span
            axes = span @ _eigenvectors(within.T @ within)
        else:
            axes = _eigenvectors(x.T @ x).contiguous()  # the layout decides the last bits of `rows`
        rows = torch.ones(1 + axes.shape[1], n, dtype=x.dtype)
        torch.mm(axes.T, x.T, out=rows[1:])
    return axes, rows
