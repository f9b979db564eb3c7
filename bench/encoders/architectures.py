"""Building a timm architecture by name, without its weights and without the network."""

from __future__ import annotations

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
MAX_OPTION = 8_192
MAX_DEPTH = 256
MAX_PARAMETERS = 8 * 10**9


def build(
    card: EncoderCard,
    model: str,
    *,
    options: Mapping[str, object] | None = None,
    num_classes: int = 0,
    seed: int = 0,
    skeleton: bool = False,
) -> nn.Module:
    """A timm network with random weights from `seed`, its input channels those of the card.

    skeleton: shapes only (on torch's meta device), so that a card can be checked before memory is spent on it.
    The global random state is left as it was. Raises EncoderError for an unknown model (with the nearest name),
    for options the model does not take, and for more than 8 * 10^9 parameters.
    """
    _check_name(model, card.name)
    arguments = dict(
        checked_options(options or {}, card.name), num_classes=num_classes, in_chans=card.preprocessing.channels
    )
    try:
        with torch.device("meta"):
            bones = timm.create_model(model, pretrained=False, **arguments)
        if (size := sum(p.numel() for p in bones.parameters())) > MAX_PARAMETERS:
            raise EncoderError(f"{model!r} has {size:,} parameters, over the limit", where=card.name)
        with torch.random.fork_rng(devices=[]):
            return bones if skeleton else _create(model, arguments, seed).eval()
    except (TypeError, ValueError, AssertionError, RuntimeError, NotImplementedError) as error:
        raise EncoderError(f"timm cannot build {model!r}: {str(error)[:300]}", where=card.name) from None


def checked_options(options: Mapping[str, object], where: str) -> Mapping[str, object]:
    """`options` when all are allowed and bounded. Raises EncoderError."""
    for key, value in options.items():
        if key not in OPTIONS:
            near = nearest(key, OPTIONS)
            fix = f"did you mean {near!r}?" if near else f"one of: {', '.join(OPTIONS)}"
            raise EncoderError(f"unknown option {key[:80]!r}", where=where, fix=fix)
        numbers = value if isinstance(value, list) else [value]
        limit = MAX_DEPTH if key in ("depth", "depths") else MAX_OPTION
        if any(isinstance(n, (int, float)) and not 0 <= n <= limit for n in numbers):
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


def _create(model: str, arguments: dict[str, object], seed: int) -> nn.Module:
    """With position embeddings resampled to the input where the family can (ViT and kin), so that any size works."""
    torch.manual_seed(seed)
    try:
        return timm.create_model(model, pretrained=False, dynamic_img_size=True, **arguments)
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise
    torch.manual_seed(seed)
    return timm.create_model(model, pretrained=False, **arguments)
