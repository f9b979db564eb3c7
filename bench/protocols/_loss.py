"""Value and gradient of many penalised logistic losses on shared rows. Conventions are written in `_logistic`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
        spread = rows.square().mean(1) * ((1.0 / k) if link == "softmax" else 0.25)
        self.curvature = spread + self.decay
        """Diagonal of the Hessian at zero, float (m, 1, 1 + r)."""

    def to(self, dtype: torch.dtype) -> Losses:
        """The same problems in another precision."""
        return self._changed(lambda t: t.to(dtype), self.rows.to(dtype), self.target.to(dtype))

    def part(self, index: Tensor) -> Losses:
        """Some of the problems."""
        target = self.target if len(self.target) == 1 else self.target[index]
        return self._changed(lambda t: t[index], self.rows, target)

    def _changed(self, change, rows: Tensor, target: Tensor) -> Losses:
        other = object.__new__(Losses)
        other.rows, other.target, other.link = rows, target, self.link
        other.weights, other.decay, other.curvature = map(change, (self.weights, self.decay, self.curvature))
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
            loss = (F.softplus(logits) - logits * self.target)[:, 0]
            probability = torch.sigmoid(logits)
        penalty = (w.square() * self.decay).sum((1, 2), dtype=torch.float64) / 2
        return (loss * self.weights).sum(1, dtype=torch.float64) + penalty, probability

    def gradient(self, w: Tensor, probability: Tensor) -> Tensor:
        """(m, k, 1 + r). Overwrites `probability`."""
        residual = probability.sub_(self.target).mul_(self.weights[:, None])
        flat = residual.view(-1, residual.shape[-1]) @ self.rows.T
        return flat.view_as(w) + self.decay * w
