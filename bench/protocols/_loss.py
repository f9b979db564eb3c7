"""Value, gradient and a bound on the gap of many penalised logistic losses on shared rows; see `_logistic`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import torch
from scipy.linalg import helmert
from torch import Tensor

from bench.threads import one_thread

LIMIT = 1e4
"""A bias whose probability is 0 or 1 in any precision."""

SATURATED = {torch.float32: -27.0, torch.float64: -80.0}
"""Logit, less the largest, below which a probability counts as 0: smaller than any tolerance, and exponentials and
logarithms of what is near the smallest number take a processor ten to a hundred times as long."""

RIDGE = 1e-13
"""What Newton's method adds to the diagonal of a Hessian, as a share of it."""
LARGEST = 1 << 25
"""Numbers of the largest Hessian that is made: 256 MB."""
HELD = {"cpu": 1 << 22}
"""Numbers of the Hessians that are held at a time, if there are several; elsewhere `LARGEST`."""
CHUNK = {"cpu": 1 << 19}
"""Numbers of weighted rows at a time: some stay in a processor's cache; elsewhere `LARGEST`."""


class Losses:
    """m problems on g matrices, as many on each; parameters are (m, k, 1 + r), the intercept first, matrix by matrix.

    rows: (g, 1 + r, n), in each a row of ones first; where matrices are smaller, 0 beyond. target: (g, 1, k, n), or one
    a problem, (g, m / g, k, n). weights: (m, n). strengths: C, (m,).
    """

    def __init__(self, rows: Tensor, target: Tensor, weights: Tensor, strengths: Tensor, link: str) -> None:
        self.rows, self.target, self.link = rows, target, link
        total = weights.sum(1, keepdim=True)
        self.weights = weights / total
        k = target.shape[2]
        self.shape = (len(strengths), k, rows.shape[1])
        self.decay = (1.0 / (strengths[:, None] * total))[:, :, None].repeat(1, 1, rows.shape[1])
        self.decay[..., 0] = 0.0
        spread = rows.square().sum(2) / rows[:, 0].sum(1, keepdim=True) * ((1.0 / k) if link == "softmax" else 0.25)
        self.spread = spread.repeat_interleave(len(weights) // len(rows), 0)[:, None]
        """Diagonal of the Hessian of the loss at zero, float (m, 1, 1 + r); that of the penalty is `decay`."""
        self.mean = self._product(self.weights[:, None], rows.mT)
        """Weighted mean of the rows, float (m, 1, 1 + r)."""
        pull = self._by_matrix(self.weights[:, None]) * self.target
        self.pull = self._product(pull.reshape(-1, *pull.shape[2:]), rows.mT)
        """Weighted mean of target times row, float (m, k, 1 + r); its first entry is the share of the column."""
        self.contrasts = torch.as_tensor(helmert(k), dtype=rows.dtype) if k > 1 else rows.new_ones(1, 1)
        """Orthonormal contrasts between the columns, (k - 1, k); of one column itself."""

    def _by_matrix(self, x: Tensor) -> Tensor:
        """(m, ...) as (g, m / g, ...)."""
        return x.view(len(self.rows), -1, *x.shape[1:])

    def _product(self, x: Tensor, matrices: Tensor) -> Tensor:
        """x (m, k, a) of each problem times its matrix, (g, a, b): (m, k, b)."""
        flat = x.reshape(len(matrices), -1, x.shape[-1])
        found = flat[0] @ matrices[0] if len(matrices) == 1 else torch.bmm(flat, matrices)
        return found.view(*x.shape[:2], -1)

    def to(self, dtype: torch.dtype) -> Losses:
        """The same problems in another precision."""
        return self._changed(lambda t: t.to(dtype), self.rows.to(dtype), self.target.to(dtype))

    def chosen(self, wanted: Tensor) -> tuple[Tensor, Losses]:
        """Places of the problems `wanted`, bool (m,), and their losses.

        Matrices of none are left out; of the rest, those with fewer than most are filled up with others of their own.
        """
        each = self._by_matrix(wanted)
        counts = each.sum(1).tolist()
        kept = [i for i, count in enumerate(counts) if count]
        order = each.byte().sort(dim=1, descending=True, stable=True).indices[:, : max(counts)]
        places = order + torch.arange(len(each))[:, None] * each.shape[1]
        places = (places if len(kept) == len(counts) else places[kept]).flatten()
        return places, self.part(places, kept)

    def part(self, places: Tensor, matrices: Sequence[int]) -> Losses:
        """Some of the problems, int (p,), as many on each of some of the matrices."""
        rows = self.rows if len(matrices) == len(self.rows) else self.rows[matrices]
        target = self.target[matrices]
        if self.target.shape[1] > 1:
            target = self.target.flatten(0, 1)[places].unflatten(0, (len(rows), -1))
        return self._changed(lambda t: t[places], rows, target)

    def _changed(self, change: Callable[[Tensor], Tensor], rows: Tensor, target: Tensor) -> Losses:
        other = object.__new__(Losses)
        other.rows, other.target, other.link, other.contrasts = rows, target, self.link, self.contrasts
        for name in ("weights", "decay", "spread", "mean", "pull"):
            setattr(other, name, change(getattr(self, name)))
        other.shape = (len(other.weights), *self.shape[1:])
        return other

    def logits(self, w: Tensor) -> Tensor:
        """(m, k, n)."""
        return self._product(w, self.rows)

    def value(self, w: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Objective, float64 (m,), and the probabilities (m, k, n) it was computed from."""
        least = SATURATED[logits.dtype]
        gone = 1.01 * math.exp(least)
        if self.link == "softmax":
            shifted = logits - logits.amax(1, keepdim=True)
            # log-sum-exp of the shifted logits minus their target: exact also where the loss is tiny.
            picked = (self._by_matrix(shifted) * self.target).sum(2).view(len(w), -1)
            probability = torch.threshold_(shifted.clamp_(min=least).exp_(), gone, 0.0)
            total = probability.sum(1, keepdim=True)
            loss = total.log()[:, 0] - picked
            probability.div_(total)
        else:
            # softplus(z) - z y without its cancellation: exact also where the loss is tiny.
            size, target = logits.abs(), self.target.view_as(logits)
            loss = size.neg().clamp_(min=least).exp_().log1p_()
            loss = loss.add_(size.mul_(torch.where(logits > 0, 1 - target, target)))[:, 0]
            probability = torch.threshold_(logits.clamp(min=least).sigmoid_(), gone, 0.0)
        penalty = (w.square() * self.decay).sum((1, 2), dtype=torch.float64) / 2
        return (loss * self.weights).sum(1, dtype=torch.float64) + penalty, probability

    def gradient(self, w: Tensor, probability: Tensor) -> Tensor:
        """(m, k, 1 + r). Overwrites `probability`."""
        self._by_matrix(probability).sub_(self.target)
        return self._product(probability.mul_(self.weights[:, None]), self.rows.mT) + self.decay * w

    def without_absent(self, w: Tensor) -> Tensor:
        """`w` with a bias of -LIMIT and no weights where no row shows the column; +LIMIT where every row is it alone.

        The minimum lies at an infinite bias there, and exp(-LIMIT) is 0: the gradient vanishes and it stays.
        """
        shows = self._by_matrix(self.weights[:, None] > 0)
        never = ~(shows & (self.target > 0)).any(3).view(len(w), -1, 1)
        always = ~(shows & (self.target < 1)).any(3).view(len(w), -1, 1) & (self.link == "sigmoid")
        settled = torch.zeros_like(w)
        settled[..., :1] = torch.where(never, -LIMIT, LIMIT).to(w.dtype)
        return torch.where(never | always, settled, w)

    def bias_step(self, probability: Tensor) -> Tensor:
        """Newton step of the biases alone, (m, k)."""
        weighed = probability * self.weights[:, None]
        share = weighed.sum(2)
        if self.link == "softmax":
            bend = torch.diag_embed(share) - weighed @ probability.transpose(1, 2)
        else:
            bend = (weighed * (1 - probability)).sum(2, keepdim=True)
        return -(torch.linalg.pinv(bend, hermitian=True) @ (share - self.pull[..., 0])[..., None])[..., 0]

    @property
    def newton_fits(self) -> bool:
        """Whether the Hessian of a problem is small enough to be held."""
        return (len(self.contrasts) * self.shape[2]) ** 2 <= LARGEST

    def newton(self, w: Tensor, probability: Tensor, gradient: Tensor) -> Tensor:
        """Newton's direction, (m, k, 1 + r), at parameters of these probabilities (m, k, n) and gradient.

        Columns of "softmax" that move together change the penalty alone, whose minimum along that is known: what is
        solved for are their k - 1 contrasts.
        """
        contrasts, direction = self.contrasts, torch.empty_like(gradient)
        for problems, matrices in self._blocks():
            wanted = (contrasts @ gradient[problems]).flatten(1)
            hessians = partial(self._hessians, probability[problems], problems, matrices)
            step = _solved(hessians, wanted).unflatten(1, (len(contrasts), -1))
            direction[problems] = -(contrasts.mT @ step)
        if self.link == "softmax":
            direction[..., 1:] -= w[..., 1:].mean(1, keepdim=True)
        return direction

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """Problems whose Hessians are held at a time, some of one matrix or all of some, and these matrices."""
        m, (g, p, _) = len(self.weights), self.rows.shape
        most = max(1, HELD.get(self.rows.device.type, LARGEST) // (len(self.contrasts) * p) ** 2)
        if g == 1:
            yield from ((slice(first, first + most), slice(1)) for first in range(0, m, most))
            return
        each, step = m // g, max(1, most * g // m)
        for first in range(0, g, step):
            yield slice(first * each, (first + step) * each), slice(first, first + step)

    def _hessians(self, probability: Tensor, problems: slice, matrices: slice) -> Tensor:
        """Of some problems, (b, q (1 + r), q (1 + r)), the q contrasts in turn."""
        hessians = self._of_losses(probability, problems, matrices)
        diagonal, p = hessians.diagonal(dim1=1, dim2=2), self.shape[2]
        diagonal += self.decay[problems].expand(-1, len(self.contrasts), -1).flatten(1)
        # The bias of a column that no row shows changes nothing: the ridge, of rounding's size, bounds it.
        biases = diagonal[:, ::p]
        biases += RIDGE * biases.amax(1, keepdim=True) + 1e-300
        diagonal *= 1 + RIDGE
        return hessians

    def _of_losses(self, probability: Tensor, problems: slice, matrices: slice) -> Tensor:
        """Of the losses alone."""
        weights, rows, contrasts = self.weights[problems, None], self.rows[matrices], self.contrasts
        q, k = contrasts.shape[0], self.shape[1]
        first, second = torch.triu_indices(q, q, device=rows.device)
        if self.link == "softmax":
            one, other = torch.triu_indices(k, k, offset=1, device=rows.device)
            apart = contrasts[:, one] - contrasts[:, other]
            # Of pairs of columns, which are added up: nothing cancels.
            bends = (apart[first] * apart[second]) @ (probability[:, one] * probability[:, other]).mul_(weights)
        else:
            bends = probability * (1 - probability) * weights
        (g, p, n), step = rows.shape, max(1, CHUNK.get(rows.device.type, LARGEST) // rows.numel())
        found = rows.new_empty(g, len(bends) // g, q, p, q, p)
        chunks = bends.reshape(g, -1, 1, n).split(step, dim=1)
        places = torch.arange(bends.shape[1] * len(bends) // g, device=rows.device).split(step)
        for chunk, place in zip(chunks, places, strict=True):
            part = torch.bmm((rows[:, None] * chunk).flatten(1, 2), rows.mT).view(g, -1, p, p).transpose(0, 1)
            problem, pair = place // len(first), place % len(first)
            one, other = first[pair], second[pair]
            found[:, problem, one, :, other] = found[:, problem, other, :, one] = part
        return found.view(-1, q * p, q * p)

    def gap(self, w: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        """Upper bound, (m,), of the distance from `value` to the minimum: the duality gap at a feasible point.

        With q the probabilities at w, the Fenchel dual at q is  mean_i H(q_i) - ||G||^2 / (2 mu),  where
        G = mean_i (q_i - y_i) x_i  and mu is the decay; it is a lower bound of the minimum where the mean of q is
        that of y (the bias is not penalised). q is moved there by a mixture (1 - t) q + t s with a constant s and the
        smallest t; entropy is concave, so its mean is at least the mixture of both. At t = 0 what is left is
        ||gradient||^2 / (2 mu), the bound of strong convexity (Boyd & Vandenberghe 2004, 5.2 and 9.1.2).
        """
        decay, share = self.decay[..., 1:], self.pull[..., :1]
        plain = gradient - self.decay * w
        total = plain + self.pull
        mix, rest = _towards(total[..., :1], share, self.link)
        change = (mix * (rest * self.mean - total))[..., 1:]
        linear = (plain * w).sum((1, 2))
        weights = w[..., 1:]
        penalty = (weights.square() * decay).sum((1, 2)) / 2
        squared = ((gradient[..., 1:] + change).square() / decay).sum((1, 2)) / 2
        lost = mix[:, 0, 0] * (value - penalty - linear - _entropy(rest, self.link))
        return squared - (change * weights).sum((1, 2)) + (plain[..., 0] * w[..., 0]).sum(1) + lost


def newton_operations(rows: int, width: int, columns: int) -> int:
    """Of a step of Newton's method for one problem of `width` parameters a column, about: products and factors."""
    contrasts = max(1, columns - 1)
    return contrasts * (contrasts + 1) * rows * width**2 + (contrasts * width) ** 3 // 3


def _solved(made: Callable[[], Tensor], wanted: Tensor) -> Tensor:
    """x (m, n) of positive definite systems (m, n, n) with systems @ x = wanted (m, n).

    By Cholesky's factors, beside which the systems are not kept; what rounding has made indefinite, by elimination, one
    after the other, of systems made again. On a CPU on one thread: factoring several at once on several corrupts MKL's
    pivots from 128 rows on, fails, or never ends (pytorch issue 142815).
    """
    with nullcontext() if wanted.is_cuda else one_thread():
        factors, failed = torch.linalg.cholesky_ex(made())
        found = torch.cholesky_solve(wanted[..., None], factors)[..., 0]
        del factors
        if left := torch.nonzero(failed)[:, 0].tolist():
            systems = made()
            for i in left:
                found[i] = torch.linalg.solve(systems[i], wanted[i])
    return found


def _towards(share: Tensor, wanted: Tensor, link: str) -> tuple[Tensor, Tensor]:
    """Smallest t (m, 1, 1), and s (m, k, 1) with (1 - t) share + t s = wanted and s a probability."""
    missing = (share - wanted) / share.clamp(min=1e-300)
    if link == "sigmoid":
        missing = torch.maximum(missing, (wanted - share) / (1 - share).clamp(min=1e-300))
    mix = missing.amax(1, keepdim=True).clamp(min=0.0, max=1.0)
    rest = torch.where(mix > 0, (wanted - (1 - mix) * share) / mix.clamp(min=1e-300), wanted)
    rest = rest.clamp(min=0.0, max=1.0)
    return mix, rest / rest.sum(1, keepdim=True) if link == "softmax" else rest


def _entropy(share: Tensor, link: str) -> Tensor:
    """(m,) entropy of probabilities (m, k, 1); of one column and its complement for "sigmoid"."""
    both = torch.cat([share, 1 - share], dim=1) if link == "sigmoid" else share
    return -torch.xlogy(both, both).sum((1, 2))
