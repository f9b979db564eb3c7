"""An encoder around a MONAI network: its own output, or that of a module inside it."""

from typing import Any

from torch import Tensor, nn

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.outputs import encoded
from bench.errors import EncoderError

NEEDS = "pip install 'medssl-bench[volumes]'"
LAST = -1


class _Reached(Exception):
    """The module that is asked for has run; nothing after it is needed."""


class MonaiEncoder(Encoder):
    """part: dotted name of the module whose output is the map or the tokens; None: what the network returns."""

    def __init__(self, card: EncoderCard, network: nn.Module, part: str | None, prefix_tokens: int) -> None:
        super().__init__(card)
        self._network, self._prefix_tokens, self._part = network, prefix_tokens, part
        if card.features.dense_layer not in (None, card.features.layer):
            fix = "leave dense_layer out, and name the layer with source.part"
            raise EncoderError("a MONAI network has one layer for global and dense features", where=card.name, fix=fix)
        if part is not None and part not in dict(network.named_modules()):
            parts = ", ".join(name for name, _ in network.named_children())
            raise EncoderError(f"has no part {part!r}", where=card.name, fix=f"one of: {parts}, or a module inside one")

    @property
    def module(self) -> nn.Module:
        return self._network

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        try:
            outputs = self._outputs(x)
        except ImportError as error:
            what = f"the network needs more: {str(error).splitlines()[0][:100]}"
            raise EncoderError(what, where=self.card.name, fix=NEEDS) from None
        return encoded(outputs, self.card, prefix_tokens=self._prefix_tokens, dense=dense)

    def _outputs(self, x: Tensor) -> list[Tensor]:
        if self._part is None:
            return [self._layer(self._network(x))]
        seen: list[Any] = []
        to_the_end = self.card.features.pooling == "native"

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            seen.append(output)
            if not to_the_end:
                raise _Reached

        hook = self._network.get_submodule(self._part).register_forward_hook(look)
        own: list[Tensor] = []
        try:
            own = [self._network(x)]
        except _Reached:
            pass
        finally:
            hook.remove()
        if not seen:
            raise EncoderError(f"does not run its part {self._part!r} on an input", where=self.card.name)
        return [*own, self._layer(seen[0])]

    def _layer(self, out: Any) -> Tensor:
        """One tensor of what was returned: several maps, or tokens and those of each layer, are told by the layer."""
        layer = self.card.features.layer
        if isinstance(out, Tensor) and layer == LAST:
            return out
        if isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], list):
            out = out[0] if layer == LAST else out[1]
        found = out if isinstance(out, Tensor) and layer == LAST else None
        if isinstance(out, list | tuple) and all(isinstance(o, Tensor) for o in out) and -len(out) <= layer < len(out):
            found = out[layer]
        if found is None:
            what = f"returns {type(out).__name__}, in which there is no layer {layer}"
            raise EncoderError(what, where=self.card.name, fix="name a module whose output is one map: source.part")
        return found
