"""How a card that leaves open which commit and which bytes it means is pinned before anything is run."""

from typing import Any

from bench.encoders import lock
from bench.encoders.address import fetch_url
from bench.encoders.card import EncoderCard, OpenCard
from bench.encoders.hub import RepositorySnapshot, fetch, snapshot
from bench.encoders.hub_config import CONFIG, preprocessing_of, read_json, timm_network, timm_preprocessing
from bench.encoders.lock import Pin
from bench.encoders.shards import joint_sha256, shard_names
from bench.errors import EncoderError
from bench.files import sha256_file

NOT_STATED = "not stated"
"""The licence of a card that does not know it; the repository's own is taken where it says one."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
"""Where a transformers repository keeps its weights; the first that is there is taken."""


def pinned(card: OpenCard) -> EncoderCard:
    """The card with commit, weights file and hash filled in: those of the lock, else today's, written to the lock.

    Raises EncoderError when the hub or the address does not give the file, or not to you.
    """
    source = dict(card.source)
    if origin := origin_of(source):
        pin = lock.find(origin) or lock.keep(origin, first_pin(source, card.name))
        source |= {"sha256": pin.sha256}
        if "repository" in source:
            source |= {"revision": pin.revision, "weights": pin.weights}
    values = card.model_dump(mode="json", by_alias=True, exclude_none=True) | {"source": source}
    if origin and card.licence == NOT_STATED and pin.licence is not None:
        values["licence"] = pin.licence
    if card.preprocessing is None or (source.get("adapter") == "timm" and "model" not in source):
        _read_rest(values, card.name)
    return EncoderCard.parse(values, where=card.name)


def _read_rest(values: dict[str, Any], where: str) -> None:
    """Fill in what the repository says itself: a timm network, and the preprocessing."""
    source = values["source"]
    if source["adapter"] == "timm":
        config = read_json(source["repository"], CONFIG, source["revision"], where=where)
        values["source"] = timm_network(config, where=where) | source
        prepared = timm_preprocessing(config.get("pretrained_cfg", config), where=where)
    else:
        prepared = preprocessing_of(source["repository"], source["revision"], where=where)
    values.setdefault("preprocessing", prepared.model_dump(exclude_none=True))


def origin_of(source: dict[str, Any]) -> str | None:
    """What the lock calls the origin of a source's weights; None for a source that has none of its own."""
    if repository := source.get("repository"):
        return repository if source.get("weights") in (None, *WEIGHTS) else f"{repository}/{source['weights']}"
    return source.get("url")


def first_pin(source: dict[str, Any], where: str) -> Pin:
    """What the source stands for today. Small files and addresses have to be fetched to be known."""
    if "repository" not in source:
        path = fetch_url(source["url"], where=where)
        return Pin(weights=path.name, sha256=sha256_file(path))
    found = snapshot(source["repository"], source.get("revision"), where=where)
    weights = weights_file(found, source.get("weights"), where=where)
    return Pin(revision=found.revision, weights=weights, sha256=_sha256(found, weights, where), licence=found.licence)


def weights_file(found: RepositorySnapshot, asked: str | None, *, where: str) -> str:
    """The weights file of a repository: the one asked for, else the first usual one. Raises EncoderError."""
    names = (asked,) if asked else WEIGHTS
    if (name := next((n for n in names if n in found.files), None)) is None:
        held = ", ".join(sorted(found.files)[:8])
        raise EncoderError(f"{found.repository} holds no {' or '.join(names)}", where=where, fix=f"it holds: {held}")
    return name


def weights_files(found: RepositorySnapshot, name: str, *, where: str) -> list[str]:
    """`name`, or the files it lists when it is an index."""
    if not name.endswith(".index.json"):
        return [name]
    return shard_names(fetch(found.repository, name, found.revision, where=where), where=where)


def _sha256(found: RepositorySnapshot, name: str, where: str) -> str:
    def of(file: str) -> str:
        known = found.files[file].sha256 if file in found.files else None
        return known or sha256_file(fetch(found.repository, file, found.revision, where=where))

    files = weights_files(found, name, where=where)
    return of(files[0]) if len(files) == 1 else joint_sha256({file: of(file) for file in files})
