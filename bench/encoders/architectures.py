"""Building a timm architecture by name, without its weights and without the network."""

from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm import layers
from timm.models.resnet import ResNet
from torch import nn

from bench.encoders.card import EncoderCard
from bench.errors import EncoderError
from bench.strict import did_you_mean, nearest

OPTIONS = (
    *("img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "init_values"),
    *("class_token", "reg_tokens", "no_embed_class", "pos_embed", "global_pool", "pre_norm", "final_norm", "fc_norm"),
    *("qk_norm", "act_layer", "mlp_layer", "norm_layer", "depths", "embed_dims", "dims", "channels", "window_size"),
    *("output_stride", "ref_feat_shape", "small_stem"),
)
"""What a card may change of an architecture. Nothing that names a file, an address or a class outside `LAYERS`.

small_stem, which timm does not know: a ResNet begins as those for CIFAR do, with a 3 x 3 convolution of stride 1 that
pads by so many pixels, and no max pooling."""
BLANK = {
    "num_heads": "shapes do not tell it: see the authors' code; often embed_dim / 64",
    "small_stem": "shapes do not tell how the first convolution pads: see the authors' code; often by 1, solo-learn 2",
}
"""Options that 0 stands for a blank of, and where to look."""
LAYERS: dict[str, dict[str, Any]] = {
    "act_layer": {
        **{n: getattr(nn, n) for n in ("ReLU", "ReLU6", "GELU", "SiLU", "Hardswish", "LeakyReLU", "Tanh")},
        **{n: n for n in ("relu", "relu6", "gelu", "gelu_tanh", "quick_gelu", "silu", "swish", "hard_swish")},
    },
    "mlp_layer": {n: getattr(layers, n) for n in ("Mlp", "GluMlp", "SwiGLU", "SwiGLUPacked")},
    "norm_layer": {
        "LayerNorm": layers.LayerNorm,
        "RmsNorm": layers.RmsNorm,
        "BatchNorm2d": nn.BatchNorm2d,
        **{n: n for n in ("layernorm", "rmsnorm", "batchnorm2d")},
    },
}
"""Layers a card may name, as timm's and torch's own code calls them (SwiGLUPacked: UNI2-h, Virchow, H0-mini)."""
MAX_OPTION = 8_192
MAX_DEPTH = 256
MAX_PARAMETERS = 8 * 10**9


def build(
    card: EncoderCard,
    model: str,
    *,
    options: Mapping[str, Any] | None = None,
    num_classes: int = 0,
    seed: int = 0,
    skeleton: bool = False,
) -> nn.Module:
    """A timm network with random weights from `seed`, its input channels those of the card.

    skeleton: shapes only (on torch's meta device), so that a card can be checked before memory is spent on it.
    The global random state is left as it was. Raises EncoderError for an unknown model (with the nearest name),
    for options the model does not take, and for more than 8 * 10^9 parameters.
    """
    check_name(model, card.name)
    arguments = {k: LAYERS[k][v] if k in LAYERS else v for k, v in checked_options(options or {}, card.name).items()}
    arguments |= {"num_classes": num_classes, "in_chans": card.preprocessing.channels}
    padding = arguments.pop("small_stem", None)
    try:
        with torch.device("meta"):
            bones = _with_stem(timm.create_model(model, pretrained=False, **arguments), padding)
        if (size := sum(p.numel() for p in bones.parameters())) > MAX_PARAMETERS:
            raise EncoderError(f"{model!r} has {size:,} parameters, over the limit", where=card.name)
        with torch.random.fork_rng(devices=[]):
            return bones if skeleton else _with_stem(_create(model, arguments, seed), padding).eval()
    except (TypeError, ValueError, AssertionError, RuntimeError, NotImplementedError) as error:
        raise EncoderError(f"timm cannot build {model!r}: {str(error)[:300]}", where=card.name) from None


def checked_options(options: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """`options` when all are allowed and bounded. Raises EncoderError."""
    for key, value in options.items():
        if key not in OPTIONS:
            raise EncoderError(f"unknown option {key[:80]!r}", where=where, fix=did_you_mean(key, OPTIONS))
        numbers = value if isinstance(value, list) else [value]
        limit = MAX_DEPTH if key in ("depth", "depths") else MAX_OPTION
        if key in LAYERS and value not in LAYERS[key]:
            raise EncoderError(
                f"option {key!r} is {str(value)[:80]!r}", where=where, fix=f"one of: {', '.join(LAYERS[key])}"
            )
        if key in BLANK and value == 0:
            raise EncoderError(f"option {key!r} is still a blank", where=where, fix=BLANK[key])
        if key == "small_stem" and value not in (1, 2):
            raise EncoderError(f"option 'small_stem' is {str(value)[:80]!r}", where=where, fix=BLANK[key])
        if any(isinstance(n, (int, float)) and not 0 <= n <= limit for n in numbers):
            raise EncoderError(f"option {key!r} is out of range: {str(value)[:80]}", where=where)
    return options


def check_name(model: str, where: str) -> None:
    """EncoderError, with the nearest name, for what is no architecture of timm."""
    known = timm.list_models()
    if model in known:
        return
    bare = model.split(".")[0]
    near = bare if bare in known else nearest(model, known)
    fix = f"did you mean {near!r}?" if near else "timm.list_models() has the names"
    raise EncoderError(f"unknown timm model {model[:80]!r}", where=where, fix=fix)


def _with_stem(network: nn.Module, padding: float | None) -> nn.Module:
    """The network, its stem that of `small_stem` unless `padding` is None. Raises ValueError for other than ResNets."""
    if padding is None:
        return network
    if not isinstance(network, ResNet) or not isinstance(first := network.conv1, nn.Conv2d):
        raise ValueError("only a ResNet with one first convolution takes small_stem")
    conv = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=1, padding=int(padding), bias=False)
    network.register_module("conv1", conv)
    network.register_module("maxpool", nn.Identity())
    return network


def _create(model: str, arguments: dict[str, Any], seed: int) -> nn.Module:
    """With position embeddings resampled to the input where the family can (ViT and kin), so that any size works."""
    torch.manual_seed(seed)
    try:
        return timm.create_model(model, pretrained=False, dynamic_img_size=True, **arguments)
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise
    torch.manual_seed(seed)
    return timm.create_model(model, pretrained=False, **arguments)
