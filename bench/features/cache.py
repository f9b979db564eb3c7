"""Content-addressed cache of features: the key names weights, preprocessing, data and code version."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.encoders.base import Encoder
from bench.features.base import Features
from bench.files import canonical_json, sha256_file, sha256_text, write_atomic
from bench.locate import home

CODE_VERSION = 1
"""Raise when extraction or preprocessing changes what a feature is."""
DEFAULT_LIMIT = 20 * 1024**3


def feature_key(encoder: Encoder, data_sha256: str, split: str, dense: bool) -> str:
    """Key of one split's features, 64 hex digits. Anything that changes the features changes the key."""
    card = encoder.card
    parts = {
        "source": card.source,
        "weights": encoder.weights_sha256,
        "preprocessing": card.preprocessing.model_dump(mode="json"),
        "features": card.features.model_dump(mode="json"),
        "data": data_sha256,
        "split": split,
        "dense": dense,
        "device": encoder.device.type,
        "code": CODE_VERSION,
        **encoder.execution,
    }
    return sha256_text(canonical_json(parts))


class FeatureCache:
    """Features on disk below `folder`, oldest-used removed first when over `limit` bytes.

    A corrupt entry (its checksum differs) is removed and made anew. A full disk is no error: features are then
    simply not kept.
    """

    def __init__(self, folder: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder or home() / "features"
        self.limit = limit

    def get(self, key: str, make: Callable[[], Features]) -> Features:
        """The entry `key`, or what `make` returns, which is then kept."""
        if (found := self._read(key)) is not None:
            return found
        features = make()
        try:
            self._write(key, features)
            self.trim()
        except OSError:
            shutil.rmtree(self._entry(key), ignore_errors=True)
        return features

    def size(self) -> int:
        """Bytes in use."""
        return sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())

    def trim(self, limit: int | None = None) -> int:
        """Remove entries, least recently used first, until at most `limit` bytes are used. Returns bytes freed."""
        limit = self.limit if limit is None else limit
        entries = sorted(self.folder.glob("??/*/meta.json"), key=lambda p: p.stat().st_mtime)
        sizes = {e: sum(p.stat().st_size for p in e.parent.iterdir()) for e in entries}
        used, freed = sum(sizes.values()), 0
        for entry in entries:
            if used - freed <= limit:
                break
            shutil.rmtree(entry.parent, ignore_errors=True)
            freed += sizes[entry]
        return freed

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _read(self, key: str) -> Features | None:
        entry = self._entry(key)
        try:
            meta = json.loads((entry / "meta.json").read_text())
            arrays = {}
            for name, digest in meta.items():
                if sha256_file(entry / f"{name}.npy") != digest:
                    raise ValueError(name)
                arrays[name] = np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            os.utime(entry / "meta.json")
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            shutil.rmtree(entry, ignore_errors=True)
            return None
        return Features(arrays.get("pooled"), arrays.get("grid"))

    def _write(self, key: str, features: Features) -> None:
        """Arrays first, `meta.json` last: an entry without it is not an entry."""
        entry = self._entry(key)
        entry.mkdir(parents=True, exist_ok=True)
        meta = {}
        for name in ("pooled", "grid"):
            array = getattr(features, name)
            if array is None:
                continue
            temporary = entry / f".{name}.{os.getpid()}.npy"
            np.save(temporary, array, allow_pickle=False)
            meta[name] = sha256_file(temporary)
            os.replace(temporary, entry / f"{name}.npy")
        write_atomic(entry / "meta.json", json.dumps(meta))
