"""How tokens or a feature map become the global vector."""

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
    if how == "native":
        raise EncoderError(f"pooling {how!r} is not possible here", where=where, fix="choose 'mean', 'max' or 'cls'")
    vectors = []
    if how in ("cls", "cls+mean"):
        if prefix is None or prefix.shape[1] == 0:
            what = f"pooling {how!r} needs a class token, and the network has none"
            raise EncoderError(what, where=where, fix="choose 'mean' or 'native'")
        vectors.append(prefix[:, 0])
    if how != "cls":
        assert grid is not None, "there is no patch grid to pool"
        places = tuple(range(1, grid.ndim - 1))
        vectors.append(grid.amax(places) if how == "max" else grid.mean(places))
    return torch.cat(vectors, 1)
