"""An encoder around a torch module somebody has in hand: what `bench.wrap` returns."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from bench.encoders.base import Encoded, Encoder, state_sha256
from bench.encoders.card import EncoderCard
from bench.encoders.outputs import encoded, grid_of, map_rank
from bench.errors import EncoderError

Read = Callable[[nn.Module, Tensor], Any]
"""From the network and its input, float32, to its outputs: (n, channels, size, size), or with a depth before them."""


class WrappedEncoder(Encoder):
    """The network stays its author's: in the mode it is in, and free to be trained on between two runs.

    Outputs are told apart by their number of dimensions (`bench.encoders.outputs`); of an object as transformers
    returns it, `pooler_output` and `last_hidden_state` are read. A map alone is averaged.
    """

    def __init__(self, card: EncoderCard, network: nn.Module, read: Read) -> None:
        super().__init__(card)
        self._network, self._read = network, read
        self.measure_weights()

    def measure_weights(self) -> None:
        """Take the weights for those the network has now."""
        self.weights_sha256 = state_sha256(self._network)

    @property
    def module(self) -> nn.Module:
        return self._network

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        try:
            outputs = _tensors(self._read(self._network, x), self.card.name)
        except (AttributeError, TypeError, LookupError) as error:
            what = f"the network failed on images of shape {tuple(x.shape)}: {type(error).__name__}: {str(error)[:300]}"
            raise EncoderError(what, where=self.card.name, fix="try it on such a tensor") from error
        if self.card.features.pooling == "native" and [out.ndim for out in outputs] == [map_rank(self.card)]:
            (only,) = outputs
            grid = grid_of(only, self.card)
            return Encoded(only.mean(tuple(range(2, only.ndim))), grid if dense else None)
        outputs, prefix = self._told_apart(outputs, x)
        return encoded(outputs, self.card, prefix_tokens=prefix, dense=dense)

    def _told_apart(self, outputs: list[Tensor], x: Tensor) -> tuple[list[Tensor], int]:
        """Outputs, and the number of tokens before the patches, where the patch size of the network is known.

        Tokens of an unknown layout are no patch grid; without anything else they are refused.
        """
        tokens = next((out for out in outputs if out.ndim == 3), None)
        if tokens is None:
            return outputs, 0
        patch = getattr(getattr(self._network, "config", None), "patch_size", None)
        if isinstance(patch, int) and not self.card.volumetric:
            return outputs, tokens.shape[1] - (x.shape[-2] // patch) * (x.shape[-1] // patch)
        rest = [out for out in outputs if out is not tokens]
        if not rest:
            fix = "give features=lambda network, x: (the global vector, the feature map or None)"
            what = f"returns tokens of shape {tuple(tokens.shape)}, and which of them are patches is not known"
            raise EncoderError(what, where=self.card.name, fix=fix)
        return rest, 0


def _tensors(out: Any, where: str) -> list[Tensor]:
    """The tensors of what a network returned. Raises EncoderError."""
    if hasattr(out, "last_hidden_state"):
        pooled = getattr(out, "pooler_output", None)
        out = (out.last_hidden_state, None if pooled is None else pooled.flatten(1))
    found = [part for part in out if part is not None] if isinstance(out, (tuple, list)) else [out]
    if not found or not all(isinstance(part, Tensor) for part in found):
        keys = f" with {', '.join(map(str, out))[:100]}" if isinstance(out, Mapping) else ""
        raise EncoderError(
            f"returns {type(out).__name__}{keys}, expected a vector (n, d), a map (n, c, h, w) or both",
            where=where,
            fix="give features=lambda network, x: (the global vector, the feature map or None)",
        )
    return found
