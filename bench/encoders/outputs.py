"""Reading the outputs of a network that is not timm's: which tensor is the global vector, which the patch grid."""

from collections.abc import Sequence
from math import isqrt

from torch import Tensor

from bench.encoders.base import Encoded
from bench.encoders.card import EncoderCard
from bench.encoders.pooling import pool
from bench.errors import EncoderError


def encoded(outputs: Sequence[Tensor], card: EncoderCard, *, prefix_tokens: int, dense: bool) -> Encoded:
    """Features from one or two outputs, told apart by their number of dimensions.

    (n, d) is the global vector; (n, t, c) are tokens, the first `prefix_tokens` of them class and register tokens
    and the rest a square grid, row-major; (n, c, gh, gw) is a feature map. Of volumes the map is (n, c, gd, gh, gw),
    and the tokens are a grid of the shape of the input. Pooling "native" takes the global vector, any other pools the
    tokens or the map. Raises EncoderError when what the card asks for is not there.
    """
    by_rank = {out.ndim: out for out in outputs}
    if len(by_rank) != len(outputs) or not by_rank.keys() <= {2, 3, map_rank(card)}:
        shapes = ", ".join(str(tuple(out.shape)) for out in outputs)
        sides = "d, h, w" if card.volumetric else "h, w"
        raise EncoderError(
            f"outputs of shapes {shapes} are ambiguous",
            where=card.name,
            fix=f"return a global vector (n, d), tokens (n, t, c) or a map (n, c, {sides}), at most one of each",
        )
    prefix, grid = _spatial(by_rank, prefix_tokens, card)
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


def grid_of(found: Tensor, card: EncoderCard) -> Tensor:
    """A map (n, c, [gd,] gh, gw) with its channels last. Raises EncoderError where it is no map of a square image."""
    if found.shape[-1] != found.shape[-2]:
        what = f"returns a map {tuple(found.shape)}, whose last two sides differ, of a square image: channels last?"
        raise EncoderError(what, where=card.name, fix="put a permute(0, 3, 1, 2) behind it: (n, c, h, w)")
    return found.movedim(1, -1)


def map_rank(card: EncoderCard) -> int:
    """Number of dimensions of a feature map: 4, of volumes 5."""
    return 5 if card.volumetric else 4


def _spatial(by_rank: dict[int, Tensor], prefix_tokens: int, card: EncoderCard) -> tuple[Tensor | None, Tensor | None]:
    """(prefix tokens (n, p, c) or None, grid (n, gh, gw, c) or (n, gd, gh, gw, c) or None)."""
    if (found := by_rank.get(map_rank(card))) is not None:
        return None, grid_of(found, card)
    if 3 not in by_rank:
        return None, None
    tokens = by_rank[3]
    sides = _sides(tokens.shape[1] - prefix_tokens, card)
    if sides is None:
        likely = _likely(tokens.shape[1], card)
        kind = "a grid of the shape of the volume" if card.volumetric else "a square grid"
        raise EncoderError(
            f"{tokens.shape[1]} tokens less {prefix_tokens} prefix tokens are not {kind}",
            where=card.name,
            fix=f"set 'source.prefix_tokens' to the number of class and register tokens{likely}",
        )
    return tokens[:, :prefix_tokens], tokens[:, prefix_tokens:].reshape(len(tokens), *sides, -1)


def _likely(tokens: int, card: EncoderCard) -> str:
    """The least number of prefix tokens that leaves a square."""
    side = isqrt(tokens)
    return "" if card.volumetric else f": {tokens - side**2} would leave {side} x {side} patches"


def _sides(patches: int, card: EncoderCard) -> tuple[int, ...] | None:
    """Sides of the grid of `patches` tokens: a square; of a volume, cubic patches of its depth x size x size."""
    if patches <= 0:
        return None
    if card.preprocessing.depth is None:
        side = round(patches**0.5)
        return (side, side) if side * side == patches else None
    depth, size = card.preprocessing.depth, card.preprocessing.size
    side = round((patches * size / depth) ** (1 / 3))
    planes = patches // max(1, side * side)
    return (planes, side, side) if planes * side * side == patches and planes * size == side * depth else None
