"""Losses that lightly does not have in the form the papers state."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bench.pretrain.backbone import patches_of


def info_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """MoCo v3 loss of one direction: 2 T x cross-entropy of row i against column i (arXiv 2104.02057, algorithm 1).

    query, key: (n, d); both are normalised here, and `key` should carry no gradient. Returns a scalar.
    """
    logits = F.normalize(query, dim=1) @ F.normalize(key, dim=1).T / temperature
    target = logits.new_tensor(range(len(logits))).long()
    return 2 * temperature * F.cross_entropy(logits, target)


def masked_patch_error(predicted: Tensor, images: Tensor, mask: Tensor, patch: int, *, power: int = 2) -> Tensor:
    """Mean |error|^power over the pixels of hidden patches, each patch standardised first (MAE, arXiv 2111.06377).

    predicted: (n, t, c * patch^2). images: (n, c, s, s). mask: bool (n, t), True is hidden. Returns a scalar.
    """
    target = patches_of(images, patch)
    target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
    error = (predicted - target).abs().pow(power).mean(-1)
    return (error * mask).sum() / mask.sum()


def soft_location(query: Tensor, keys: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Cross-entropy between where in an image `query` is found and where it truly lies.

    query: (n, d). keys: (n, t, d), one for each place. target: (n, t), non-negative, each row summing to 1.
    Both are normalised here. Returns a scalar; its lower bound is the mean entropy of `target`.
    """
    logits = (F.normalize(keys, dim=2) @ F.normalize(query, dim=1)[..., None]).squeeze(2) / temperature
    return -(target * F.log_softmax(logits, dim=1)).sum(1).mean()
