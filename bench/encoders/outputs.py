"""Reading the outputs of a network that is not timm's: which tensor is the global vector, which the patch grid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bench.encoders.base import Encoded
from bench.encoders.card import EncoderCard
from bench.encoders.pooling import pool
from bench.errors import EncoderError


def encoded(outputs: Sequence[Tensor], card: EncoderCard, *, prefix_tokens: int, dense: bool) -> Encoded:
    """Features from one or two outputs, told apart by their number of dimensions.

    (n, d) is the global vector; (n, t, c) are tokens, the first `prefix_tokens` of them class and register tokens
    and the rest a square grid, row-major; (n, c, gh, gw) is a feature map. Pooling "native" takes the global vector,
    any other pools the tokens or the map. Raises EncoderError when what the card asks for is not there.
    """
    by_rank = {out.ndim: out for out in outputs}
    if len(by_rank) != len(outputs) or not by_rank.keys() <= {2, 3, 4}:
        shapes = ", ".join(str(tuple(out.shape)) for out in outputs)
        raise EncoderError(
            f"outputs of shapes {shapes} are ambiguous",
            where=card.name,
            fix="return a global vector (n, d), tokens (n, t, c) or a map (n, c, h, w), at most one of each",
        )
    prefix, grid = _spatial(by_rank, prefix_tokens, card.name)
    return Encoded(features(by_rank.get(2), prefix, grid, card), grid if dense else None)


def features(vector: Tensor | None, prefix: Tensor | None, grid: Tensor | None, card: EncoderCard) -> Tensor:
    """The global vector (n, d) the card asks for, from what a network gave. Raises EncoderError when it is not there.

    vector: (n, d), the network's own; prefix: (n, p, c), class and register tokens; grid: (n, gh, gw, c).
    """
    how = card.features.pooling
    if how == "native":
        if vector is None:
            raise EncoderError(
                "has no global vector for pooling 'native'", where=card.name, fix="choose 'mean' or 'cls'"
            )
        return vector
    if grid is None and not (how == "cls" and prefix is not None):
        raise EncoderError(f"has no tokens or map for pooling {how!r}", where=card.name, fix="choose 'native'")
    return pool(how, prefix, grid, where=card.name)


def refuse_layers(card: EncoderCard) -> None:
    """EncoderError when the card asks for a layer of a program whose outputs are fixed."""
    if card.features.layer != -1 or card.features.dense_layer not in (None, -1):
        raise EncoderError(
            "this kind of source has fixed outputs, no layer can be chosen",
            where=card.name,
            fix="export the layer you want and leave 'features.layer' out",
        )


def _spatial(by_rank: dict[int, Tensor], prefix_tokens: int, where: str) -> tuple[Tensor | None, Tensor | None]:
    """(prefix tokens (n, p, c) or None, grid (n, gh, gw, c) or None)."""
    if 4 in by_rank:
        return None, by_rank[4].permute(0, 2, 3, 1)
    if 3 not in by_rank:
        return None, None
    tokens = by_rank[3]
    patches = tokens.shape[1] - prefix_tokens
    side = round(max(0, patches) ** 0.5)
    if patches <= 0 or side * side != patches:
        raise EncoderError(
            f"{tokens.shape[1]} tokens less {prefix_tokens} prefix tokens are not a square grid",
            where=where,
            fix="set 'source.prefix_tokens' to the number of class and register tokens",
        )
    return tokens[:, :prefix_tokens], tokens[:, prefix_tokens:].reshape(len(tokens), side, side, -1)
