"""What a file or folder holds, by its content: the adapter that reads it, and of weights the architecture."""

import re
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import isqrt
from pathlib import Path
from typing import Any

from bench.encoders.embedding_files import check_names
from bench.encoders.exported import shapes_of
from bench.encoders.folders import OPEN_CLIP, cure, open_clip_folder, timm_folder, transformers_folder
from bench.encoders.hub_config import CONFIG, read_object
from bench.encoders.mistaken import AGAIN, refuse_mistaken
from bench.encoders.programs import shapes_on_black
from bench.encoders.weights import is_safetensors
from bench.encoders.weights_shape import describe
from bench.errors import EncoderError
from bench.files import UNREADABLE, sha256_file

SCORES = re.compile(r"logit|prob|score|softmax|class(?!_?token)|pred", re.IGNORECASE)
"""What outputs of classifiers are called."""


@dataclass(frozen=True)
class Recognised:
    """Keys of `[source]`, what the card needs beside them, the files to carry along, and what was assumed.

    stated: keys of `[preprocessing]` that the files say themselves; where there are none, `size` and `channels` hold.
    """

    source: dict[str, Any]
    files: tuple[Path, ...]
    architecture: str = "other"
    size: int = 224
    pooling: str = "native"
    assumed: tuple[str, ...] = field(default=())
    channels: int = 3
    stated: dict[str, Any] = field(default_factory=dict)


def recognise(path: Path, model: str | None = None, *, run_at: int | None = None) -> Recognised:
    """What `path` is; `model` says the timm architecture of weights that shapes do not tell.

    run_at: side of the image on which a program that is trusted is run once, to see what it returns; None: it is not.
    Raises EncoderError when it is nothing that an adapter reads, or fits no architecture.
    """
    if path.is_dir():
        return _folder(path)
    refuse_mistaken(path, where=path.parent)
    with open(path, "rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        return _embeddings([path])
    names: list[str] = []
    with suppress(*UNREADABLE):  # damaged, which its reader tells
        names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if names and all(n.endswith(".npy") for n in names):
        return _embeddings([path])
    if any(n.endswith("models/model.json") or "serialized_exported_program" in n for n in names):
        return _program(path, "torch-export", *shapes_of(path))
    if any("/code/" in n for n in names):
        return _torchscript(path, run_at)
    if path.suffix == ".onnx" and not names and not is_safetensors(path):
        return _onnx(path)
    found = describe(path, model)
    source = {"adapter": "timm", "weights": path.name, "sha256": sha256_file(path), **found.source}
    return Recognised(source, (path,), found.architecture, found.size, found.pooling, found.assumed, found.channels)


def _folder(path: Path) -> Recognised:
    if (path / CONFIG).is_file():
        config = read_object(path / CONFIG, CONFIG, where=str(path))
        of_timm = "architecture" in config and "model_type" not in config
        return Recognised(**(timm_folder(path, config) if of_timm else transformers_folder(path)))
    if (path / OPEN_CLIP).is_file():
        return Recognised(**open_clip_folder(path))
    tables = sorted(p for p in path.iterdir() if p.suffix in (".npz", ".parquet"))
    if tables:
        return _embeddings(tables)
    what = f"holds neither {CONFIG} (transformers, timm) nor {OPEN_CLIP}, and no npz or parquet"
    raise EncoderError(what, where=path, fix=cure(path))


def _onnx(path: Path) -> Recognised:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        model = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # protobuf's and onnx's errors have no common base
        raise EncoderError(
            f"is not an ONNX model: {str(error)[:200]}", where=path, fix=f"if it is damaged: {AGAIN}"
        ) from None
    external = sorted({e.value for t in model.graph.initializer for e in t.external_data if e.key == "location"})
    beside = [path.parent / name for name in external if Path(name).name == name]
    if missing := [p.name for p in beside if not p.is_file()]:
        raise EncoderError(f"its external data is missing: {', '.join(missing)[:200]}", where=path)
    held = {tensor.name for tensor in model.graph.initializer}
    shapes = [
        [d.dim_value or None for d in i.type.tensor_type.shape.dim] for i in model.graph.input if i.name not in held
    ]
    size, channels = _image_input(shapes[0] if shapes else [], path)
    outputs = [[d.dim_value or None for d in o.type.tensor_type.shape.dim] for o in model.graph.output]
    source = {"adapter": "onnx", "weights": path.name, "sha256": sha256_file(path)}
    external_data = {"external": {p.name: sha256_file(p) for p in beside}} if beside else {}
    found = _of_outputs(source, outputs, size, channels, "graph")
    scores = [o.name for o in model.graph.output if SCORES.search(o.name)]
    said = tuple(f"its output {name!r} is taken for features, not for scores of classes" for name in scores)
    return replace(found, source=found.source | external_data, files=(path, *beside), assumed=(*said, *found.assumed))


def _of_outputs(
    source: dict[str, Any], outputs: Sequence[Sequence[int | None]], size: int | None, channels: int, what: str
) -> Recognised:
    """What the shapes of a program's outputs tell; what they leave open is assumed, and said.

    A vector (n, d) is the global one; else the mean of the patches is. Tokens beyond a square come before the patches.
    """
    ranks = [len(sides) for sides in outputs]
    tokens = next((sides[1] for sides in outputs if len(sides) == 3), None)
    prefix = 1 if tokens is None else tokens - isqrt(tokens) ** 2
    pooling = "native" if 2 in ranks else "mean"
    assumed: tuple[str, ...] = () if size else (f"size 224: the {what} does not say it",)
    if 3 in ranks or not any(ranks):
        assumed += (f"{prefix} class and register tokens before the patches: prefix_tokens",)
    if pooling == "mean":
        unknown = "" if any(ranks) else "it returns tokens or a map, no vector, and "
        assumed += (f"{unknown}the mean of the patches represents an image: pooling",)
    source = {**source, "prefix_tokens": prefix}
    return Recognised(source, (), "other", size or 224, pooling, assumed, channels)


def _image_input(sides: Sequence[int | None], path: Path) -> tuple[int | None, int]:
    """(size, channels) of an input (n, channels, h, w); None for a size that it leaves open. Raises EncoderError."""
    if len(sides) != 4:
        return None, 3
    channels, height, width = sides[1:]
    if width in (1, 3, 4) and channels not in (1, 3):
        fix = "put a permute(0, 3, 1, 2) before it when exporting"
        raise EncoderError("takes images as (n, h, w, channels), expected (n, channels, h, w)", where=path, fix=fix)
    if height is not None and width is not None and height != width:
        fix = "export it with a square input, or with dynamic height and width"
        raise EncoderError(f"takes images of {height} x {width}, expected a square", where=path, fix=fix)
    if channels not in (None, 1, 3):
        raise EncoderError(f"takes images of {channels} channels, images have 1 or 3", where=path)
    return height or width, channels or 3


def _program(
    path: Path, adapter: str, sides: Sequence[int | None], outputs: Sequence[Sequence[int | None]]
) -> Recognised:
    size, channels = _image_input(sides, path)
    source = {"adapter": adapter, "weights": path.name, "sha256": sha256_file(path)}
    return replace(_of_outputs(source, outputs, size, channels, "program"), files=(path,))


def _torchscript(path: Path, run_at: int | None) -> Recognised:
    """A program whose file tells nothing of its shapes: only a run does."""
    if run_at is None:
        return _unseen(_program(path, "torchscript", [], []), "--trust-code runs it once to see")
    sides, outputs = shapes_on_black(path, run_at)
    found = _program(path, "torchscript", sides, outputs)
    return found if outputs else _unseen(found, f"it takes no image of {run_at} x {run_at}, --size says which it takes")


def _unseen(found: Recognised, why: str) -> Recognised:
    return replace(found, assumed=(f"what it returns is not known: {why}", *found.assumed))


def _embeddings(paths: list[Path]) -> Recognised:
    for path in paths:
        check_names(path)
    files = {p.stem.lower(): {"path": p.name, "sha256": sha256_file(p)} for p in paths}
    assumed = (f"files are called as their tasks: {', '.join(files)[:200]}",)
    return Recognised({"adapter": "embeddings", "files": files}, tuple(paths), "other", 224, "native", assumed)
