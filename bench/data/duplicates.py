"""Exact and near duplicates between splits.

Exact: equal bytes. Near: perceptual hashes (64 low frequencies of the DCT of a thumbnail, each above or below their
median; Zauner 2010) that differ in at most 6 bits, and thumbnails that correlate above 0.99; flat images are left
out, since all of them look alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.fft import dctn

from bench.data.dataset import Split

THUMBNAIL = 32
MAX_BITS = 6
MIN_CORRELATION = 0.99
MIN_SPREAD = 2.0
"""Grey values: a thumbnail with a smaller standard deviation is flat."""
BLOCK_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of different splits, by id, that are the same, and whether their labels are."""

    first: str
    second: str
    exact: bool
    same_label: bool | None
    """None for masks."""


def pairs_across(splits: Mapping[str, Split]) -> list[Pair]:
    """Every pair of equal or nearly equal images in different splits, exact ones first, in order of ids."""
    looks = {name: _Look.at(split) for name, split in splits.items()}
    names, found = list(splits), []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for a, b, exact in _matches(looks[first], looks[second]):
                same = _same_label(splits[first], a, splits[second], b)
                found.append(Pair(str(splits[first].ids[a]), str(splits[second].ids[b]), exact, same))
    return sorted(found, key=lambda pair: (not pair.exact, pair.first, pair.second))


def exact_within(split: Split) -> int:
    """Number of images of the split that repeat an earlier one, byte by byte."""
    return len(split) - len(set(_Look.digests_of(split)))


@dataclass(frozen=True)
class _Look:
    """What is remembered of each image: hash of its bytes, perceptual hash, normalised thumbnail."""

    digests: list[bytes]
    hashes: np.ndarray
    thumbnails: np.ndarray
    flat: np.ndarray

    @staticmethod
    def digests_of(split: Split) -> list[bytes]:
        return [hashlib.sha256(image.tobytes()).digest() for block in _blocks(split.images) for image in block]

    @classmethod
    def at(cls, split: Split) -> _Look:
        thumbnails = np.concatenate([_thumbnails(block) for block in _blocks(split.images)])
        flat = thumbnails.std((1, 2)) < MIN_SPREAD
        hashes = perceptual_hashes(thumbnails)
        centred = thumbnails.reshape(len(thumbnails), -1)
        centred = centred - centred.mean(1, keepdims=True)
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
        return cls(cls.digests_of(split), hashes, centred.astype(np.float16), flat)


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """uint8 (n, 8), 64 bits each, of thumbnails float (n, s, s), s >= 8."""
    low = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(len(thumbnails), 64)
    median = np.median(low[:, 1:], axis=1, keepdims=True)
    bits = low > median
    bits[:, 0] = False  # The mean brightness says nothing about the content.
    return np.packbits(bits, axis=1)


def _matches(a: _Look, b: _Look) -> Iterator[tuple[int, int, bool]]:
    import faiss

    places: dict[bytes, list[int]] = {}
    for i, digest in enumerate(a.digests):
        places.setdefault(digest, []).append(i)
    for j, digest in enumerate(b.digests):
        yield from ((i, j, True) for i in places.get(digest, ()))
    index = faiss.IndexBinaryFlat(64)
    index.add(a.hashes)
    limits, _, near = index.range_search(np.ascontiguousarray(b.hashes), MAX_BITS + 1)
    rows = np.repeat(np.arange(len(b.digests)), np.diff(limits.astype(np.int64)))
    for i, j in zip(near.tolist(), rows.tolist(), strict=True):
        if a.flat[i] or b.flat[j] or a.digests[i] == b.digests[j]:
            continue
        if float(a.thumbnails[i].astype(np.float32) @ b.thumbnails[j].astype(np.float32)) > MIN_CORRELATION:
            yield i, j, False


def _blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, BLOCK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), rows):
        yield np.asarray(images[start : start + rows])


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """float32 (n, s, s) of grey means over a grid of cells, s <= 32; a volume is averaged over its depth."""
    grey = images.astype(np.float32).mean(-1)
    grey = grey.mean(1) if grey.ndim == 4 else grey
    for axis in (1, 2):
        length = grey.shape[axis]
        if length > THUMBNAIL:
            edges = np.linspace(0, length, THUMBNAIL + 1).astype(int)
            sums = np.add.reduceat(grey, edges[:-1], axis=axis)
            shape = [1, 1, 1]
            shape[axis] = THUMBNAIL
            grey = sums / np.diff(edges).astype(np.float32).reshape(shape)
    return grey


def _same_label(a: Split, i: int, b: Split, j: int) -> bool | None:
    return None if a.labels.ndim == 3 else bool(np.array_equal(a.labels[i], b.labels[j]))
