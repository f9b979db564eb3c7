"""`adapter = "huggingface"`: a model class of the transformers library, from a pinned revision or a local folder."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from bench.encoders import text_files
from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.hub import Repository, Revision, fetch
from bench.encoders.hub_config import CONFIG
from bench.encoders.shards import shard_names
from bench.encoders.source import EncoderSource, Place
from bench.encoders.text import TextTower
from bench.encoders.text_files import ABOUT, TOKENIZER, alone
from bench.encoders.transformers_config import WEIGHTS, check_config, refuse_oversized
from bench.encoders.transformers_model import HuggingFaceEncoder
from bench.encoders.transformers_text import text_tower
from bench.encoders.weights import inside, verify_all
from bench.encoders.weights_shape import OUTSIDE
from bench.errors import EncoderError
from bench.strict import Sha256

TABLES = ("position_ids", "relative_position", "relative_coords", "attn_mask", "num_batches", "inv_freq", "periods")
"""How names begin of what a network works out again."""


class HuggingFaceModel(EncoderSource):
    """Either `repository` with `revision`, or `folder` below the card."""

    name = "huggingface"
    places = frozenset({"repository", "revision", "folder", "sha256"})
    adapter: Literal["huggingface"]
    repository: Repository | None = None
    revision: Revision | None = None
    folder: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    weights: Literal["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"] = WEIGHTS
    """One file of safetensors, the index of several, or a pickle that torch reads with `weights_only`."""
    sha256: Sha256 | None = None
    """Of the weights file; of several, their joint hash (bench/encoders/shards.py)."""
    part: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] | None = None
    """Which part of a two-tower model is the image encoder, e.g. "vision_model"."""

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        if (self.repository is None) == (self.folder is None):
            raise EncoderError("give either 'source.repository' or 'source.folder'", where=card.name)
        found, names, sha256 = self._files(card, place)
        with alone(found) as folder:
            network = _read(folder, card, self.part, [folder / name for name in names])
        encoder = HuggingFaceEncoder(card, network)
        encoder.weights_sha256 = sha256
        encoder.reads_text = partial(self._text, card, place) if self.part == "vision_model" else None
        return encoder

    def own_files(self, folder: Path) -> list[str]:
        if self.folder is None or not (folder / self.folder / self.weights).is_file():
            return []
        names = [CONFIG, self.weights, *(n for n in (TOKENIZER, ABOUT) if (folder / self.folder / n).is_file())]
        if self.weights.endswith(".index.json"):
            names += shard_names(folder / self.folder / self.weights, where=self.folder)
        return [f"{self.folder}/{name}" for name in names]

    def _files(self, card: EncoderCard, place: Place) -> tuple[dict[str, Path], list[str], str]:
        """(config and weights by name, names of the weights, their SHA-256), looked over. Raises EncoderError."""
        found = {name: self._file(name, card, place) for name in (CONFIG, self.weights)}
        names: list[str] = [self.weights]
        if self.weights.endswith(".index.json"):
            names = shard_names(found[self.weights], where=card.name)
            found |= {name: self._file(name, card, place) for name in names}
        sha256 = verify_all([found[name] for name in names], self.sha256, where=card.name)
        check_config(found[CONFIG], card.name)
        return found, names, sha256

    def _text(self, card: EncoderCard, place: Place) -> TextTower:
        """The text tower beside the part that is the encoder. Raises EncoderError."""
        found, names, _ = self._files(card, place)
        found |= text_files.found(partial(self._file, card=card, place=place), (TOKENIZER, ABOUT), card.name)
        with alone(found) as folder:
            network = _read(folder, card, None, [folder / name for name in names])
            return text_tower(network, folder, card.name)

    def _file(self, name: str, card: EncoderCard, place: Place) -> Path:
        if self.repository is not None:
            return fetch(self.repository, name, self.revision, where=card.name)
        return inside(f"{self.folder}/{name}", place, where=card.name)


def _read(folder: Path, card: EncoderCard, part: str | None, files: list[Path]) -> nn.Module:
    """The model of a folder, every weight of it from the file. Raises EncoderError."""
    try:
        from transformers import AutoModel
    except ImportError:
        raise EncoderError("needs transformers", where=card.name, fix="pip install 'medssl-bench[hf]'") from None
    try:
        refuse_oversized(folder, files, card.name)
        network, info = AutoModel.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False,
            use_safetensors=files[0].suffix == ".safetensors", weights_only=True, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except EncoderError:
        raise
    except Exception as error:  # transformers raises many unrelated classes
        raise EncoderError(f"transformers cannot load it: {str(error)[:300]}", where=card.name) from None
    if part is not None and not isinstance(getattr(network, part, None), nn.Module):
        raise EncoderError(f"{type(network).__name__} has no part {part!r}", where=card.name)
    _refuse_missing(info, card, part)
    _refuse_left_out(info, network, card)
    return network if part is None else getattr(network, part)


def _refuse_missing(info: dict[str, Any], card: EncoderCard, part: str | None) -> None:
    """transformers fills what the file lacks with random numbers; only an unused pooler may be missing."""
    missing = sorted(info["missing_keys"])
    if part is not None:
        missing = [name for name in missing if name.startswith(part)]
    if card.features.pooling != "native":
        missing = [name for name in missing if ".pooler." not in f".{name}"]
    wrong = [str(m) for m in info.get("mismatched_keys", ())]
    if missing or wrong:
        first = (missing or wrong)[0][:100]
        raise EncoderError(
            f"{len(missing) + len(wrong)} weights are missing or misshapen in the file (first: {first!r})",
            where=card.name,
            fix="pooling 'native' needs the pooler's weights; 'cls' and 'mean' do not" if "pooler" in first else None,
        )


def _refuse_left_out(info: dict[str, Any], network: nn.Module, card: EncoderCard) -> None:
    """transformers leaves out what the config has no place for: adapters, further layers inside the network are parts
    of it; heads and decoders stand beside it."""
    before = f"{getattr(network, 'base_model_prefix', '')}."
    for name in sorted(info["unexpected_keys"]):
        place, parts = network, name.removeprefix(before).split(".")
        while parts and isinstance(inner := getattr(place, parts[0], None), nn.Module):
            place, parts = inner, parts[1:]
        if place is not network and parts and not parts[0].startswith((*OUTSIDE, *TABLES)):
            fix = "correct config.json, or merge adapters into the weights before saving (peft: merge_and_unload)"
            raise EncoderError(f"config.json has no place for {name[:100]!r} in the file", where=card.name, fix=fix)


SOURCE = HuggingFaceModel
