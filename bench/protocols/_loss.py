"""Value, gradient and a bound on the gap of many penalised logistic losses on shared rows; see `_logistic`."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

LIMIT = 1e4
"""A bias whose probability is 0 or 1 in any precision."""

RIDGE = 1e-13
"""What Newton's method adds to a Hessian whose diagonal is 1."""


class Losses:
    """m problems; parameters are (m, k, 1 + r), the intercept first.

    rows: (1 + r, n), the first row ones. target: (1 or m, k, n). weights: (m, n). strengths: C, (m,).
    """

    def __init__(self, rows: Tensor, target: Tensor, weights: Tensor, strengths: Tensor, link: str) -> None:
        self.rows, self.target, self.link = rows, target, link
        total = weights.sum(1, keepdim=True)
        self.weights = weights / total
        k = target.shape[1]
        self.shape = (len(strengths), k, len(rows))
        self.decay = (1.0 / (strengths[:, None] * total))[:, :, None].repeat(1, 1, len(rows))
        self.decay[..., 0] = 0.0
        self.spread = rows.square().mean(1) * ((1.0 / k) if link == "softmax" else 0.25)
        """Diagonal of the Hessian of the loss at zero, float (1 + r,); that of the penalty is `decay`."""
        self.mean = (self.weights @ rows.T)[:, None]
        """Weighted mean of the rows, float (m, 1, 1 + r)."""
        pull = (self.target * self.weights[:, None]).reshape(-1, rows.shape[1]) @ rows.T
        self.pull = pull.view(self.shape)
        """Weighted mean of target times row, float (m, k, 1 + r); its first entry is the share of the column."""

    def to(self, dtype: torch.dtype) -> Losses:
        """The same problems in another precision."""
        return self._changed(lambda t: t.to(dtype), self.rows.to(dtype), self.target.to(dtype))

    def part(self, index: Tensor) -> Losses:
        """Some of the problems."""
        target = self.target if len(self.target) == 1 else self.target[index]
        return self._changed(lambda t: t[index], self.rows, target)

    def _changed(self, change, rows: Tensor, target: Tensor) -> Losses:
        other = object.__new__(Losses)
        other.rows, other.target, other.link, other.spread = rows, target, self.link, self.spread.to(rows.dtype)
        for name in ("weights", "decay", "mean", "pull"):
            setattr(other, name, change(getattr(self, name)))
        other.shape = (len(other.weights), *self.shape[1:])
        return other

    def logits(self, w: Tensor) -> Tensor:
        """(m, k, n)."""
        return (w.reshape(-1, w.shape[-1]) @ self.rows).view(*w.shape[:2], -1)

    def value(self, w: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Objective, float64 (m,), and the probabilities (m, k, n) it was computed from."""
        if self.link == "softmax":
            shifted = logits - logits.amax(1, keepdim=True)
            # log-sum-exp of the shifted logits minus their target: exact also where the loss is tiny.
            picked = (shifted * self.target).sum(1)
            probability = shifted.exp_()
            total = probability.sum(1, keepdim=True)
            loss = total.log()[:, 0] - picked
            probability.div_(total)
        else:
            # softplus(z) - z y without its cancellation: exact also where the loss is tiny.
            size = logits.abs()
            loss = (F.softplus(-size) + size * torch.where(logits > 0, 1 - self.target, self.target))[:, 0]
            probability = torch.sigmoid(logits)
        penalty = (w.square() * self.decay).sum((1, 2), dtype=torch.float64) / 2
        return (loss * self.weights).sum(1, dtype=torch.float64) + penalty, probability

    def gradient(self, w: Tensor, probability: Tensor) -> Tensor:
        """(m, k, 1 + r). Overwrites `probability`."""
        residual = probability.sub_(self.target).mul_(self.weights[:, None])
        flat = residual.view(-1, residual.shape[-1]) @ self.rows.T
        return flat.view_as(w) + self.decay * w

    def without_absent(self, w: Tensor) -> Tensor:
        """`w` with a bias of -LIMIT and no weights where no row shows the column; +LIMIT where every row is it alone.

        The minimum lies at an infinite bias there, and exp(-LIMIT) is 0: the gradient vanishes and it stays.
        """
        shows = self.weights[:, None] > 0
        never = ~(shows & (self.target > 0)).any(2, keepdim=True)
        always = ~(shows & (self.target < 1)).any(2, keepdim=True) & (self.link == "sigmoid")
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

    def newton(self, probability: Tensor, gradient: Tensor) -> Tensor:
        """Newton's direction, (m, k, 1 + r), from probabilities (m, k, n) and gradient; a Hessian of (k (1 + r))^2."""
        m, k, p = gradient.shape
        hessian = gradient.new_zeros(m, k, p, k, p)
        # The curvature of a column is that of its pairs with all others: with itself alone only where there are none.
        for i, j in itertools.combinations(range(k), 2) if k > 1 else [(0, 0)]:
            bends = probability[:, i] * (1 - probability[:, i] if k == 1 else probability[:, j]) * self.weights
            block = torch.stack([(self.rows * bend) @ self.rows.T for bend in bends])
            hessian[:, i, :, i] += block
            if k > 1:
                hessian[:, j, :, j] += block
                hessian[:, i, :, j] = hessian[:, j, :, i] = block.neg_()
        hessian = hessian.view(m, k * p, -1)
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        diagonal += self.decay.expand(m, k, p).reshape(m, -1)
        # Biases that move together change nothing: the ridge, of rounding's size, bounds that direction.
        size = diagonal.clamp(min=1e-300).rsqrt()
        hessian.mul_(size[:, :, None]).mul_(size[:, None])
        diagonal += RIDGE
        return -(size * _solved(hessian, size * gradient.reshape(m, -1))).view(m, k, p)

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


def _solved(systems: Tensor, wanted: Tensor) -> Tensor:
    """x (m, n) of systems (m, n, n) with systems @ x = wanted (m, n).

    On a CPU one after the other: factoring several at once on several threads corrupts MKL's pivots from 128 rows on,
    fails, or never ends (pytorch issue 142815).
    """
    if systems.is_cuda:
        return torch.linalg.solve(systems, wanted)
    return torch.stack([torch.linalg.solve(one, right) for one, right in zip(systems, wanted, strict=True)])


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
