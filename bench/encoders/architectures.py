"""Building a timm architecture by name, without its weights and without the network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import timm
import torch
from torch import nn

from bench.encoders.card import EncoderCard
from bench.errors import EncoderError
from bench.strict import nearest

OPTIONS = (
    "img_size",
    "patch_size",
    "embed_dim",
    "depth",
    "num_heads",
    "mlp_ratio",
    "qkv_bias",
    "init_values",
    "class_token",
    "reg_tokens",
    "no_embed_class",
    "global_pool",
    "act_layer",
    "depths",
    "embed_dims",
    "channels",
    "output_stride",
)
"""What a card may change of an architecture. Nothing that names a file, an address or a class."""
MAX_OPTION = 16_384


def build(
    card: EncoderCard,
    model: str,
    *,
    options: Mapping[str, object] | None = None,
    num_classes: int = 0,
    seed: int = 0,
) -> nn.Module:
    """A timm network with random weights from `seed`, its input channels those of the card.

    The global random state is left as it was. Raises EncoderError for an unknown model (with the nearest name)
    or for options the model does not take.
    """
    _check_name(model, card.name)
    arguments = dict(
        checked_options(options or {}, card.name), num_classes=num_classes, in_chans=card.preprocessing.channels
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return _create(model, arguments).eval()
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            raise EncoderError(f"timm cannot build {model!r}: {str(error)[:300]}", where=card.name) from None


def checked_options(options: Mapping[str, object], where: str) -> Mapping[str, object]:
    """`options` when all are allowed and bounded. Raises EncoderError."""
    for key, value in options.items():
        if key not in OPTIONS:
            near = nearest(key, OPTIONS)
            fix = f"did you mean {near!r}?" if near else f"one of: {', '.join(OPTIONS)}"
            raise EncoderError(f"unknown option {key[:80]!r}", where=where, fix=fix)
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(n, (int, float)) and not 0 <= n <= MAX_OPTION for n in numbers):
            raise EncoderError(f"option {key!r} is out of range: {str(value)[:80]}", where=where)
    return options


def _check_name(model: str, where: str) -> None:
    known = timm.list_models()
    if model in known:
        return
    bare = model.split(".")[0]
    near = bare if bare in known else nearest(model, known)
    fix = f"did you mean {near!r}?" if near else "timm.list_models() has the names"
    raise EncoderError(f"unknown timm model {model[:80]!r}", where=where, fix=fix)


def _create(model: str, arguments: dict[str, object]) -> nn.Module:
    """With position embeddings resampled to the input where the family can, so that other sizes work."""
    if _takes_any_size(model):
        arguments = {**arguments, "dynamic_img_size": True}
    return timm.create_model(model, pretrained=False, **arguments)


def _takes_any_size(model: str) -> bool:
    """Whether the model's class has `dynamic_img_size` (ViT, DeiT, EVA and their kin)."""
    module = inspect.getmodule(timm.model_entrypoint(model))
    classes = (c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, nn.Module))
    if "dynamic_img_size" in inspect.getsource(timm.model_entrypoint(model)):
        return True
    return any("dynamic_img_size" in inspect.signature(c.__init__).parameters for c in classes)
