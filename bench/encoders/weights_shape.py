"""Which timm architecture a weights file fits, by the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bench.encoders.architectures import build
from bench.encoders.card import EncoderCard
from bench.encoders.cures import places
from bench.encoders.statedict import fit, select, state_at
from bench.encoders.weights import read_state
from bench.errors import EncoderError

VIT = "patch_embed.proj.weight"
WIDTHS = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge", 1408: "giant", 1664: "gigantic"}
HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1664: 16}
"""The usual name and number of heads of a width; shapes do not tell the heads."""
FAMILIES: dict[str, tuple[str, ...]] = {
    "layer1.0.conv1.weight": (
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"),
        *("resnext50_32x4d", "resnext101_32x8d"),
    ),
    "stages.0.blocks.0.conv_dw.weight": tuple(
        f"{kind}_{size}"
        for kind in ("convnext", "convnextv2")
        for size in ("atto", "femto", "pico", "nano", "tiny", "small", "base", "large", "huge")
        if (kind, size) != ("convnext", "huge")
    ),
    "layers.0.blocks.0.attn.relative_position_bias_table": tuple(
        f"swin_{size}_patch4_window{window}" for size in ("tiny", "small", "base", "large")
        for window in (("7_224",) if size in ("tiny", "small") else ("7_224", "12_384"))
    ),
    "features.denseblock1.denselayer1.conv1.weight": ("densenet121", "densenet169", "densenet201"),
}  # fmt: skip
FAMILIES["stages.0.0.dwconv.weight"] = FAMILIES["stages.0.blocks.0.conv_dw.weight"]
"""A tensor only this family has -> its members in timm."""
FIRST = (VIT, "conv1.weight", "stem.0.weight", "downsample_layers.0.0.weight", "features.conv0.weight")
"""The first convolution of each family."""
OUTSIDE = ("head", "fc", "classifier", "norm", "mask_token", "last_layer", "predictor", "projector", "decoder")
"""How names of tensors begin that stand behind or beside the network, wherever they are nested."""
BETTER = ("teacher", "ema", "target", "base_encoder", "backbone", "encoder")
WORSE = ("student", "momentum", "optimizer", "decoder", "predictor", "online_head")


@dataclass(frozen=True)
class Described:
    """Keys of `[source]` beyond the file, and what the card needs beside them."""

    source: dict[str, Any]
    architecture: str
    size: int
    pooling: str
    assumed: tuple[str, ...]
    channels: int = 3


def describe(path: Path, model: str | None = None) -> Described:
    """The place of the weights inside the file, and the architecture they fit (`model`, if given). Or EncoderError."""
    held = read_state(path, where=str(path))
    problem: EncoderError | None = None
    given = [(model, {}, ())] if model else None
    candidates = _candidates(held)
    for entry, prefix, anchor in candidates:
        state = select(state_at(held, entry, where=str(path)), prefix)
        channels = _channels(state)
        for name, options, assumed in given or _models(anchor, state, prefix):
            try:
                drop = _fitting(name, options, state, channels)
            except EncoderError as error:
                problem = problem or error
                continue
            chosen = _chosen(_place(entry, prefix), [_place(*c[:2]) for c in candidates])
            return _described(entry, prefix, drop, name, options, state, channels, (*chosen, *assumed))
    if problem is not None:
        raise problem
    raise EncoderError("holds weights of no architecture known by its names", where=path, fix="give --model")


def _candidates(held: object) -> list[tuple[str | None, str, str]]:
    """(entry, prefix, the tensor that tells the family), what is meant to be used first."""
    found = []
    for entry, _ in places(held):
        for name in state_at(held, entry or None, where=entry):
            for anchor in (VIT, *FAMILIES):
                if name == anchor or name.endswith(f".{anchor}"):
                    found.append((entry or None, name[: -len(anchor)], anchor))
    return sorted(found, key=lambda place: _rank(_place(*place[:2])))


def _place(entry: str | None, prefix: str) -> str:
    """Where weights lie inside a file: entry and prefix as one dotted path, "" at the top."""
    return f"{entry or ''}.{prefix}".strip(".")


def _chosen(place: str, places: list[str]) -> tuple[str, ...]:
    """What is to be said where a file holds several networks, or one under a name that no encoder has."""
    others = sorted(set(places) - {place})
    if others:
        return (f"the weights under {place or 'the top level'!r}; there are others under {', '.join(others)[:200]}",)
    if any(word in place for word in WORSE):
        return (f"the weights under {place!r} are the encoder: the file holds no others",)
    return ()


def _channels(state: Mapping[str, Tensor]) -> int:
    """Input channels of the first convolution, by the names of the families; 3 where they do not tell."""
    first = next((state[name] for name in FIRST if name in state and state[name].ndim == 4), None)
    return 1 if first is not None and first.shape[1] == 1 else 3


def _rank(path: str) -> int:
    good = next((i for i, word in enumerate(BETTER) if word in path), len(BETTER))
    return good + 100 * any(word in path for word in WORSE)


def _models(
    anchor: str, state: Mapping[str, Tensor], prefix: str
) -> Iterator[tuple[str, dict[str, Any], tuple[str, ...]]]:
    if anchor == VIT and "blocks.0.attn.qkv.weight" in state and state[VIT].ndim == 4:
        yield _vit(state, moco="base_encoder" in prefix or "momentum_encoder" in prefix)
    for model in FAMILIES.get(anchor, ()):
        yield model, {}, ()


def _vit(state: Mapping[str, Tensor], *, moco: bool) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """A vision transformer from its shapes: width, depth, patch, input, registers, gated layers."""
    width, patch = state[VIT].shape[0], state[VIT].shape[-1]
    depth = 1 + max(int(m[1]) for n in state if (m := re.match(r"blocks\.(\d+)\.", n)))
    registers = next((state[n].shape[1] for n in ("register_tokens", "reg_token") if n in state), 0)
    options: dict[str, Any] = {"patch_size": patch, "depth": depth, "embed_dim": width}
    known = WIDTHS.get(width)
    heads = 12 if moco and width == 384 else HEADS.get(width, 0)
    options["num_heads"] = heads
    said = f"{heads} heads" if heads else "num_heads is left blank"
    assumed = (
        f"{said}: shapes do not tell it" + (" (MoCo v3's small has 12, others 6)" if heads == 12 and moco else ""),
    )
    classes = int("cls_token" in state)
    if "pos_embed" in state:
        count = state["pos_embed"].shape[1]
        # A class token has a place in pos_embed or not: what is left must be a square.
        before = next((b for b in (classes, 0, classes + registers) if round((count - b) ** 0.5) ** 2 == count - b), 0)
        options["img_size"] = patch * round((count - before) ** 0.5)
        options |= {"no_embed_class": True} if registers or before < classes else {}
    options |= {"reg_tokens": registers} if registers else {}
    options |= {} if classes else {"class_token": False, "global_pool": "avg", "fc_norm": False}
    options |= {"init_values": 1e-5} if "blocks.0.ls1.gamma" in state else {}
    options |= {} if "blocks.0.attn.qkv.bias" in state else {"qkv_bias": False}
    options |= _mlp(state, width)
    return f"vit_{known or 'small'}_patch16_224" if known != "huge" else "vit_huge_patch14_224", options, assumed


def _mlp(state: Mapping[str, Tensor], width: int) -> dict[str, Any]:
    gated = next((state[n] for n in ("blocks.0.mlp.w12.weight",) if n in state), None)
    hidden = (gated if gated is not None else state["blocks.0.mlp.fc1.weight"]).shape[0]
    out = next(state[n] for n in ("blocks.0.mlp.w3.weight", "blocks.0.mlp.fc2.weight") if n in state)
    ratio = {"mlp_ratio": hidden / width} if hidden != 4 * width else {}
    swiglu = gated is not None or out.shape[1] * 2 == hidden
    return ratio | ({"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"} if swiglu else {})


def _fitting(model: str, options: dict[str, Any], state: Mapping[str, Tensor], channels: int) -> list[str]:
    """What to drop so that `state` fits `model`. Raises EncoderError, also where what is dropped belongs inside it."""
    bones = _bones(model, {**options, **({"num_heads": 1} if options.get("num_heads") == 0 else {})}, channels)
    wanted = bones.state_dict()
    foreign = {_branch(n, wanted) for n in state if n not in wanted and n != "register_tokens"}
    for drop in ([], sorted(foreign)):
        try:
            fit(bones, state, drop, "by-name", where=model)
        except EncoderError as error:
            problem = error
        else:
            _refuse_inside(model, state, drop)
            return drop
    raise problem


def _refuse_inside(model: str, state: Mapping[str, Tensor], drop: list[str]) -> None:
    """Adapters or further layers within the blocks change every feature: without them it is another network."""
    inside = [
        name for name, value in state.items()
        if name.startswith(tuple(drop)) and value.is_floating_point() and not name.startswith(OUTSIDE)
        and name.split(".")[0] in {kept.split(".")[0] for kept in state if not kept.startswith(tuple(drop))}
    ]  # fmt: skip
    if inside:
        what = f"{model} has no place for what the file holds inside its blocks: {', '.join(inside[:3])[:200]}"
        fix = "merge adapters into the weights before saving (peft: merge_and_unload), or give --model"
        raise EncoderError(what, where=model, fix=fix)


def _branch(name: str, wanted: Mapping[str, Tensor]) -> str:
    """The shortest beginning of a name, up to a dot, that no wanted name has."""
    parts = name.split(".")
    starts = [".".join(parts[:i]) + "." for i in range(1, len(parts))]
    return next((s for s in starts if not any(w.startswith(s) for w in wanted)), name)


def _bones(model: str, options: dict[str, Any], channels: int) -> nn.Module:
    values = {"schema": 1, "name": "x", "version": "1", "title": "x", "authors": ["x"], "licence": "x", "method": "x",
              "paradigm": "reference", "objective": "other", "architecture": "other", "source": {},
              "preprocessing": {"size": 224, "channels": channels, "mean": [0.5], "std": [0.5]}}  # fmt: skip
    return build(EncoderCard.parse(values, where=model), model, options=options, skeleton=True)


def _described(
    entry: str | None, prefix: str, drop: list[str], model: str, options: dict[str, Any],
    state: Mapping[str, Tensor], channels: int, assumed: tuple[str, ...],
) -> Described:  # fmt: skip
    source: dict[str, Any] = {"model": model}
    for key, value in (("entry", entry), ("prefix", prefix), ("drop", drop), ("options", options)):
        source |= {key: value} if value else {}
    vit = model.startswith("vit_")
    pooling = "native" if not vit else "cls" if "cls_token" in state else "mean"
    size = options.get("img_size", 384 if "384" in model else 224)
    sized = () if "img_size" in options else (f"size {size}: the file does not say it",)
    return Described(
        source, "vit" if vit else "other" if "swin" in model else "cnn", size, pooling, assumed + sized, channels
    )
