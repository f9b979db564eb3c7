"""Content-addressed cache of features: the key names all of encoder, images and code that can be named exactly.

What has no exact hash, the features of the probe images, is kept with an entry and compared when it is read.

    <home>/features/<2 digits>/<key>/<probe>/    meta.json, pooled.npy, grid.npy, members.npy, <probe>.npz
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.encoders.features import Features
from bench.errors import RunError, UserError
from bench.features.probe import Probe
from bench.files import canonical_json, sha256_file, sha256_text, write_atomic
from bench.locate import home

if TYPE_CHECKING:
    from bench.identity import Computed

CODE_VERSION = 2
"""Raise when extraction or preprocessing changes what a feature is."""
DEFAULT_LIMIT = 20 * 1024**3


def feature_key(computed: Computed, layout: str, images: str, aggregation: str, dense: bool) -> str:
    """Key of one split's features, 64 hex digits. Anything that changes the features, but for the probe, changes it.

    layout: `Encoder.layout`. images: SHA-256 of the split's images. aggregation: of a volume's slices.
    """
    encoder = computed.model_dump(mode="json", exclude={"probe"})
    parts = {"encoder": encoder, "layout": layout, "images": images, "aggregation": aggregation, "dense": dense}
    return sha256_text(canonical_json(parts | {"code": CODE_VERSION}))


class FeatureCache:
    """Features on disk below `folder`, oldest-used removed first when over DEFAULT_LIMIT bytes.

    A corrupt entry (its checksum differs) is removed and made anew. A full disk is no error: features are then
    simply not kept.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or home() / "features"

    def get(self, key: str, probe: Probe, make: Callable[[], Features]) -> Features:
        """The entry `key` of an encoder with this `probe`, or what `make` returns, which is then kept."""
        own = self.folder / key[:2] / key / probe.digest
        for entry in (own, *(other for other in sorted(own.parent.glob("*/")) if other != own)):
            if (entry == own or _is_of(probe, entry)) and (found := self._read(entry)) is not None:
                return found
        features = make()
        try:
            self._write(own, features, probe)
            self.trim()
        except (OSError, RunError):
            shutil.rmtree(own, ignore_errors=True)
        return features

    def size(self) -> int:
        """Bytes in use."""
        return sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())

    def trim(self, limit: int = DEFAULT_LIMIT) -> int:
        """Remove entries, least recently used first, until at most `limit` bytes are used. Returns bytes freed."""
        entries = sorted(self.folder.rglob("meta.json"), key=lambda p: p.stat().st_mtime)
        sizes = {e: sum(p.stat().st_size for p in e.parent.iterdir()) for e in entries}
        used, freed = sum(sizes.values()), 0
        for entry in entries:
            if used - freed <= limit:
                break
            shutil.rmtree(entry.parent, ignore_errors=True)
            freed += sizes[entry]
        return freed

    def _read(self, entry: Path) -> Features | None:
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
        except (OSError, ValueError, AttributeError):  # AttributeError: a list in the place of the table
            shutil.rmtree(entry, ignore_errors=True)
            return None
        return Features(arrays.get("pooled"), arrays.get("grid"), arrays.get("members"))

    def _write(self, entry: Path, features: Features, probe: Probe) -> None:
        """Arrays first, `meta.json` last: an entry without it is not an entry."""
        entry.mkdir(parents=True, exist_ok=True)
        probe.write(entry)
        meta = {}
        for name in ("pooled", "grid", "members"):
            array = getattr(features, name)
            if array is None:
                continue
            temporary = entry / f".{name}.{os.getpid()}.npy"
            np.save(temporary, array, allow_pickle=False)
            meta[name] = sha256_file(temporary)
            os.replace(temporary, entry / f"{name}.npy")
        write_atomic(entry / "meta.json", json.dumps(meta))


def _is_of(probe: Probe, entry: Path) -> bool:
    """Whether an entry was made by an encoder with the same features of the probe images."""
    try:
        return probe.same(Probe.read(entry / f"{entry.name}.npz"))
    except UserError:
        return False
