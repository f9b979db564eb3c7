"""`adapter = "huggingface"`: a model class of the transformers library, from a pinned revision or a local folder."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard, Sha256
from bench.encoders.hub import Repository, Revision, fetch
from bench.encoders.outputs import encoded
from bench.encoders.shards import shard_names
from bench.encoders.source import EncoderSource, Place
from bench.encoders.weights import inside, read_state, verify_all
from bench.errors import EncoderError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MAX_CONFIG_BYTES = 1 << 20
MAX_LAYERS = 1024
POOLER = 20_000_000
"""Parameters that may be missing from a file: a pooler nobody uses."""
FORBIDDEN = ("auto_map", "quantization_config", "custom_pipelines", "_attn_implementation", "attn_implementation")
"""Config keys that lead to code or kernels outside the transformers library."""


class HuggingFaceSource(EncoderSource):
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
        config, weights = (self._file(name, card, place) for name in (CONFIG, self.weights))
        files = [weights]
        if weights.name.endswith(".index.json"):
            files = [self._file(name, card, place) for name in shard_names(weights, where=card.name)]
        sha256 = verify_all(files, self.sha256, where=card.name)
        _check_config(config, card.name)
        encoder = HuggingFaceEncoder(card, _read(config.parent, card, self.part, files))
        encoder.weights_sha256 = sha256
        return encoder

    def _file(self, name: str, card: EncoderCard, place: Place) -> Path:
        if self.repository is not None:
            return fetch(self.repository, name, self.revision, where=card.name)
        return inside(f"{self.folder}/{name}", place, where=card.name)


class HuggingFaceEncoder(Encoder):
    """A transformers vision model. Tokens before the patch grid are taken to be class and register tokens."""

    def __init__(self, card: EncoderCard, network: nn.Module) -> None:
        super().__init__(card)
        self._network = network.eval()

    @property
    def module(self) -> nn.Module:
        return self._network

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        choice = self.card.features
        inner = choice.layer != -1 or choice.grid_layer(dense) != -1
        out = self._network(pixel_values=x, output_hidden_states=inner, return_dict=True, **self._options())
        main = self._at(out, choice.layer, x, dense)
        if dense and choice.grid_layer(dense) != choice.layer:
            return Encoded(main.pooled, self._at(out, choice.grid_layer(dense), x, dense, grid_only=True).grid)
        return main

    def _at(self, out: Any, layer: int, x: Tensor, dense: bool, grid_only: bool = False) -> Encoded:
        """Features of one layer; -1 is the output after the final norm, others are the hidden states as they are."""
        card = self.card
        if grid_only:
            card = card.model_copy(update={"features": card.features.model_copy(update={"pooling": "mean"})})
        if layer == -1:
            spatial, pooled = out.last_hidden_state, getattr(out, "pooler_output", None)
        else:
            spatial, pooled = self._hidden(out, layer), None
        outputs = [spatial] if pooled is None else [spatial, pooled.flatten(1)]
        return encoded(outputs, card, prefix_tokens=self._prefix(spatial, x), dense=dense)

    def _hidden(self, out: Any, layer: int) -> Tensor:
        states = out.hidden_states
        if not -len(states) <= layer < len(states):
            raise EncoderError(f"has no feature layer {layer}, only {len(states)}", where=self.card.name)
        return states[layer]

    def _prefix(self, spatial: Tensor, x: Tensor) -> int:
        """Class and register tokens: those left over when the patches are taken away."""
        patch = getattr(self._network.config, "patch_size", None)
        if spatial.ndim != 3 or not isinstance(patch, int):
            return 0
        return spatial.shape[1] - (x.shape[-2] // patch) * (x.shape[-1] // patch)

    def _options(self) -> dict[str, bool]:
        """Position embeddings resampled to the input, where the model has the switch."""
        takes = self._network.forward.__code__.co_varnames
        return {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in takes else {}


def _check_config(path: Path, where: str) -> None:
    """EncoderError when the config asks for code or kernels from elsewhere, or an adapter lies beside it."""
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise EncoderError(f"{CONFIG} is over the limit of {MAX_CONFIG_BYTES:,} bytes", where=where)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{CONFIG} is not valid JSON: {str(error)[:200]}", where=where) from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise EncoderError(f"{CONFIG} names no 'model_type'", where=where)
    if found := _forbidden(config):
        raise EncoderError(f"{CONFIG} asks for code from elsewhere ({found!r})", where=where, fix=f"remove {found!r}")
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


def _refuse_oversized(folder: Path, files: list[Path], where: str) -> None:
    """EncoderError when the config describes a network far larger than the weights, before it takes memory."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        bones = AutoModel.from_config(config, trust_remote_code=False)
    held = sum(_held(file, where) for file in files)
    asked = sum(p.numel() for p in bones.parameters())
    if asked > 1.5 * held + POOLER:
        raise EncoderError(f"{CONFIG} describes {asked:,} parameters, {files[0].name} holds {held:,}", where=where)


def _held(path: Path, where: str) -> int:
    """Numbers in a weights file."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        return sum(value.numel() for value in read_state(path, where=where).values() if isinstance(value, Tensor))
    try:
        with safe_open(path, framework="pt") as file:
            return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise EncoderError(f"{path.name} is not a valid safetensors file: {str(error)[:200]}", where=where) from None


def _read(folder: Path, card: EncoderCard, part: str | None, files: list[Path]) -> nn.Module:
    """The model of a folder, every weight of it from the file. Raises EncoderError."""
    try:
        from transformers import AutoModel
    except ImportError:
        raise EncoderError("needs transformers", where=card.name, fix="pip install 'medssl-bench[hf]'") from None
    try:
        _refuse_oversized(folder, files, card.name)
        network, info = AutoModel.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False,
            use_safetensors=files[0].suffix == ".safetensors", weights_only=True, dtype=torch.float32,
            attn_implementation="eager", output_loading_info=True,
        )  # fmt: skip
    except EncoderError:
        raise
    except Exception as error:  # transformers raises many unrelated classes
        raise EncoderError(f"transformers cannot load it: {str(error)[:300]}", where=card.name) from None
    if part is not None and not isinstance(getattr(network, part, None), nn.Module):
        raise EncoderError(f"{type(network).__name__} has no part {part!r}", where=card.name)
    _refuse_missing(info, card, part)
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


SOURCE = HuggingFaceSource
