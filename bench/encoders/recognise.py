"""What a file or folder holds, by its content: the adapter that reads it, and of weights the architecture."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.encoders.exported import shapes_of
from bench.encoders.weights_shape import describe
from bench.errors import EncoderError
from bench.files import sha256_file


@dataclass(frozen=True)
class Recognised:
    """Keys of `[source]`, what the card needs beside them, the files to carry along, and what was assumed."""

    source: dict[str, Any]
    files: tuple[Path, ...]
    architecture: str = "other"
    size: int = 224
    pooling: str = "native"
    assumed: tuple[str, ...] = field(default=())
    channels: int = 3


def recognise(path: Path, model: str | None = None) -> Recognised:
    """What `path` is; `model` says the timm architecture of weights that shapes do not tell.

    Raises EncoderError when it is nothing that an adapter reads, or fits no architecture.
    """
    if path.is_dir():
        return _folder(path)
    with open(path, "rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        return _embeddings([path])
    names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if names and all(n.endswith(".npy") for n in names):
        return _embeddings([path])
    if any(n.endswith("models/model.json") or "serialized_exported_program" in n for n in names):
        return _program(path, "torch-export", *shapes_of(path))
    if any("/code/" in n for n in names):
        return _program(path, "torchscript", None, set())
    if path.suffix == ".onnx":
        return _onnx(path)
    found = describe(path, model)
    source = {"adapter": "timm", "weights": path.name, "sha256": sha256_file(path), **found.source}
    return Recognised(source, (path,), found.architecture, found.size, found.pooling, found.assumed, found.channels)


def _folder(path: Path) -> Recognised:
    if (path / "config.json").is_file():
        return _transformers(path)
    tables = sorted(p for p in path.iterdir() if p.suffix in (".npz", ".parquet"))
    if tables:
        return _embeddings(tables)
    raise EncoderError("is no folder of transformers (config.json) and holds no npz or parquet", where=path)


def _transformers(path: Path) -> Recognised:
    from transformers import AutoConfig

    weights = path / "model.safetensors"
    if not weights.is_file():
        raise EncoderError("holds no model.safetensors", where=path, fix="save it with safe_serialization=True")
    try:
        config = AutoConfig.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises many unrelated classes
        raise EncoderError(f"transformers cannot read its config: {str(error)[:200]}", where=path) from None
    tower = getattr(config, "vision_config", None)
    size = getattr(tower or config, "image_size", None)
    size = size[0] if isinstance(size, (list, tuple)) else size
    source = {"adapter": "huggingface", "folder": path.name, "sha256": sha256_file(weights)}
    source |= {"part": "vision_model"} if tower is not None else {}
    maps = "hidden_sizes" in config.to_dict() or "swin" in config.model_type
    assumed = ["the mean of the patches represents an image: pooling"]
    assumed += [] if size else ["size 224: the config does not say it"]
    return Recognised(source, (path,), "cnn" if maps else "vit", size or 224, "mean", tuple(assumed))


def _onnx(path: Path) -> Recognised:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's and onnx's errors have no common base
        raise EncoderError(f"is not an ONNX model: {str(error)[:200]}", where=path) from None
    external = sorted({e.value for t in model.graph.initializer for e in t.external_data if e.key == "location"})
    beside = [path.parent / name for name in external if Path(name).name == name]
    if missing := [p.name for p in beside if not p.is_file()]:
        raise EncoderError(f"its external data is missing: {', '.join(missing)[:200]}", where=path)
    source = {"adapter": "onnx", "weights": path.name, "sha256": sha256_file(path), "prefix_tokens": 1}
    source |= {"external": {p.name: sha256_file(p) for p in beside}} if beside else {}
    inputs = model.graph.input[0].type.tensor_type.shape.dim if model.graph.input else ()
    size = inputs[-1].dim_value if len(inputs) == 4 and inputs[-1].dim_value else 224
    ranks = [len(o.type.tensor_type.shape.dim) for o in model.graph.output]
    pooling = "native" if 2 in ranks else "mean"
    assumed = ("one class token before the patches: prefix_tokens",) if 3 in ranks else ()
    return Recognised(source, (path, *beside), "other", size, pooling, assumed)


def _program(path: Path, adapter: str, size: int | None, ranks: set[int]) -> Recognised:
    source = {"adapter": adapter, "weights": path.name, "sha256": sha256_file(path), "prefix_tokens": 1}
    assumed = () if size else ("size 224: the program does not say it",)
    assumed += ("one class token before the patches: prefix_tokens",) if 3 in ranks or not ranks else ()
    assumed += () if ranks else ("tokens or a map, whose mean represents an image: pooling",)
    return Recognised(source, (path,), "other", size or 224, "native" if 2 in ranks else "mean", assumed)


def _embeddings(paths: list[Path]) -> Recognised:
    files = {p.stem.lower(): {"path": p.name, "sha256": sha256_file(p)} for p in paths}
    assumed = (f"files are called as their tasks: {', '.join(files)[:200]}",)
    return Recognised({"adapter": "embeddings", "files": files}, tuple(paths), "other", 224, "native", assumed)
