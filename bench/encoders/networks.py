"""Encoders around a timm network: where its tokens or feature map are taken, and how they are pooled."""

from __future__ import annotations

from dataclasses import dataclass

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
        self._network = network.eval()
        self._check_card()

    @property
    def module(self) -> nn.Module:
        return self._network

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        choice = self.card.features
        last, layers = self._run(x, {choice.layer, choice.grid_layer(dense)})
        here = layers[choice.layer]
        if choice.pooling == "native":
            pooled = self._network.forward_head(last, pre_logits=True).flatten(1)
        else:
            pooled = pool(choice.pooling, here.prefix, here.grid, where=self.card.name)
        return Encoded(pooled, layers[choice.grid_layer(dense)].grid if dense else None)

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

    def _split(self, out: Tensor, x: Tensor) -> Layer:
        if out.ndim == 4:
            channels_last = getattr(self._network, "output_fmt", "NCHW") == "NHWC"
            return Layer(None, out if channels_last else out.permute(0, 2, 3, 1))
        if out.ndim != 3:
            raise EncoderError(f"features have shape {tuple(out.shape)}, no patch grid in them", where=self.card.name)
        prefix, patches = out[:, : self._tokens or 0], out[:, self._tokens or 0 :]
        gh, gw = (side // p for side, p in zip(x.shape[-2:], self._patch_size or (1, 1), strict=True))
        if gh * gw != patches.shape[1]:
            raise EncoderError(f"{patches.shape[1]} patch tokens do not fill a {gh} x {gw} grid", where=self.card.name)
        return Layer(prefix, patches.reshape(len(out), gh, gw, -1))

    @property
    def _tokens(self) -> int | None:
        """Number of class and register tokens; None for a network that is no plain transformer."""
        return getattr(self._network, "num_prefix_tokens", None)

    @property
    def _patch_size(self) -> tuple[int, int] | None:
        size = getattr(getattr(self._network, "patch_embed", None), "patch_size", None)
        return tuple(size) if isinstance(size, (tuple, list)) else None if size is None else (size, size)

    def _check_card(self) -> None:
        if self.card.features.pooling == "native" and self.card.features.layer != LAST:
            raise EncoderError(
                "pooling 'native' exists at the last layer only",
                where=self.card.name,
                fix="choose 'mean', 'cls', 'cls+mean' or 'max' for another layer",
            )
        for size in {input_size(self.card.preprocessing, dense=dense) for dense in (False, True)}:
            if self._patch_size is not None and any(size % side for side in self._patch_size):
                raise EncoderError(
                    f"size {size} is not a multiple of the patch size {self._patch_size[0]}", where=self.card.name
                )
