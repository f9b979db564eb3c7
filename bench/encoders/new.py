"""`medssl new`: a commented card from a few answers, checked before it is written."""

import shutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.encoders.card import EncoderCard
from bench.encoders.from_file import IMAGENET, USUAL_SIZE, preprocessing
from bench.encoders.from_file import assumed as what_is_assumed
from bench.encoders.load import source_of
from bench.encoders.normalisations import NORMALISATIONS
from bench.encoders.recognise import Recognised, recognise
from bench.errors import CardError
from bench.files import sha256_file, write_atomic
from bench.toml import toml_value

ADAPTERS = ("timm", "huggingface", "onnx", "embeddings", "torchscript", "torch-export", "python")
SOURCES: dict[str, str] = {
    "timm": """adapter = "timm"
model = {model}  # a name of timm.list_models()
weights = {weights}  # beside this card: .safetensors, or .pth read without running anything
sha256 = {sha256}
# entry = "teacher"            # where the state dict lies inside the file, if not at the top
# prefix = "backbone."         # keep the tensors whose name starts so, without it
# drop = ["head."]             # then leave these out
# key_mapping = "by-order"     # same tensors in the same order under other names
# num_classes = 1000           # width of a classifier the file holds; it is taken off
# options = {{ img_size = 128 }} # size the position embeddings were trained at, if not the model's own""",
    "huggingface": """adapter = "huggingface"
repository = {model}  # or: folder = "model", below this card
revision = "{zeros40}"         # a commit, never a branch
sha256 = {sha256}  # of its model.safetensors
# part = "vision_model"        # the image tower of a two-tower model""",
    "onnx": """adapter = "onnx"
weights = {weights}  # one image input (n, channels, h, w); outputs: see docs/encoders.md
sha256 = {sha256}
prefix_tokens = 1              # class and register tokens before the patches
# external = {{ "weights.bin" = "<sha256>" }} # each file of external data""",
    "embeddings": """adapter = "embeddings"
parameters = 0                 # of the network that made them

# One table a task; bench.encoders.sources.embeddings.write_embeddings makes the files.
[source.files.my-task]
path = {weights}
sha256 = {sha256}
""",
    "torchscript": """adapter = "torchscript"      # runs only with --trust-code
weights = {weights}
sha256 = {sha256}
prefix_tokens = 1              # class and register tokens before the patches""",
    "torch-export": """adapter = "torch-export"     # runs only with --trust-code
weights = {weights}
sha256 = {sha256}
prefix_tokens = 1              # class and register tokens before the patches""",
    "python": """adapter = "python"           # runs only with --trust-code
file = {weights}
sha256 = {sha256}
function = "load"              # load(card, folder) -> bench.encoders.base.Encoder""",
}
HEAD = """# What this encoder is, where its weights are, and how images must be prepared for it.
{origin}# Empty values are for you to fill in; check names them: medssl check {folder}
schema = 1
name = {name}
version = "1"
title = {title}
authors = [{author}]
licence = {licence}

# contrastive, predictive (non-contrastive), generative, hybrid; reference: not self-supervised
paradigm = {paradigm}
objective = {objective}  # instance-contrastive, self-distillation, masked-image-modelling, ...
method = {method}
architecture = {architecture}  # vit, cnn, other
"""
CARD = """# url = "https://..."
# citation = "..."

# Every corpus the weights have seen; without any [[pretraining]] the card says "not disclosed", which counts as
# unknown, never as clean.
# [[pretraining]]
# corpus = "ImageNet-1k"
# images = 1281167
# in_domain = false

[source]
{source}

[preprocessing]
size = {size}
# dense_size = 448             # another size for dense tasks, for a finer grid
channels = 3
mean = {mean}  # for values in [0, 1]
std = {std}
grey = "repeat"                # or "luminance": colour images become grey first
pad_to_square = false          # true keeps the shape of the image and fills up with black

[features]
pooling = {pooling}  # native, cls, mean, cls+mean, max
# layer = -1                   # -1 is the last
# dense_layer = -2             # for dense tasks, a finer stage of a CNN
"""
FOUND = """
[source]
{source}

[preprocessing] # mean and std are for values in [0, 1]
{prepared}

[features]
pooling = {pooling}  # native, cls, mean, cls+mean, max
"""
ASSUMED = " Assumed, please check:"
FILLED = {"authors": ["x"], "licence": "x", "paradigm": "reference", "objective": "other", "method": "x"}
"""What stands for a blank while the rest of a card is checked."""
UNKNOWN_SHA = "0" * 64
FILES = {
    "timm": "weights.safetensors",
    "huggingface": "model.safetensors",
    "onnx": "model.onnx",
    "embeddings": "my-task.npz",
    "torchscript": "model.pt",
    "torch-export": "model.pt2",
    "python": "encoder.py",
}
"""How the file is called while the author has none."""


@dataclass(frozen=True)
class CardAnswers:
    """What the author said, "" where nothing was; `weights` is a file that exists, or None when it comes later."""

    name: str
    title: str
    author: str
    licence: str
    paradigm: str
    objective: str
    method: str
    architecture: str
    adapter: str
    model: str
    weights: Path | None
    size: int
    normalisation: str
    pooling: str


def write_card(answers: CardAnswers, folder: Path) -> Path:
    """Write `folder/encoder.toml`, with the weights copied beside it. Returns the card's path.

    Nothing is overwritten. Raises CardError when the card exists or the answers break its schema.
    """
    path = _not_there(folder / "encoder.toml")
    _write(path, card_text(answers, folder), () if answers.weights is None else (answers.weights,))
    return path


def card_text(answers: CardAnswers, folder: Path) -> str:
    """The card as commented TOML."""
    mean, std = NORMALISATIONS[answers.normalisation]
    weights, digest = FILES[answers.adapter], UNKNOWN_SHA
    if answers.weights is not None:
        weights, digest = answers.weights.name, sha256_file(answers.weights)
    source = SOURCES[answers.adapter].format(
        model=toml_value(answers.model), weights=toml_value(weights), sha256=toml_value(digest), zeros40="0" * 40
    )
    pooling = toml_value(answers.pooling)
    rest = CARD.format(source=source, size=answers.size, mean=mean, std=std, pooling=pooling)
    return _head(vars(answers), folder) + rest


def write_found(
    path: Path, said: dict[str, Any], folder: Path, *, trust_code: bool = False
) -> tuple[Path, tuple[str, ...]]:
    """Write `folder/encoder.toml` for what `path` holds, its files copied beside. Returns the card and what is assumed.

    said: name and title, and of author, licence, paradigm, objective, method, model what the author gave; the rest
    stays blank. architecture, size, normalisation and pooling, where given, stand in the place of what was found.
    trust_code: a program may be run once, to see what it returns.
    Raises CardError when the card exists, EncoderError when the file is not recognised.
    """
    card = _not_there(folder / "encoder.toml")
    run_at = (said.get("size") or USUAL_SIZE) if trust_code else None
    found = _as_said(recognise(path, said.get("model"), run_at=run_at), said)
    assumed = what_is_assumed(found)
    origin = "".join(f"# {line}\n" for line in (f"Written from {path.name}.{ASSUMED if assumed else ''}", *assumed))
    rest = FOUND.format(
        source=_lines(found.source), prepared=_lines(preprocessing(found)), pooling=toml_value(found.pooling)
    )
    _write(card, _head(said | {"architecture": found.architecture}, folder, origin) + rest, found.files)
    return card, assumed


def _lines(table: Mapping[str, Any]) -> str:
    return "\n".join(f"{key} = {toml_value(value)}" for key, value in table.items())


def _as_said(found: Recognised, said: Mapping[str, Any]) -> Recognised:
    """What was found, with what the author says of it in its place; then nothing is assumed of that."""
    stated = dict(found.stated)
    if size := said.get("size"):
        stated = (stated or preprocessing(found)) | {"size": size}
    if named := said.get("normalisation"):
        mean, std = NORMALISATIONS[named]
        stated = (stated or preprocessing(found)) | {"mean": mean[: found.channels], "std": std[: found.channels]}
    spoken = ("size ",) if size else ()
    pooling = said.get("pooling")
    assumed = [a for a in found.assumed if not a.startswith(spoken) and not (pooling and a.endswith(": pooling"))]
    assumed += [IMAGENET] if size and not named and not found.stated else []
    return replace(
        found,
        stated=stated,
        pooling=pooling or found.pooling,
        architecture=said.get("architecture") or found.architecture,
        assumed=tuple(assumed),
    )


def _head(said: Mapping[str, str | None], folder: Path, origin: str = "") -> str:
    """What a card says of people and method; what nobody said is left empty."""
    words = ("name", "title", "author", "licence", "paradigm", "objective", "method", "architecture")
    spoken = {word: toml_value(said.get(word) or "") for word in words}
    return HEAD.format(
        folder=folder, origin=origin, **spoken | ({} if said.get("title") else {"title": spoken["name"]})
    )


def _not_there(card: Path) -> Path:
    if card.exists():
        raise CardError("exists already", where=card, fix="choose another name, or edit it")
    return card


def _write(card: Path, text: str, files: Iterable[Path]) -> None:
    """Write a card whose schema holds but for its blanks, with its files beside it."""
    values = tomllib.loads(text)
    values |= {key: value for key, value in FILLED.items() if values[key] in ("", [""])}
    source_of(EncoderCard.parse(values, where=card), where=card)
    for file in files:
        _copy(file, card.parent)
    write_atomic(card, text)


def _copy(weights: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / weights.name
    if weights.is_dir() and not target.exists():
        shutil.copytree(weights, target)
    elif not target.exists():
        shutil.copyfile(weights, target)
