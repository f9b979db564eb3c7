"""Encoders around a timm network: where its tokens or feature map are taken, and how they are pooled."""

from __future__ import annotations

from torch import Tensor, nn

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.pooling import pool
from bench.encoders.preprocess import input_size
from bench.errors import EncoderError


class TimmEncoder(Encoder):
    """A timm network without its classifier.

    Layer -1 is the output of `forward_features` (after the final norm, for a CNN after its last convolution);
    any other layer is a block (ViT) or a stage (CNN) of `forward_intermediates`, normed where the network can.
    """

    def __init__(self, card: EncoderCard, network: nn.Module) -> None:
        super().__init__(card)
        self._network = network.eval()
        self._check_size()

    @property
    def module(self) -> nn.Module:
        return self._network

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        choice = self.card.features
        last = self._network.forward_features(x) if -1 in (choice.layer, choice.grid_layer(dense)) else None
        prefix, grid = self._at(choice.layer, x, last)
        if choice.pooling == "native":
            pooled = self._network.forward_head(last, pre_logits=True)
        else:
            pooled = pool(choice.pooling, prefix, grid, where=self.card.name)
        if dense and choice.grid_layer(dense) != choice.layer:
            _, grid = self._at(choice.grid_layer(dense), x, last)
        return Encoded(pooled.flatten(1), grid if dense else None)

    def _at(self, layer: int, x: Tensor, last: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """(prefix tokens (n, p, c) or None, grid (n, gh, gw, c)) at one layer."""
        if layer == -1:
            return self._split(last, x)
        (found,) = self._intermediate(layer, x)
        if isinstance(found, (tuple, list)):
            grid, prefix = found
            return prefix, grid.permute(0, 2, 3, 1)
        return None, found.permute(0, 2, 3, 1)

    def _intermediate(self, layer: int, x: Tensor) -> list:
        options = {"indices": [layer], "intermediates_only": True, "output_fmt": "NCHW", "norm": True}
        try:
            if self._prefix_tokens:
                return self._network.forward_intermediates(x, return_prefix_tokens=True, **options)
            return self._network.forward_intermediates(x, **options)
        except (AttributeError, AssertionError, IndexError) as error:
            raise EncoderError(f"has no feature layer {layer}: {error}", where=self.card.name) from None

    def _split(self, out: Tensor, x: Tensor) -> tuple[Tensor | None, Tensor]:
        if out.ndim == 4:
            return None, out if self._channels_last(out) else out.permute(0, 2, 3, 1)
        if out.ndim != 3:
            raise EncoderError(f"features have shape {tuple(out.shape)}, no patch grid in them", where=self.card.name)
        prefix, patches = out[:, : self._prefix_tokens], out[:, self._prefix_tokens :]
        gh, gw = (s // p for s, p in zip(x.shape[-2:], self._patch_size, strict=True))
        if gh * gw != patches.shape[1]:
            raise EncoderError(f"{patches.shape[1]} patch tokens do not fill a {gh} x {gw} grid", where=self.card.name)
        return prefix, patches.reshape(len(out), gh, gw, -1)

    def _channels_last(self, out: Tensor) -> bool:
        width = getattr(self._network, "num_features", None)
        return out.shape[-1] == width and out.shape[1] != width

    @property
    def _prefix_tokens(self) -> int:
        return int(getattr(self._network, "num_prefix_tokens", 0))

    @property
    def _patch_size(self) -> tuple[int, int]:
        embed = getattr(self._network, "patch_embed", None)
        size = getattr(embed, "patch_size", None)
        if size is None:
            raise EncoderError("the network has tokens but no patch size", where=self.card.name)
        return tuple(size) if isinstance(size, (tuple, list)) else (size, size)

    def _check_size(self) -> None:
        if self.card.features.pooling == "native" and self.card.features.layer != -1:
            raise EncoderError(
                "pooling 'native' exists at the last layer only",
                where=self.card.name,
                fix="choose 'mean', 'cls', 'cls+mean' or 'max' for another layer",
            )
        if not hasattr(getattr(self._network, "patch_embed", None), "patch_size"):
            return
        for dense in (False, True):
            size = input_size(self.card.preprocessing, dense=dense)
            if any(size % p for p in self._patch_size):
                raise EncoderError(
                    f"size {size} is not a multiple of the patch size {self._patch_size[0]}", where=self.card.name
                )
