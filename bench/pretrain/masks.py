"""Which tokens are hidden. Random numbers come from torch's global generator."""

import torch
from torch import Tensor


def random_mask(n: int, tokens: int, share: float, *, device: torch.device | str) -> Tensor:
    """Bool (n, tokens): exactly round(share * tokens) random tokens of each image are True."""
    order = torch.rand(n, tokens, device=device).argsort(1)
    return order < round(share * tokens)


def visible(mask: Tensor) -> Tensor:
    """Indices, int64 (n, k), of tokens that are not hidden; k is the batch's smallest count (others drop at random)."""
    k = int((~mask).sum(1).min())
    return (torch.rand(mask.shape, device=mask.device) + mask).argsort(1)[:, :k]


def blocks(n: int, side: int, count: int, low: float, high: float, *, device: torch.device | str) -> Tensor:
    """Bool (n, side * side): the union of `count` random rectangles, each of low..high of the grid's area.

    As in I-JEPA the shape of a rectangle is drawn once for the batch and its place for each image.
    """
    union = torch.zeros(n, side, side, dtype=torch.bool, device=device)
    at = torch.arange(side, device=device)
    for _ in range(count):
        height, width = _block_shape(side, low, high)
        top = torch.randint(side - height + 1, (n, 1), device=device)
        left = torch.randint(side - width + 1, (n, 1), device=device)
        rows = (at >= top) & (at < top + height)
        columns = (at >= left) & (at < left + width)
        union |= rows[:, :, None] & columns[:, None, :]
    return union.flatten(1)


def _block_shape(side: int, low: float, high: float) -> tuple[int, int]:
    """Height and width in tokens: area low..high of the grid, aspect 3:4-3:2."""
    area, aspect = (torch.rand(2) * torch.tensor([high - low, 0.75]) + torch.tensor([low, 0.75])).tolist()
    height, width = (area * aspect) ** 0.5 * side, (area / aspect) ** 0.5 * side
    return max(1, min(side - 1, round(height))), max(1, min(side - 1, round(width)))
