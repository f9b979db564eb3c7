"""Weights in several files: the index that lists them, and one hash over all."""

import json
from collections.abc import Mapping
from pathlib import Path

from bench.encoders.mistaken import refuse_mistaken_json
from bench.errors import EncoderError
from bench.files import canonical_json, sha256_text

MAX_INDEX_BYTES = 16 << 20
MAX_SHARDS = 1000


def shard_names(index: Path, *, where: str) -> list[str]:
    """Names of the files that `*.index.json` lists, sorted. Raises EncoderError for one that leads elsewhere."""
    if index.stat().st_size > MAX_INDEX_BYTES:
        raise EncoderError(f"{index.name} is over the limit of {MAX_INDEX_BYTES:,} bytes", where=where)
    refuse_mistaken_json(index, index.name, where=where)
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8-sig"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EncoderError(f"{index.name} is not an index of weights: {str(error)[:100]}", where=where) from None
    if wrong := [n for n in names if not isinstance(n, str) or not n.endswith(".safetensors") or "/" in n or "\\" in n]:
        raise EncoderError(f"{index.name} names {ascii(wrong[0])[:80]}, expected safetensors beside it", where=where)
    if not 0 < len(names) <= MAX_SHARDS:
        raise EncoderError(f"{index.name} names {len(names)} files", where=where)
    return names


def joint_sha256(shards: Mapping[str, str]) -> str:
    """One hash of several files: SHA-256 of the JSON object {name: sha256} with sorted names and no spaces.

    >>> joint_sha256({"b": "2", "a": "1"}) == joint_sha256({"a": "1", "b": "2"})
    True
    """
    return sha256_text(canonical_json(dict(shards)))
