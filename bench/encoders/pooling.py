"""How tokens or a feature map become the global vector."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import EncoderError
from bench.words import Pooling


def pool(how: Pooling, prefix: Tensor | None, grid: Tensor | None, *, where: str) -> Tensor:
    """Global vector (n, d) of one layer.

    prefix: (n, p, c) class and register tokens, the class token first, or None. grid: (n, gh, gw, c), of volumes
    (n, gd, gh, gw, c); not needed for "cls".
    "cls": the class token; "mean" and "max": over the grid; "cls+mean": both, concatenated (d = 2c).
    Raises EncoderError when there is no class token, or for "native", which only the network can do.
    """
    if how in ("cls", "cls+mean") and (prefix is None or prefix.shape[1] == 0):
        raise EncoderError(
            f"pooling {how!r} needs a class token, and the network has none",
            where=where,
            fix="choose 'mean' or 'native'",
        )
    if how == "cls":
        return prefix[:, 0]
    if how == "mean":
        return grid.mean(_places(grid))
    if how == "max":
        return grid.amax(_places(grid))
    if how == "cls+mean":
        return torch.cat([prefix[:, 0], grid.mean(_places(grid))], 1)
    raise EncoderError(f"pooling {how!r} is not possible here", where=where, fix="choose 'mean', 'max' or 'cls'")


def _places(grid: Tensor) -> tuple[int, ...]:
    """The axes of a grid between images and channels."""
    return tuple(range(1, grid.ndim - 1))
