"""L-BFGS for many problems side by side, each with its own steps; those that are done leave the batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.protocols._loss import Losses

MEMORY = 8
"""Pairs kept."""
ARMIJO = 1e-4
FLOOR = 1e-3
"""Objective below which the tolerance is absolute: separable rows can bring the loss to almost nothing."""
LEAVE = 0.25
"""Problems leave the batch once this share of it is done."""
STALL = 4
"""Passes without progress after which a low-precision run gives a problem up."""

Pair = tuple[Tensor, Tensor, Tensor]


@dataclass
class Start:
    """Where a run begins: parameters w (m, k, p) and the (step, change of gradient, 1 / product) pairs."""

    w: Tensor
    pairs: list[Pair] = field(default_factory=list)

    @classmethod
    def zero(cls, shape: tuple[int, ...]) -> Start:
        return cls(torch.zeros(shape, dtype=torch.float64))

    def to(self, dtype: torch.dtype) -> Start:
        return Start(self.w.to(dtype), [tuple(t.to(dtype) for t in pair) for pair in self.pairs])

    def part(self, index: Tensor) -> Start:
        return Start(self.w[index], [tuple(t[index] for t in pair) for pair in self.pairs])


@dataclass(frozen=True)
class Outcome:
    """Where a run ended; gap: half the estimated Newton decrement (m,), converged: bool (m,)."""

    start: Start
    gap: Tensor
    converged: Tensor
    iterations: int


def minimise(losses: Losses, start: Start, tolerance: float, limit: int, stall: bool = False) -> Outcome:
    """Run until the estimated gap is below `tolerance` times the objective (at least FLOOR), twice in a row.

    stall: also stop a problem whose objective no longer falls (float32 at the end of its precision).
    """
    m = len(start.w)
    end = Start(start.w.clone(), [tuple(t.clone() for t in pair) for pair in _room(start)])
    gap, converged = torch.full((m,), torch.inf, dtype=torch.float64), torch.zeros(m, dtype=torch.bool)
    live = torch.arange(m)
    state = _State(losses, start)
    iterations = 0
    while iterations < limit:
        iterations += 1
        decrement = state.aim()
        small = decrement / 2 <= tolerance * state.value.clamp(min=FLOOR)
        state.quiet = torch.where(small, state.quiet + 1, 0)
        done = (state.quiet >= 2) | ((state.stalled >= STALL) if stall else False)
        gap[live], converged[live] = decrement / 2, done
        if done.all():
            break
        if done.double().mean() >= LEAVE:
            _store(end, live, state)
            stay = torch.nonzero(~done)[:, 0]
            live = live[stay]
            state.keep(stay)
        state.step()
    _store(end, live, state)
    return Outcome(end, gap, converged, iterations)


def _room(start: Start) -> list[Pair]:
    """MEMORY pairs, empty ones first, so that problems that leave at different times can be kept together."""
    blank = torch.zeros_like(start.w)
    none = torch.zeros(len(start.w), dtype=start.w.dtype)
    return [(blank, blank, none)] * (MEMORY - len(start.pairs)) + start.pairs


def _store(end: Start, live: Tensor, state: _State) -> None:
    end.w[live] = state.w
    for place, pair in zip(reversed(end.pairs), reversed(state.pairs), strict=False):
        for kept, fresh in zip(place, pair, strict=True):
            kept[live] = fresh


class _State:
    """The problems still running."""

    def __init__(self, losses: Losses, start: Start) -> None:
        self.losses, self.w, self.pairs = losses, start.w, list(start.pairs)
        self.logits = losses.logits(self.w)
        self.value, probability = losses.value(self.w, self.logits)
        self.gradient = losses.gradient(self.w, probability)
        self.direction, self.slope = self.gradient, self.value
        self.quiet = self.stalled = torch.zeros(len(self.w), dtype=torch.int64)

    def keep(self, index: Tensor) -> None:
        self.losses = self.losses.part(index)
        for name in ("w", "logits", "value", "gradient", "direction", "slope", "quiet", "stalled"):
            setattr(self, name, getattr(self, name)[index])
        self.pairs = [tuple(t[index] for t in pair) for pair in self.pairs]

    def aim(self) -> Tensor:
        """Set the direction; returns the squared Newton decrement it implies, float64 (m,)."""
        self.direction = _direction(self.gradient, self.pairs, self.losses.curvature)
        self.slope = _dot(self.gradient, self.direction).double()
        return -self.slope

    def step(self) -> None:
        """Move along the direction and learn the curvature met."""
        along = self.losses.logits(self.direction)
        size, value, probability = self._search(along)
        taken = self.direction * size
        self.w, self.logits = self.w + taken, self.logits.add_(along.mul_(size))
        fresh = self.losses.gradient(self.w, probability)
        change = fresh - self.gradient
        product = _dot(taken, change)
        rho = torch.where(product > 0, 1.0 / product, 0.0)
        rho = torch.where(torch.isfinite(rho), rho, 0.0)
        self.pairs = [*self.pairs, (taken, change, rho)][-MEMORY:]
        self.stalled = torch.where(self.value - value <= 1e-6 * value, self.stalled + 1, 0)
        self.gradient, self.value = fresh, value

    def _search(self, along: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Backtrack from 1 until the objective falls enough (Armijo); logits are linear, so no product is needed."""
        losses, slack = self.losses, 4 * torch.finfo(self.w.dtype).eps
        step = torch.ones_like(self.value)
        for _ in range(30):
            t = step.to(self.w.dtype)[:, None, None]
            value, probability = losses.value(self.w + t * self.direction, self.logits + t * along)
            fine = value <= self.value + ARMIJO * step * self.slope + slack * self.value
            if fine.all():
                break
            # The minimum of the parabola through both values and the slope, kept within [0.1, 0.5] of the step.
            bend = 2 * (value - self.value - self.slope * step)
            guess = (-self.slope * step**2 / bend).nan_to_num(0.0)
            step = torch.where(fine, step, guess.clamp(min=0.1 * step, max=0.5 * step))
        return t, value, probability


def _direction(gradient: Tensor, pairs: list[Pair], curvature: Tensor) -> Tensor:
    """Two-loop recursion (Nocedal & Wright 2006, algorithm 7.4), each problem for itself."""
    q, kept = gradient.clone(), []
    for step, change, rho in reversed(pairs):
        alpha = rho * _dot(step, q)
        q.sub_(alpha[:, None, None] * change)
        kept.append(alpha)
    q.div_(curvature)
    if pairs:
        _, change, rho = pairs[-1]
        scale = 1.0 / (rho * _dot(change, change / curvature))
        q.mul_(torch.where(rho > 0, scale, 1.0).nan_to_num(1.0, posinf=1.0)[:, None, None])
    for (step, change, rho), alpha in zip(pairs, reversed(kept), strict=True):
        q.add_((alpha - rho * _dot(change, q))[:, None, None] * step)
    return q.neg_()


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))
