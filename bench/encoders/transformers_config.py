"""What a transformers folder says of itself, looked over before the library reads it."""

from math import prod
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from bench.encoders.hub_config import CONFIG, read_object
from bench.encoders.weights import read_state
from bench.errors import EncoderError

WEIGHTS: Final = "model.safetensors"
MAX_LAYERS = 1024
POOLER = 20_000_000
"""Parameters that may be missing from a file: a pooler nobody uses."""
FORBIDDEN = (
    "auto_map",
    "quantization_config",
    "custom_pipelines",
    "transformers_weights",
    "_attn_implementation",
    "attn_implementation",
)
"""Config keys that lead to code or kernels outside the transformers library, or to other weights than the pinned."""


def check_config(path: Path, where: str) -> None:
    """EncoderError when the config asks for code or kernels from elsewhere, or an adapter lies beside it."""
    config = read_object(path, CONFIG, where=where)
    if "model_type" not in config:
        raise EncoderError(f"{CONFIG} names no 'model_type'", where=where)
    if found := _forbidden(config):
        raise EncoderError(
            f"{CONFIG} asks for code from elsewhere, or other weights ({found!r})", where=where, fix=f"remove {found!r}"
        )
    if deep := _too_deep(config):
        raise EncoderError(f"{CONFIG}: {deep!r} is over the limit of {MAX_LAYERS} layers", where=where)
    if (path.parent / "adapter_config.json").exists():
        raise EncoderError("the folder holds a PEFT adapter", where=where, fix="merge it into the weights")


def _parts(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The config and the configs of its parts (vision_config and so on)."""
    return [config, *(v for v in config.values() if isinstance(v, dict))]


def _forbidden(config: dict[str, Any]) -> str | None:
    return next((key for part in _parts(config) for key in FORBIDDEN if part.get(key)), None)


def _too_deep(config: dict[str, Any]) -> str | None:
    """A key that asks for more layers than any encoder has; they would be built before the weights are looked at."""
    for part in _parts(config):
        for key, value in part.items():
            counts = value if isinstance(value, list) else [value]
            total = sum(n for n in counts if isinstance(n, int))
            if ("layer" in key or "depth" in key or "block" in key) and total > MAX_LAYERS:
                return key
    return None


def refuse_oversized(folder: Path, files: list[Path], where: str) -> None:
    """EncoderError when the config describes a network far larger than the weights, before it takes memory.

    Also where weights are stored as other than floating-point numbers: the library would take codes for values.
    """
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        bones = AutoModel.from_config(config, trust_remote_code=False)
    stored = {name: found for file in files for name, found in _stored(file, where).items()}
    held = sum(count for _, count in stored.values())
    coded = [
        n
        for n, (kind, _) in stored.items()
        if kind not in FLOATING + COUNTED or (kind not in FLOATING and n.endswith(("weight", "bias")))
    ]
    if coded:
        what = f"{coded[0][:80]!r} is stored as {stored[coded[0]][0]}, not as floating-point numbers"
        raise EncoderError(what, where=where, fix="dequantise the weights before saving")
    asked = sum(p.numel() for p in bones.parameters())
    if asked > 1.5 * held + POOLER:
        raise EncoderError(f"{CONFIG} describes {asked:,} parameters, {files[0].name} holds {held:,}", where=where)


FLOATING = ("F64", "F32", "F16", "BF16", "float64", "float32", "float16", "bfloat16")


COUNTED = ("I64", "I32", "BOOL", "int64", "int32", "bool")
"""Types of indexes and masks that files hold beside weights."""


def _stored(path: Path, where: str) -> dict[str, tuple[str, int]]:
    """Name -> (type, count of numbers) of each tensor in a weights file."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        state = {n: v for n, v in read_state(path, where=where).items() if isinstance(v, Tensor)}
        return {name: (str(value.dtype).removeprefix("torch."), value.numel()) for name, value in state.items()}
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return {name: (part.get_dtype(), prod(part.get_shape())) for name, part in slices.items()}
    except SafetensorError as error:
        raise EncoderError(f"{path.name} is not a valid safetensors file: {str(error)[:200]}", where=where) from None
