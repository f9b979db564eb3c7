"""Which timm architecture a weights file fits, by the names and shapes of its tensors."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bench.encoders.architectures import BLANK, build
from bench.encoders.card import EncoderCard
from bench.encoders.cures import places
from bench.encoders.layouts import EXPORT, NAMES, told
from bench.encoders.statedict import NUMBERS, KeyMapping, fit, select, state_at, unwrapped
from bench.encoders.torchvision_names import FAMILIES as TORCHVISION
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
IN_A_ROW = "4.0.conv1.weight"
"""What torch.nn.Sequential(*resnet.children()) calls the first convolution of its first stage."""
FAMILIES[IN_A_ROW] = FAMILIES["layer1.0.conv1.weight"]
FAMILIES["stages.0.0.dwconv.weight"] = FAMILIES["stages.0.blocks.0.conv_dw.weight"]
"""A tensor only this family has -> its members in timm."""
FIRST = (VIT, "conv1.weight", "0.weight", "stem.0.weight", "downsample_layers.0.0.weight", "features.conv0.weight")
"""The first convolution of each family."""
OUTSIDE = (
    *("head", "fc", "classifier", "last_layer", "linear", "lm_head", "heads", "logit", "aux", "attn_pool", "9."),
    *("mask", "decoder", "pred", "proj", "prototypes", "queue", "center", "criterion", "loss", "memory", "codebook"),
    *("momentum", "teacher", "student", "online", "target", "local_cls_norm", "rope_embed.periods"),
)
"""How names of tensors begin that stand behind or beside the network, wherever they are nested."""
CONVERTED = ("storage_tokens", "register_tokens")
"""What timm's conversions call otherwise."""
PIXELS = ("mean", "std", "pixel_mean", "pixel_std", "image_mean", "image_std")
"""What tensors are called that hold the normalisation of images."""
BETTER = ("teacher", "ema", "swa_", "online", "target", "base_encoder", "backbone", "encoder", "best")
WORSE = ("student", "momentum", "encoder_k", "optim", "exp_avg", "grad", "init", "decoder", "predictor", "online_head")


class MoreInsideError(EncoderError):
    """The weights are those of the architecture, and of parts inside it that it has not."""


@dataclass(frozen=True)
class DescribedWeights:
    """Keys of `[source]` beyond the file, and what the card needs beside them."""

    source: dict[str, Any]
    architecture: str
    size: int
    pooling: str
    assumed: tuple[str, ...]
    channels: int = 3


def describe(path: Path, model: str | None = None) -> DescribedWeights:
    """The place of the weights inside the file, and the architecture they fit (`model`, if given). Or EncoderError."""
    held = read_state(path, where=str(path))
    problem: EncoderError | None = None
    candidates = _candidates(held)
    anywhere = [(entry or None, "", "") for entry, _ in places(held)] if model else []
    for entry, prefix, anchor in candidates + anywhere:
        state = unwrapped(select(state_at(held, entry, where=str(path)), prefix))
        chosen = _chosen(_place(entry, prefix), [_place(*c[:2]) for c in candidates])
        try:
            found = _fitted(state, anchor, model, prefix, path)
        except EncoderError as error:
            problem = problem or error
            continue
        if found is not None:
            return replace(
                found,
                source=found.source | {k: v for k, v in (("entry", entry), ("prefix", prefix)) if v},
                assumed=(*chosen, *found.assumed, *_normalised(state_at(held, entry, where=str(path)))),
            )
    if problem is not None:
        raise problem
    raise _unknown(held, path)


def _fitted(
    state: Mapping[str, Tensor], anchor: str, model: str | None, prefix: str, path: Path
) -> DescribedWeights | None:
    """The first architecture that these names and shapes fit, None where they are of none.

    Raises the EncoderError of one that has no place for a part of them, else of the first that they do not fit.
    """
    _refuse_strange(state, path)
    channels = _channels(state, path)
    stem, said = _small_stem(state, path)
    how: KeyMapping = "by-order" if anchor == IN_A_ROW else "by-name"
    problems: list[EncoderError] = []
    for name, plain, assumed in [(model, {}, ())] if model else _models(anchor, state, prefix):
        options = {**plain, **stem}
        try:
            drop = _fitting(name, options, state, channels, how)
        except EncoderError as error:
            problems.append(error)
            continue
        found = _described(drop, name, options, state, channels, (*assumed, *said))
        return replace(found, source=found.source | {"key_mapping": how}) if how == "by-order" else found
    if problems:
        first = next((problem for problem in problems if isinstance(problem, MoreInsideError)), problems[0])
        raise first if model else _guessed(first)
    return None


def _guessed(problem: EncoderError) -> EncoderError:
    """The same error, which says that the network was a guess and how to name another."""
    fix = f"{problem.where} is a guess from names and shapes; of another network of timm say --model; {problem.fix}"
    return type(problem)(problem.what, where=problem.where, fix=fix)


def _unknown(held: object, path: Path) -> EncoderError:
    """The error for a file whose names tell no architecture: what it holds, and the cure."""
    place = max(places(held), key=lambda found: found[1], default=None)
    if place is None:
        what = ", ".join(map(str, held))[:80] if isinstance(held, Mapping) else type(held).__name__
        fix = "save the state dict alone: torch.save(model.state_dict(), ...)"
        return EncoderError(f"holds no tensors by name, only {what or 'nothing'}", where=path, fix=fix)
    state = state_at(held, place[0] or None, where="file")
    _refuse_strange(state, path)
    heads = list(dict.fromkeys(name.split(".")[0] for name in state))
    kind, fix = told(state)
    begin = f"they begin: {', '.join(heads[:6])[:120]}{f'; they are {kind}' if kind else ''}"
    return EncoderError(f"holds weights of no architecture known by its names ({begin})", where=path, fix=fix)


def _refuse_strange(state: Mapping[str, Tensor], path: Path) -> None:
    """EncoderError for weights that are codes, and for a network of volumes."""
    for name, value in state.items():
        if name.endswith(".weight") and value.dtype not in NUMBERS:
            what = (
                f"{name[:80]!r} is stored as {str(value.dtype).removeprefix('torch.')}, not as floating-point numbers"
            )
            raise EncoderError(what, where=path, fix="dequantise the weights before saving")
        if name.endswith(".weight") and value.ndim == 5:
            what = f"{name[:80]!r} is {tuple(value.shape)}: a network of volumes"
            raise EncoderError(what, where=path, fix="write a card with depth: docs/encoders.md#volumes")


def _candidates(held: object) -> list[tuple[str | None, str, str]]:
    """(entry, prefix, the tensor that tells the family), what is meant to be used first."""
    found = []
    for entry, _ in places(held):
        for name in state_at(held, entry or None, where=entry):
            for anchor in (VIT, *FAMILIES, *TORCHVISION):
                if name == anchor or name.endswith(f".{anchor}"):
                    here = TORCHVISION[anchor][0] if anchor in TORCHVISION else anchor
                    found.append((entry or None, name[: -len(anchor)], here))
    return sorted(found, key=lambda place: _rank(_place(*place[:2])))


def _normalised(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """What tensors beside the network say of mean and std, as mmengine and detectron2 keep them."""
    found = {n: v for n, v in state.items() if n.split(".")[-1] in PIXELS and 0 < v.numel() <= 3}
    return tuple(
        f"{n} in the file is {[round(x, 4) for x in v.reshape(-1).tolist()]}: is it that of the card?"
        for n, v in found.items()
    )


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


def _channels(state: Mapping[str, Tensor], path: Path) -> int:
    """Input channels of the first convolution, by the names of the families; 3 where they do not tell."""
    first = next((state[name] for name in FIRST if name in state and state[name].ndim == 4), None)
    channels = 3 if first is None else first.shape[1]
    if channels not in (1, 3):
        fix = "export an ONNX graph that takes 3 and makes the others itself"
        raise EncoderError(f"its first convolution takes {channels} channels, images have 1 or 3", where=path, fix=fix)
    return channels


def _small_stem(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(options, what is assumed) of a ResNet as it is trained on CIFAR: how it pads is left blank.

    Raises EncoderError where it was saved as a row of layers, whose places do not tell what stands where pooling did.
    """
    name = next((name for name in ("conv1.weight", "0.weight") if name in state), None)
    if name is None or state[name].ndim != 4 or state[name].shape[-1] != 3 or state[name].shape[1] not in (1, 3):
        return {}, ()
    if name == "0.weight":
        what = "is a row of layers with the 3 x 3 first convolution of CIFAR, whose stride and pooling no shape tells"
        raise EncoderError(what, where=path, fix=EXPORT)
    said = "its first convolution, of 3 x 3, has stride 1, and no max pooling follows, as for CIFAR"
    return {"small_stem": 0}, (f"{said}; small_stem, by how much it pads, is left blank: shapes do not tell it",)


def _rank(path: str) -> int:
    good = next((i for i, word in enumerate(BETTER) if word in path), len(BETTER))
    return good + 100 * any(word in path for word in WORSE)


def _models(
    anchor: str, state: Mapping[str, Tensor], prefix: str
) -> Iterator[tuple[str, dict[str, Any], tuple[str, ...]]]:
    if anchor == VIT and state[VIT].ndim == 4 and "blocks.0.attn.qkv.weight" in state:
        if fixed := _of_fixed_size(state):
            yield from ((name, {}, ()) for name in fixed)
        else:
            yield _vit(state, moco="base_encoder" in prefix or "momentum_encoder" in prefix)
    for model in FAMILIES.get(anchor, ()):
        yield model, {}, ()


def _of_fixed_size(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Transformers with parts that the plain one has not, each told by one of them: they come in a few sizes only."""
    size = WIDTHS.get(state[VIT].shape[0], "base")
    if "dist_token" in state:
        return tuple(f"deit_{size}_distilled_patch16_{side}" for side in (224, 384)[: 2 if size == "base" else 1])
    if "blocks.0.attn.relative_position_bias_table" in state:
        return tuple(
            n for n in (f"{kind}_{size}_patch16_224" for kind in ("beit", "beitv2")) if size in ("base", "large")
        )
    if "pos_embed" not in state and ("storage_tokens" in state or "reg_token" in state):
        sizes = ("small", "small_plus", "base", "large", "huge_plus")
        return tuple(f"vit_{size}_patch16_dinov3{kind}" for size in sizes for kind in ("_qkvb", ""))
    return ()


def _vit(state: Mapping[str, Tensor], *, moco: bool) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """A vision transformer from its shapes: width, depth, patch, input, registers, gated layers."""
    width, patch = state[VIT].shape[0], state[VIT].shape[-1]
    depth = 1 + max(int(m[1]) for n in state if (m := re.match(r"blocks\.(\d+)\.", n)))
    registers = next(
        (state[n].shape[1] for n in ("register_tokens", "reg_token") if n in state and state[n].ndim == 3), 0
    )
    options: dict[str, Any] = {"patch_size": patch, "depth": depth, "embed_dim": width}
    known = WIDTHS.get(width)
    heads = 12 if moco and width == 384 else HEADS.get(width, 0)
    options["num_heads"] = heads
    said = f"{heads} heads" if heads else "num_heads is left blank"
    assumed: tuple[str, ...] = (
        f"{said}: shapes do not tell it" + (" (MoCo v3's small has 12, others 6)" if heads == 12 and moco else ""),
    )
    classes = int("cls_token" in state)
    if "pos_embed" in state and state["pos_embed"].ndim == 3:
        before, side = _places(state["pos_embed"].shape[1], classes, registers)
        options |= {"img_size": patch * side, **({"no_embed_class": True} if before < classes + registers else {})}
        if before < classes and not registers:
            assumed += ("pos_embed has places for the patches alone, none for the class token",)
    options |= {"reg_tokens": registers} if registers else {}
    options |= {} if classes else {"class_token": False, "global_pool": "avg", "fc_norm": False}
    if "fc_norm.weight" in state and "norm.weight" not in state:  # fine-tuned with the mean of the patches
        options |= {"global_pool": "avg", "fc_norm": True}
    options |= {"qk_norm": True} if "blocks.0.attn.q_norm.weight" in state else {}
    options |= {"init_values": 1e-5} if "blocks.0.ls1.gamma" in state else {}
    options |= {} if "blocks.0.attn.qkv.bias" in state else {"qkv_bias": False}
    options |= _mlp(state, width)
    return f"vit_{known or 'small'}_patch16_224" if known != "huge" else "vit_huge_patch14_224", options, assumed


def _places(count: int, classes: int, registers: int) -> tuple[int, int]:
    """(places before the patches, side of the grid) of `count` position embeddings; what is left must be a square.

    A class token has a place or not, registers too.
    """
    for before in dict.fromkeys((classes + registers, classes, 0)):
        if count > before and isqrt(count - before) ** 2 == count - before:
            return before, isqrt(count - before)
    raise EncoderError(f"its {count} position embeddings are no square grid", where="pos_embed", fix="give --model")


def _mlp(state: Mapping[str, Tensor], width: int) -> dict[str, Any]:
    first, last = (
        next((state[n] for n in names if n in state and state[n].ndim == 2), None)
        for names in (
            ("blocks.0.mlp.w12.weight", "blocks.0.mlp.fc1.weight"),
            ("blocks.0.mlp.w3.weight", "blocks.0.mlp.fc2.weight"),
        )
    )
    if first is None or last is None:
        raise EncoderError("its blocks have no two layers known by their names", where="blocks.0.mlp", fix=NAMES)
    hidden = first.shape[0]
    ratio = {"mlp_ratio": hidden / width} if hidden != 4 * width else {}
    swiglu = "blocks.0.mlp.w12.weight" in state or last.shape[1] * 2 == hidden
    return ratio | ({"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"} if swiglu else {})


def _fitting(
    model: str, options: dict[str, Any], state: Mapping[str, Tensor], channels: int, how: KeyMapping
) -> list[str]:
    """What to drop so that `state` fits `model`. Raises EncoderError, also where what is dropped belongs inside it."""
    bones = _bones(model, options | {key: 1 for key in BLANK if options.get(key) == 0}, channels)
    wanted = bones.state_dict()
    foreign = {_branch(n, wanted) for n in state if n not in wanted and n != "register_tokens"}
    made = [] if any(n.startswith("head.") for n in wanted) else ["head."]  # what conversions make of a projection
    beside = [n for n in foreign if n.startswith(OUTSIDE)] if how == "by-order" else [*foreign, *made]
    for drop in ([], sorted({*beside})):
        try:
            used = {id(v) for v in fit(bones, state, drop, how, where=model)[0].values()}
        except EncoderError as error:
            problem = error
            continue
        unused = {name: value for name, value in state.items() if id(value) not in used}
        drop = [start for start in drop if any(n.startswith(start) for n in unused) or start in made]
        _refuse_inside(model, unused, drop, named_alike=any(n in wanted for n in state))
        return drop
    raise problem


def _refuse_inside(model: str, unused: Mapping[str, Tensor], drop: list[str], *, named_alike: bool) -> None:
    """Adapters, further layers, norms and embeddings change every feature: without them it is another network.

    Only what is a head, a decoder, a queue by its name stands beside the network. Where the file calls nothing as the
    network does, timm's conversion has chosen.
    """
    left = [n for n, v in unused.items() if n.startswith(tuple(drop)) and v.is_floating_point() and v.numel()]
    inside = [n for n in left if not n.startswith(OUTSIDE) and n not in CONVERTED]
    if inside and named_alike:
        what = f"{model} has no place for what the file holds inside it: {', '.join(inside[:3])[:200]}"
        fix = (
            "merge adapters into the weights before saving (peft: merge_and_unload), give --model, or export it as ONNX"
        )
        raise MoreInsideError(what, where=model, fix=fix)


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
    drop: list[str], model: str, options: dict[str, Any], state: Mapping[str, Tensor], channels: int,
    assumed: tuple[str, ...],
) -> DescribedWeights:  # fmt: skip
    source = {"model": model} | {key: value for key, value in (("drop", drop), ("options", options)) if value}
    vit = model.startswith(("vit_", "deit_", "beit"))
    averaged = options.get("global_pool") == "avg" and options.get("fc_norm") is True
    pooling = (
        "native" if not vit or averaged or not model.startswith("vit_") else "cls" if "cls_token" in state else "mean"
    )
    size = options.get("img_size", 384 if "384" in model else 32 if "small_stem" in options else 224)
    sized = () if "img_size" in options else (f"size {size}: the file does not say it",)
    left = (f"left out, as no part of the encoder: {', '.join(drop)[:120]}",) if drop else ()
    return DescribedWeights(
        source,
        "vit" if vit else "other" if "swin" in model else "cnn",
        size,
        pooling,
        (*assumed, *left, *sized),
        channels,
    )
