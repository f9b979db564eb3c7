"""Models Genesis style: restore an image after intensity warps, local pixel shuffling, in-painting and out-painting."""

import torch
from torch import Tensor

from bench.pretrain.augment import rectangles, uniform
from bench.pretrain.restoration import Restoration

BLOCK = 4
"""Side, in pixels, of the blocks whose pixels are shuffled."""


class Denoising(Restoration):
    name = "denoising"
    kind = "denoising"
    method = "Models Genesis style restoration"
    citation = "Zhou et al. 2021, arXiv 2004.07882"

    def spoil(self, images: Tensor) -> Tensor:
        return spoiled(images)


def spoiled(images: Tensor) -> Tensor:
    """Each image spoiled by its own draw of four transforms; values stay in [0, 1]."""
    x = _sometimes(0.5, shuffle_blocks(images), images)
    x = _sometimes(0.9, warp_intensity(x), x)
    painted = torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.2, out_paint(x), in_paint(x))
    return _sometimes(0.9, painted, x)


def warp_intensity(images: Tensor) -> Tensor:
    """A monotone curve x^g, g log-uniform in [0.4, 2.5], inverted for one image in ten (in place of a Bezier curve)."""
    gamma = uniform(len(images), -0.92, 0.92, device=images.device).exp().view(-1, 1, 1, 1)
    curve = images.clamp(1e-4, 1) ** gamma
    return _sometimes(0.1, 1 - curve, curve)


def shuffle_blocks(images: Tensor) -> Tensor:
    """Pixels change places inside 4 x 4 blocks, in half of the blocks by chance; a pixel's colours stay together."""
    n, c, h, w = images.shape
    cells = images.view(n, c, h // BLOCK, BLOCK, w // BLOCK, BLOCK).permute(0, 2, 4, 1, 3, 5).flatten(4)
    order = torch.rand(n, *cells.shape[1:3], 1, BLOCK**2, device=images.device).argsort(-1)
    chosen = torch.rand(n, *cells.shape[1:3], 1, 1, device=images.device) < 0.5
    moved = torch.where(chosen, cells.gather(-1, order.expand_as(cells)), cells)
    return moved.unflatten(-1, (BLOCK, BLOCK)).permute(0, 3, 1, 4, 2, 5).reshape(n, c, h, w)


def in_paint(images: Tensor) -> Tensor:
    """Up to five rectangles, each with sides of 1/6-1/3 of the image, filled with uniform noise."""
    n, _, size, _ = images.shape
    hidden = torch.zeros(n, size, size, dtype=torch.bool, device=images.device)
    for _ in range(5):
        hidden |= rectangles(n, size, 1 / 6, 1 / 3, device=images.device)
    return torch.where(hidden[:, None], torch.rand_like(images), images)


def out_paint(images: Tensor) -> Tensor:
    """All but one rectangle, with sides of 1/2-6/7 of the image, filled with uniform noise."""
    shown = rectangles(len(images), images.shape[-1], 1 / 2, 6 / 7, device=images.device)
    return torch.where(shown[:, None], images, torch.rand_like(images))


def _sometimes(share: float, changed: Tensor, images: Tensor) -> Tensor:
    return torch.where(torch.rand(len(images), 1, 1, 1, device=images.device) < share, changed, images)


OBJECTIVE = Denoising
