"""torchvision's names of its ViT, ConvNeXt and Swin as timm calls the same tensors: the networks are the same."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]
TRANSFORMER: Rules = (
    (r"^class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.ln\.", "norm."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
    (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
)
CONVNEXT: Rules = (
    (r"^features\.0\.", "stem."),
    (r"^features\.([246])\.", lambda m: f"stages.{int(m[1]) // 2}.downsample."),
    (r"^features\.([1357])\.(\d+)\.", lambda m: f"stages.{int(m[1]) // 2}.blocks.{m[2]}."),
    (r"\.block\.0\.", ".conv_dw."),
    (r"\.block\.2\.", ".norm."),
    (r"\.block\.3\.", ".mlp.fc1."),
    (r"\.block\.5\.", ".mlp.fc2."),
    (r"\.layer_scale$", ".gamma"),
    (r"^classifier\.0\.", "head.norm."),
)
SWIN: Rules = (
    (r"^features\.0\.0\.", "patch_embed.proj."),
    (r"^features\.0\.2\.", "patch_embed.norm."),
    (r"^features\.([246])\.", lambda m: f"layers.{int(m[1]) // 2}.downsample."),
    (r"^features\.([1357])\.(\d+)\.", lambda m: f"layers.{int(m[1]) // 2}.blocks.{m[2]}."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
)
FAMILIES: dict[str, tuple[str, Rules]] = {
    "conv_proj.weight": ("patch_embed.proj.weight", TRANSFORMER),
    "features.1.0.block.5.weight": ("stages.0.blocks.0.conv_dw.weight", CONVNEXT),
    "features.1.0.attn.relative_position_bias_table": ("layers.0.blocks.0.attn.relative_position_bias_table", SWIN),
}
"""A tensor only this family has -> what timm calls one that only the same family has there, and the rules."""


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` under timm's names where it is of one of these networks, else as it is.

    ConvNeXt's scales (c, 1, 1) become (c,).
    """
    rules = next((rules for mark, (_, rules) in FAMILIES.items() if mark in state), ())
    return {_renamed(n, rules): v.flatten() if rules and n.endswith(".layer_scale") else v for n, v in state.items()}


def _renamed(name: str, rules: Rules) -> str:
    for pattern, new in rules:
        name = re.sub(pattern, new, name)
    return name
