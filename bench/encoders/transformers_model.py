"""An encoder around a model of the transformers library: what it is asked, and how its outputs are read."""

import inspect
from collections.abc import Sequence
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.outputs import features
from bench.errors import EncoderError

SPECIAL = ("cls_token", "class_embedding", "class_token", "distillation_token", "register_tokens", "reg_token")
"""Parameters that stand as tokens before the patches: one each, registers as many as they have rows."""


class HuggingFaceEncoder(Encoder):
    """A transformers vision model.

    The grid is what the model returns: maps as they are, tokens less the class and register tokens the model has.
    Masking at random (ViTMAE) is taken out; position embeddings are resampled where the input is not the native one.
    """

    def __init__(self, card: EncoderCard, network: nn.Module) -> None:
        super().__init__(card)
        self._network: Any = network.eval()
        self._takes = inspect.signature(network.forward).parameters
        self._check_input()
        self._special = sum(_rows(p) for n, p in network.named_parameters() if n.split(".")[-1] in SPECIAL)
        for module in list[Any](network.modules()):
            if hasattr(module, "random_masking"):
                module.random_masking = _keep_all

    @property
    def module(self) -> nn.Module:
        return self._network

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        choice = self.card.features
        inner = choice.layer != -1 or choice.grid_layer(dense) != -1
        out = self._network(**self._inputs(x), output_hidden_states=inner, return_dict=True)
        vector = getattr(out, "pooler_output", None) if choice.layer == -1 else None
        main = self._layer(out, choice.layer, spatial=dense or choice.pooling not in ("native", "cls"))
        grid = main[1]
        if dense and choice.grid_layer(dense) != choice.layer:
            grid = self._layer(out, choice.grid_layer(dense), spatial=True)[1]
        vector = None if vector is None else vector.flatten(1)
        pooled = features(vector, *main, self.card)
        return Encoded(pooled, grid if dense else None)

    def _layer(self, out: Any, layer: int, *, spatial: bool) -> tuple[Tensor | None, Tensor | None]:
        """(prefix tokens, grid) of a layer: -1 is the output after the final norm, others the hidden states."""
        if layer == -1:
            return self._split(out.last_hidden_state, getattr(out, "pooler_output", None), spatial=spatial)
        states = getattr(out, "reshaped_hidden_states", None) or out.hidden_states
        if states is None or not -len(states) <= layer < len(states):
            raise EncoderError(f"has no feature layer {layer}, only {len(states or ())}", where=self.card.name)
        if states[layer].ndim == 4:
            return None, channels_last(states[layer], states)
        return self._split(states[layer], None, spatial=spatial)

    def _split(self, out: Tensor, vector: Tensor | None, *, spatial: bool) -> tuple[Tensor | None, Tensor | None]:
        if out.ndim == 4:
            return None, channels_last(out)
        if not spatial:
            return out[:, : self._special], None
        prefix = self._special
        if not _square(out.shape[1] - prefix) and vector is not None and torch.equal(out[:, 0], vector.flatten(1)):
            prefix = 1  # DINOv3's ConvNeXt puts the pooled vector before its map
        if not _square(out.shape[1] - prefix):
            raise EncoderError(
                f"{type(self._network).__name__} returns {out.shape[1]} tokens, {prefix} of them class and register "
                "tokens: the rest is no square grid",
                where=self.card.name,
                fix="global tasks can be scored with pooling 'native' or 'cls'",
            )
        side = isqrt(out.shape[1] - prefix)
        return out[:, :prefix], out[:, prefix:].reshape(len(out), side, side, -1)

    def _inputs(self, x: Tensor) -> dict[str, Any]:
        if "spatial_shapes" in self._takes:
            return patches(x, self._network.config.patch_size)
        resample = "interpolate_pos_encoding" in self._takes and x.shape[-1] != self._native
        return {"pixel_values": x} | ({"interpolate_pos_encoding": True} if resample else {})

    @property
    def _native(self) -> int | None:
        size = getattr(self._network.config, "image_size", None)
        return size[0] if isinstance(size, (list, tuple)) else size

    def _check_input(self) -> None:
        """EncoderError for a model whose input is no image."""
        if "pixel_values" in self._takes and "input_ids" not in self._takes:
            return
        parts = [n for n in ("vision_model", "vision_tower", "visual") if hasattr(self._network, n)]
        fix = f'its image tower: part = "{parts[0]}"' if parts else "choose an encoder of single images"
        takes = ", ".join(repr(n) for n in list(self._takes)[:3])
        raise EncoderError(f"{type(self._network).__name__} takes {takes}, not images", where=self.card.name, fix=fix)


def channels_last(out: Tensor, others: Sequence[Tensor] = ()) -> Tensor:
    """A feature map as (n, gh, gw, c). The input is square, so that the two equal sides are the map's.

    others: maps of the same model in the same order of dimensions, for one whose three sides are all equal.
    """
    last = any(m.ndim == 4 and m.shape[1] == m.shape[2] != m.shape[3] for m in (out, *others))
    return out if last else out.permute(0, 2, 3, 1)


def patches(x: Tensor, side: int) -> dict[str, Tensor]:
    """Images (n, c, h, w) as SigLIP2-NaFlex takes them: flat patches (n, gh * gw, side * side * c), none masked."""
    n, c, h, w = x.shape
    gh, gw = h // side, w // side
    cut = x[..., : gh * side, : gw * side].reshape(n, c, gh, side, gw, side).permute(0, 2, 4, 3, 5, 1)
    return {
        "pixel_values": cut.reshape(n, gh * gw, side * side * c),
        "pixel_attention_mask": torch.ones((n, gh * gw), dtype=torch.int32, device=x.device),
        "spatial_shapes": torch.tensor([[gh, gw]] * n, device=x.device),
    }


def _rows(parameter: Tensor) -> int:
    """Tokens in a parameter of shape (c,), (1, 1, c) or (1, r, c)."""
    return 1 if parameter.ndim < 2 else parameter.shape[-2]


def _square(count: int) -> bool:
    return count > 0 and isqrt(count) ** 2 == count


def _keep_all(sequence: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """In place of `random_masking`: every patch is kept, in its order."""
    n, count = sequence.shape[:2]
    order = torch.arange(count, device=sequence.device).expand(n, -1)
    return sequence, torch.zeros((n, count), device=sequence.device), order
