"""`adapter = "monai"`: a network of MONAI by name, with an author's weights or at random."""

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.encoders.architectures import MAX_PARAMETERS
from bench.encoders.base import Encoder, state_sha256
from bench.encoders.card import EncoderCard
from bench.encoders.monai_model import NEEDS, MonaiEncoder
from bench.encoders.source import EncoderSource, Place
from bench.encoders.statedict import fit, state_at, under
from bench.encoders.weights import inside, read_state, verify
from bench.errors import EncoderError
from bench.strict import Line, Sha256, did_you_mean

Options = dict[str, int | float | bool | str | list[int] | list[float]]
LARGEST = 8192
REFUSED = ("pretrained", "pretrained_dir", "dir", "url")
"""Options that would fetch weights nobody has named."""


class MonaiSource(EncoderSource):
    """Keys of the `[source]` table. Without `weights` the network is drawn at random from `seed`."""

    name = "monai"
    places = frozenset({"weights", "sha256"})
    adapter: Literal["monai"]
    network: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    """A class or function of `monai.networks.nets`, e.g. "resnet18"."""
    options: Options = {}
    """Its arguments. Dimensions, channels and the size of the input are the card's unless they are said here."""
    part: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,200}$")] | None = None
    """The module inside it whose output is the map or the tokens, e.g. "layer4"; what comes after it is not computed
    unless pooling is "native". None: what the network returns."""
    prefix_tokens: Annotated[int, Field(ge=0, le=1024)] = 0
    weights: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    sha256: Sha256 | None = None
    entry: Line | None = None
    """Dotted path to the state dict inside the file."""
    prefix: Annotated[str, Field(max_length=200)] = ""
    drop: Annotated[list[Line], Field(max_length=50)] = []
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        make = _maker(self.network, card)
        arguments = _arguments(make, self.options, card)
        with torch.device("meta"), _Rates():
            bones = _built(make, arguments, self.network, card)
        if (size := sum(p.numel() for p in bones.parameters())) > MAX_PARAMETERS:
            raise EncoderError(f"{self.network!r} has {size:,} parameters, over the limit", where=card.name)
        state, sha256 = self._state(bones, card, place)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = _built(make, arguments, self.network, card)
        if state is not None:
            network.load_state_dict(state, strict=True)
        encoder = MonaiEncoder(card, network.eval(), self.part, self.prefix_tokens)
        encoder.weights_sha256 = sha256 or state_sha256(network)
        return encoder

    def _state(self, bones: nn.Module, card: EncoderCard, place: Place) -> tuple[dict[str, Tensor] | None, str | None]:
        if self.weights is None:
            return None, None
        path = inside(self.weights, place, where=card.name)
        sha256 = verify(path, self.sha256, where=card.name)
        state = under(state_at(read_state(path, where=card.name), self.entry, where=card.name), self.prefix,
                      where=card.name)  # fmt: skip
        return fit(bones, state, self.drop, "by-name", where=card.name)[0], sha256


class _Rates(TorchFunctionMode):
    """Rates of drop-path are read as numbers while a skeleton is built, so they are real."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {}) | ({"device": "cpu"} if func is torch.linspace else {})
        return func(*args, **kwargs)


def _nets(where: str) -> ModuleType:
    try:
        import monai.networks.nets as nets
    except ImportError:
        raise EncoderError("needs monai", where=where, fix=NEEDS) from None
    return nets


def _maker(name: str, card: EncoderCard) -> Callable[..., nn.Module]:
    """What builds the network. Raises EncoderError with the nearest name."""
    nets = _nets(card.name)
    known = [n for n, made in vars(nets).items() if callable(made) and _own(made)]
    if name not in known:
        fix = did_you_mean(name, known, "see monai.networks.nets")
        raise EncoderError(f"MONAI has no network {name!r}", where=card.name, fix=fix)
    return getattr(nets, name)


def _own(made: Any) -> bool:
    return str(getattr(made, "__module__", "")).startswith("monai.networks.nets.")


def _arguments(make: Callable[..., nn.Module], options: Mapping[str, Any], card: EncoderCard) -> dict[str, Any]:
    """`options`, with what the card says already where the network takes it. Raises EncoderError."""
    if refused := [key for key in options if key in REFUSED]:
        fix = "put the weights beside the card and name them"
        raise EncoderError(f"option {refused[0]!r} would fetch weights", where=card.name, fix=fix)
    numbers = [n for value in options.values() for n in (value if isinstance(value, list) else [value])]
    if large := [n for n in numbers if isinstance(n, int | float) and abs(n) > LARGEST]:
        raise EncoderError(f"an option is {large[0]}, over {LARGEST}", where=card.name)
    taken, made = _parameters(make), card.preprocessing
    sides = (made.size, made.size) if made.depth is None else (made.depth, made.size, made.size)
    said = {"spatial_dims": len(sides), "in_channels": made.channels, "n_input_channels": made.channels,
            "img_size": sides}  # fmt: skip
    return {key: value for key, value in said.items() if key in taken} | dict(options)


def _parameters(make: Callable[..., nn.Module]) -> set[str]:
    """Names of the arguments; of a function that hands them on, those of the class it says it returns."""
    signature = inspect.signature(make)
    kinds = {p.kind for p in signature.parameters.values()}
    returned: Any = getattr(inspect.getmodule(make), str(signature.return_annotation), None)
    hands_on = inspect.Parameter.VAR_KEYWORD in kinds and inspect.isclass(returned)
    return set(signature.parameters) | (set(inspect.signature(returned).parameters) if hands_on else set())


def _built(make: Callable[..., nn.Module], arguments: Mapping[str, Any], name: str, card: EncoderCard) -> nn.Module:
    try:
        network = make(**arguments)
    except ImportError as error:
        raise EncoderError(f"{name!r} needs more: {str(error)[:100]}", where=card.name, fix=NEEDS) from None
    except Exception as error:  # MONAI checks its arguments in many ways
        what = f"MONAI cannot build {name!r}: {type(error).__name__}: {str(error)[:250]}"
        raise EncoderError(what, where=card.name, fix="correct 'options' in [source]") from None
    if not isinstance(network, nn.Module):
        raise EncoderError(f"{name!r} is no network", where=card.name)
    return network


SOURCE = MonaiSource
