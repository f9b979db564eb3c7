"""Encoders around a timm network: where its tokens or feature map are taken, and how they are pooled."""

from dataclasses import dataclass
from math import isqrt
from typing import Any

from torch import Tensor, nn

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.pooling import pool
from bench.encoders.preprocess import input_size
from bench.errors import EncoderError

LAST = -1


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's output: prefix tokens (n, p, c), the class token first, or None; grid (n, gh, gw, c)."""

    prefix: Tensor | None
    grid: Tensor


class TimmEncoder(Encoder):
    """A timm network without its classifier.

    Layer -1 is the output of `forward_features` (after the final norm; for a CNN after its last convolution). Any
    other layer is a block (ViT) or a stage (CNN) as `forward_intermediates` counts them, normed where the network can.
    """

    def __init__(self, card: EncoderCard, network: nn.Module) -> None:
        super().__init__(card)
        self._network: Any = network.eval()
        self._maps: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._check_card()

    @property
    def module(self) -> nn.Module:
        return self._network

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        choice = self.card.features
        if choice.pooling == "native" and not dense:
            return Encoded(self._head(self._network.forward_features(x)), None)
        last, layers = self._run(x, {choice.layer, choice.grid_layer(dense)})
        here = layers[choice.layer]
        native = choice.pooling == "native"
        pooled = self._head(last) if native else pool(choice.pooling, here.prefix, here.grid, where=self.card.name)
        return Encoded(pooled, layers[choice.grid_layer(dense)].grid if dense else None)

    def _head(self, last: Tensor | None) -> Tensor:
        return self._network.forward_head(last, pre_logits=True).flatten(1)

    def _run(self, x: Tensor, wanted: set[int]) -> tuple[Tensor | None, dict[int, Layer]]:
        """The raw last output (None when not wanted) and each wanted layer; one pass unless two inner layers are."""
        inner = wanted - {LAST}
        last = None if inner else self._network.forward_features(x)
        layers: dict[int, Layer] = {}
        for layer in inner:
            last, layers[layer] = self._intermediate(x, layer, also_last=LAST in wanted)
        return last, layers if last is None else {**layers, LAST: self._split(last, x)}

    def _intermediate(self, x: Tensor, layer: int, *, also_last: bool) -> tuple[Tensor | None, Layer]:
        options = {"intermediates_only": not also_last, "stop_early": not also_last, "output_fmt": "NCHW"}
        if self._tokens is not None:
            options |= {"norm": True, "return_prefix_tokens": self._tokens > 0}
        try:
            out = self._network.forward_intermediates(x, indices=[layer], **options)
        except (AttributeError, AssertionError, IndexError) as error:
            raise EncoderError(f"has no feature layer {layer}: {error}", where=self.card.name) from None
        last, (found,) = out if also_last else (None, out)
        grid, prefix = found if isinstance(found, (tuple, list)) else (found, None)
        return last, Layer(prefix, grid.permute(0, 2, 3, 1))

    def _split(self, out: Tensor | list[Tensor], x: Tensor) -> Layer:
        """The last output as prefix tokens and grid. The grid is what comes out, never worked out from the input."""
        if isinstance(out, Tensor) and out.ndim == 4:
            channels_last = getattr(self._network, "output_fmt", "NCHW") == "NHWC"
            return Layer(None, out if channels_last else out.permute(0, 2, 3, 1))
        tokens = out if isinstance(out, Tensor) and out.ndim == 3 else None
        if tokens is None or (layout := self._layout(tokens.shape[1], x)) is None:
            # Class tokens alone, or several scales: the last map that timm itself gives.
            return Layer(tokens, self._intermediate(x, LAST, also_last=False)[1].grid)
        prefix, gh, gw = layout
        return Layer(tokens[:, :prefix], tokens[:, prefix:].reshape(len(tokens), gh, gw, -1))

    def _layout(self, count: int, x: Tensor) -> tuple[int, int, int] | None:
        """(prefix tokens, gh, gw) of `count` tokens of a square input; None when they are no grid.

        A network that does not state its prefix tokens is asked once for its last map, with one image of this size.
        """
        known, size = self._tokens, tuple(x.shape[-2:])
        if known is not None and count > known and (side := isqrt(count - known)) ** 2 == count - known:
            return known, side, side
        if size not in self._maps:
            self._maps[size] = tuple(self._intermediate(x[:1], LAST, also_last=False)[1].grid.shape[1:3])
        gh, gw = self._maps[size]
        return (count - gh * gw, gh, gw) if count >= gh * gw else None

    @property
    def _tokens(self) -> int | None:
        """Number of class and register tokens; None for a network that is no plain transformer."""
        return getattr(self._network, "num_prefix_tokens", None)

    @property
    def _patch_size(self) -> int | None:
        """Side of square patches that do not overlap and must fill the input; None where the network has no such."""
        projection = getattr(getattr(self._network, "patch_embed", None), "proj", None)
        sides = {*getattr(projection, "kernel_size", ()), *getattr(projection, "stride", ())}
        return sides.pop() if len(sides) == 1 and self._tokens is not None else None

    def _check_card(self) -> None:
        if self.card.features.pooling == "native" and self.card.features.layer != LAST:
            raise EncoderError(
                "pooling 'native' exists at the last layer only",
                where=self.card.name,
                fix="choose 'mean', 'cls', 'cls+mean' or 'max' for another layer",
            )
        for size in {input_size(self.card.preprocessing, dense=dense) for dense in (False, True)}:
            if self._patch_size is not None and size % self._patch_size:
                raise EncoderError(
                    f"size {size} is not a multiple of the patch size {self._patch_size}", where=self.card.name
                )
