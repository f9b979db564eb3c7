"""Losses that lightly does not have in the form the papers state."""

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.pretrain.backbone import STD, patches_of


def info_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """MoCo v3 loss of one direction: 2 T x cross-entropy of row i against column i (arXiv 2104.02057, algorithm 1).

    query, key: (n, d); both are normalised here, and `key` should carry no gradient. Returns a scalar.
    """
    return 2 * temperature * pair_nce(query, key, temperature)


def pair_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding key i with query i among all keys (InfoNCE, arXiv 1807.03748, eq. 4, of cosines).

    query, key: (n, d); both are normalised here. Returns a scalar.
    """
    logits = F.normalize(query, dim=1) @ F.normalize(key, dim=1).T / temperature
    target = logits.new_tensor(range(len(logits))).long()
    return F.cross_entropy(logits, target)


def queue_nce(query: Tensor, key: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding key i with query i among it and `negatives` (MoCo, arXiv 1911.05722, eq. 1).

    query, key: (n, d). negatives: (k, d), shared by all queries. All are normalised here. Returns a scalar.
    """
    query, key, negatives = (F.normalize(x, dim=1) for x in (query, key, negatives))
    logits = torch.cat([(query * key).sum(1, keepdim=True), query @ negatives.T], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def invariance(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """KL divergence between how two views of an image choose among the images of the batch (ReLIC, arXiv 2010.07922).

    Row i of p is the softmax of the cosines of first_i with each second_j, row i of q that of second_i with each
    first_j; the mean of KL(p || q) over i. first, second: (n, d); both are normalised here. Returns a scalar.
    """
    logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    p, q = F.log_softmax(logits, dim=1), F.log_softmax(logits.T, dim=1)
    return F.kl_div(q, p, reduction="batchmean", log_target=True)


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of N(mean, exp(log_variance)) from N(0, 1), summed over dimensions (arXiv 1312.6114, appendix B).

    mean, log_variance: (n, d). Returns (n,).
    """
    return (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2


def restoration_error(predicted: Tensor, images: Tensor, patch: int, hidden: Tensor | None = None) -> Tensor:
    """Mean squared error of pixels in units of the backbone's input scale, over all pixels or the hidden ones.

    predicted: (n, t, c * patch^2). images: (n, c, s, s) in [0, 1]. hidden: bool (n, s, s). Returns a scalar.
    """
    target = patches_of(images, patch)
    if hidden is None:
        return F.mse_loss(predicted, target) / STD**2
    where = patches_of(hidden[:, None].expand_as(images).to(target.dtype), patch)
    return ((predicted - target) ** 2 * where).sum() / where.sum() / STD**2


def spectrum_error(predicted: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
    """Mean distance between the spectra of two images at the hidden frequencies (arXiv 2206.07706, eq. 6, gamma 1).

    predicted, images: float32 (n, c, s, s). hidden: bool (n, 1, s, s), in the order of torch.fft. Returns a scalar.
    """
    distance = torch.fft.fft2(predicted - images, norm="ortho").abs()
    return (distance * hidden).sum() / (hidden.sum() * images.shape[1])


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
