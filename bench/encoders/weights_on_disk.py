"""How much the weights of open names take on this machine: known before they come, bounded, and removed after use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.encoders import lock
from bench.encoders.address import address_path
from bench.encoders.card import OpenCard
from bench.encoders.hub import OutOfReachError, cached, snapshot
from bench.encoders.lock import Pin
from bench.encoders.open_card import origin_of, weights_file, weights_files
from bench.errors import EncoderError, RunError, UserError

FLOAT32 = 4


def is_here(card: OpenCard) -> bool | None:
    """Whether the pinned weights lie on this machine; None when nothing is pinned yet, or there is nothing to fetch."""
    origin = origin_of(card.source)
    pin = lock.find(origin) if origin else None
    return None if pin is None else _path(card.source, pin) is not None


def _path(source: dict[str, Any], pin: Pin) -> Path | None:
    if "repository" in source:
        return cached(source["repository"], pin.weights, pin.revision or "")
    path = address_path(source["url"])
    return path if path.is_file() else None


def download_bytes(card: OpenCard, *, ask: bool = True) -> int | None:
    """Bytes that are still to come: as the hub lists them, else about four for each parameter; None if neither says.

    ask: whether to ask the hub. What it refuses is told when the encoder's turn comes; raises OutOfReachError when it
    does not answer at all.
    """
    if origin_of(card.source) is None or is_here(card):
        return 0
    about = None if card.parameters is None else FLOAT32 * card.parameters
    if "repository" not in card.source or not ask:
        return about
    try:
        found = snapshot(card.source["repository"], card.source.get("revision"), where=card.name)
        name = weights_file(found, card.source.get("weights"), where=card.name)
        sizes = [found.files[f].size for f in weights_files(found, name, where=card.name) if f in found.files]
    except OutOfReachError:
        raise
    except UserError:
        return about
    known = [size for size in sizes if size is not None]
    return about if len(known) < len(sizes) else sum(known)


class Stock:
    """The weights that one run downloads, at most `limit` bytes of them at a time; None: as many as the disk holds."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._held: list[tuple[OpenCard, int]] = []

    @contextmanager
    def room_for(self, name: str, card: OpenCard | None) -> Iterator[None]:
        """Make room for an encoder's weights, and count them if they come while the block runs.

        Raises RunError when they alone are over the limit.
        """
        if card is None or self.limit is None or is_here(card):
            yield
            return
        coming = download_bytes(card)  # out of reach: the encoder is left out with that reason
        if coming is None:
            raise EncoderError("nobody says how large its weights are", where=name, fix="run it without --disk")
        if coming > self.limit:
            what = f"its weights are {coming / 1e9:.2f} GB, over the {self.limit / 1e9:.2f} GB of --disk"
            raise RunError(what, where=name, fix="give more, or run it alone")
        while self._held and sum(size for _, size in self._held) + coming > self.limit:
            remove(self._held.pop(0)[0])
        try:
            yield
        finally:
            if is_here(card):
                self._held.append((card, coming))


def remove(card: OpenCard) -> None:
    """Remove the pinned weights from this machine; the pin stays."""
    origin = origin_of(card.source)
    pin = lock.find(origin) if origin else None
    if pin is None:
        return
    if "repository" not in card.source:
        address_path(card.source["url"]).unlink(missing_ok=True)
        return
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        scan_cache_dir().delete_revisions(pin.revision or "").execute()
    except CacheNotFound:
        return
