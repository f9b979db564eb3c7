"""L-BFGS and Newton's method for many problems side by side, each with its own steps; what is done leaves the batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.protocols._loss import Losses

MEMORY = 8
"""Pairs kept."""
ARMIJO = 1e-4
FACTORS = (1e-6, 1.0)
"""Range of a loss's curvature as a share of that at zero."""
FLOOR = 1e-3
"""Objective below which the tolerance is absolute: separable rows can bring the loss to almost nothing."""
LEAVE = 0.25
"""Problems leave the batch once this share of it is done."""
BIAS_STEPS = 2
"""Newton steps that settle a bias; each squares the error."""
STALL = 4
"""Passes without progress after which a low-precision run gives a problem up."""
DOUBLINGS = 4
"""How often a step of Newton's method is made longer: where rows are separable, a whole one lowers a loss by no more
than a factor e."""
FALLING = 0.01
"""Slope, as a share of the objective, from which on that is tried."""

Pair = tuple[Tensor, Tensor, Tensor]


@dataclass
class Start:
    """Where a run begins: parameters w (m, k, p) and the (step, change of gradient, 1 / product) pairs."""

    w: Tensor
    pairs: list[Pair] = field(default_factory=list)

    def to(self, dtype: torch.dtype) -> Start:
        return Start(self.w.to(dtype), [(s.to(dtype), y.to(dtype), rho.to(dtype)) for s, y, rho in self.pairs])

    def part(self, index: Tensor | slice) -> Start:
        return Start(self.w[index], [(s[index], y[index], rho[index]) for s, y, rho in self.pairs])


@dataclass(frozen=True)
class LbfgsResult:
    """Where a run ended; gap (m,): how far the objective is at most from its minimum; converged: bool (m,)."""

    start: Start
    gap: Tensor
    converged: Tensor
    iterations: int


def minimise(losses: Losses, start: Start, tolerance: float, limit: int, *, newton: bool = False) -> LbfgsResult:
    """Run until the gap is certainly below `tolerance` times the objective (at least FLOOR).

    newton: take Newton's direction, which needs the whole Hessian, instead of that of L-BFGS.

    In float32, where rounding hides the gap, a run ends sooner: once half the Newton decrement, as L-BFGS estimates it,
    is that small twice in a row, or the objective no longer falls.
    """
    m, certain = len(start.w), start.w.dtype == torch.float64
    pairs = [] if newton else _room(start)
    end = Start(_one_more(start.w), [(_one_more(s), _one_more(y), _one_more(rho)) for s, y, rho in pairs])
    gap, converged = torch.full((m + 1,), torch.inf, dtype=torch.float64), torch.zeros(m + 1, dtype=torch.bool)
    live, busy = torch.arange(m), m  # m, a place beyond, for problems that are only there to fill the batch
    state = _State(losses, start)
    iterations = 0
    while iterations < limit:
        iterations += 1
        fewest = LEAVE * busy if iterations < limit else 0.0
        found, done = state.certified(tolerance, fewest) if certain else state.estimated(tolerance)
        gap[live], converged[live] = found, done
        done = done | (live == m)
        left = len(done) - int(done.sum())
        if not left:
            break
        if busy - left >= LEAVE * busy:
            _store(end, live, state)
            stay = state.keep(~done)
            live, busy = torch.where(done, m, live)[stay], left
        state.step(newton)
    _store(end, live, state)
    return LbfgsResult(end.part(slice(m)), gap[:m], converged[:m], iterations)


def _one_more(x: Tensor) -> Tensor:
    return torch.cat([x, x[:1]])


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
        self.losses, self.w, self.pairs = losses, start.w.clone(), list(start.pairs)
        self.logits = losses.logits(self.w)
        self.value, probability = losses.value(self.w, self.logits)
        self.gradient = losses.gradient(self.w, probability)
        self.quiet = self.stalled = torch.zeros(len(self.w), dtype=torch.int64)
        self.direction: Tensor | None = None
        """Of the next step, where it is known already."""

    def keep(self, wanted: Tensor) -> Tensor:
        """Go on with the problems `wanted`, and what fills the batch; places of both."""
        index, self.losses = self.losses.chosen(wanted)
        for name in ("w", "logits", "value", "gradient", "quiet", "stalled"):
            setattr(self, name, getattr(self, name)[index])
        self.direction = None if self.direction is None else self.direction[index]
        self.pairs = [(s[index], y[index], rho[index]) for s, y, rho in self.pairs]
        return index

    def certified(self, tolerance: float, fewest: float) -> tuple[Tensor, Tensor]:
        """The bound on the gap, and whether it is small enough, (m,) each; biases are settled where it is near.

        As long as fewer than `fewest` are near none could leave, and nothing is proven.
        """
        enough = tolerance * self.value.clamp(min=FLOOR)
        near = (self.gradient.square() / self.losses.decay.clamp(min=1e-300))[..., 1:].sum((1, 2)) / 2 <= enough
        count = int(near.sum())
        if count < fewest:
            return torch.full_like(self.value, torch.inf), torch.zeros_like(near)
        if count:
            self._settle(near)
        gap = self.losses.gap(self.w, self.value, self.gradient).abs()  # below 0 by rounding, which is as large then
        return gap, gap <= enough

    def estimated(self, tolerance: float) -> tuple[Tensor, Tensor]:
        """Half the Newton decrement that L-BFGS implies, and whether to go no further in this precision, (m,) each."""
        self.direction = _direction(self.gradient, self.pairs, self.losses)
        half = -_dot(self.gradient, self.direction).double() / 2
        small = half <= tolerance * self.value.clamp(min=FLOOR)
        self.quiet = torch.where(small, self.quiet + 1, 0)
        return half, (self.quiet >= 2) | (self.stalled >= STALL)

    def _settle(self, near: Tensor) -> None:
        """Bring the biases of some problems to their minimum, so that nothing but the weights separates from it."""
        index, losses = self.losses.chosen(near)
        w, logits = self.w[index], self.logits[index]
        for _ in range(BIAS_STEPS):
            step = losses.bias_step(losses.value(w, logits)[1])
            w[..., 0] += step
            logits += step[..., None]
        value, probability = losses.value(w, logits)
        # The gap is proven anew for what is taken; a value may be worse by its rounding (probabilities are near 1).
        fine = value <= self.value[index] + 4 * torch.finfo(value.dtype).eps * self.value[index].clamp(min=1.0)
        fine &= near[index]
        settled = {"w": w, "logits": logits, "value": value, "gradient": losses.gradient(w, probability)}
        for name, found in settled.items():
            kept = getattr(self, name)
            kept[index] = torch.where(_each(fine, kept), found, kept[index])

    def step(self, newton: bool) -> None:
        """Move along a direction of descent and learn the curvature met."""
        if newton:
            direction = self.losses.newton(self.w, self.losses.value(self.w, self.logits)[1], self.gradient)
        elif self.direction is None:
            direction = _direction(self.gradient, self.pairs, self.losses)
        else:
            direction, self.direction = self.direction, None
        step, value, probability = self._search(direction, newton)
        fresh = self.losses.gradient(self.w, probability)
        if not newton:
            taken, change = _each(step.to(self.w.dtype), direction) * direction, fresh - self.gradient
            product = _dot(taken, change)
            rho = torch.where(product > 0, 1.0 / product, 0.0)
            rho = torch.where(torch.isfinite(rho), rho, 0.0)
            self.pairs = [*self.pairs, (taken, change, rho)][-MEMORY:]
        self.stalled = torch.where(self.value - value <= 1e-6 * value, self.stalled + 1, 0)
        self.gradient, self.value = fresh, value

    def _search(self, direction: Tensor, longer: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Backtrack from 1 until the objective falls enough (Armijo), and move there; logits are linear: one product.

        longer: double a step, too, as long as the objective goes on falling. Returns the step, and objective and
        probabilities where it ends.
        """
        slack, along = 4 * torch.finfo(self.w.dtype).eps, self.losses.logits(direction)
        slope = _dot(self.gradient, direction).double()
        step = torch.ones_like(self.value)
        for _ in range(30):
            found = self._tried(step, direction, along)
            fine = found[2] <= self.value + ARMIJO * step * slope + slack * self.value
            if fine.all():
                break
            # The minimum of the parabola through both values and the slope, kept within [0.1, 0.5] of the step.
            bend = 2 * (found[2] - self.value - slope * step)
            guess = (-slope * step**2 / bend).nan_to_num(0.0)
            step = torch.where(fine, step, guess.clamp(min=0.1 * step, max=0.5 * step))
        steep = longer and bool((-slope > FALLING * self.value.clamp(min=FLOOR)).any())
        for _ in range(DOUBLINGS if steep else 0):
            more = self._tried(2 * step, direction, along)
            lower = more[2] < found[2]
            if not lower.any():
                break
            step = torch.where(lower, 2 * step, step)
            found = tuple(torch.where(_each(lower, a), a, b) for a, b in zip(more, found, strict=True))
        self.w, self.logits, value, probability = found
        return step, value, probability

    def _tried(self, step: Tensor, direction: Tensor, along: Tensor) -> tuple[Tensor, ...]:
        """Parameters, logits, objective and probabilities after a step of each problem, (m,)."""
        t = _each(step.to(self.w.dtype), self.w)
        w, logits = self.w + t * direction, self.logits + t * along
        return w, logits, *self.losses.value(w, logits)


def _each(values: Tensor, like: Tensor) -> Tensor:
    """(m,) beside (m, ...)."""
    return values.view(-1, *[1] * (like.ndim - 1))


def _direction(gradient: Tensor, pairs: list[Pair], losses: Losses) -> Tensor:
    """Two-loop recursion (Nocedal & Wright 2006, algorithm 7.4), each problem for itself.

    It starts from the diagonal of the Hessian: the penalty's, which is known, and the loss's at zero times the factor
    that fits the curvature met last. A factor on both would overshoot where the penalty is all there is.
    """
    q, kept = gradient.flatten(1).clone(), []
    flat = [(step.flatten(1), change.flatten(1), rho) for step, change, rho in pairs]
    for step, change, rho in reversed(flat):
        alpha = rho * torch.linalg.vecdot(step, q)
        q.sub_(alpha[:, None] * change)
        kept.append(alpha)
    q.view_as(gradient).div_(_factor(pairs, losses) * losses.spread + losses.decay)
    for (step, change, rho), alpha in zip(flat, reversed(kept), strict=True):
        q.add_((alpha - rho * torch.linalg.vecdot(change, q))[:, None] * step)
    return q.neg_().view_as(gradient)


def _factor(pairs: list[Pair], losses: Losses) -> Tensor:
    """The loss's curvature along the last step as a share of that at zero, (m, 1, 1)."""
    if not pairs:
        return torch.ones_like(losses.decay[..., :1])
    step, change, rho = pairs[-1]
    met = _dot(step, change - losses.decay * step) / _dot(step, step * losses.spread)
    return torch.where(rho > 0, met, 1.0).nan_to_num(1.0, posinf=1.0).clamp(*FACTORS)[:, None, None]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))
