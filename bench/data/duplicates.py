"""Exact and near duplicates between splits.

Exact: equal bytes. Near: perceptual hashes (64 low frequencies of the DCT of a thumbnail, each above or below their
median; Zauner 2010) that differ in at most 6 bits, thumbnails that correlate above 0.99, and fine detail in common
(`bench.data.detail`); flat images are left out, since all of them look alike.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.fft import dctn

from bench.data.dataset import Split
from bench.data.detail import reduced, share_detail

THUMBNAIL = 32
HASHED = 8
"""Frequencies of the hash along each side."""
MAX_BITS = 6
MIN_CORRELATION = 0.99
MIN_SPREAD = 2.0
"""Grey values: a thumbnail with a smaller standard deviation is flat."""
BLOCK_BYTES = 32 << 20
QUERIES = 4096


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of different splits, by id, that are the same, and whether their labels are."""

    first: str
    second: str
    exact: bool
    same_label: bool | None
    """None for masks."""


@dataclass(frozen=True)
class Look:
    """What is remembered of each image of a split."""

    digests: list[bytes]
    """SHA-256 of its bytes."""
    hashes: np.ndarray
    """uint8 (n, 8), its perceptual hash."""
    thumbnails: np.ndarray
    """uint8 (n, s, s)."""
    low: int
    high: int
    """The darkest and the brightest value of all of them."""

    @property
    def repeats(self) -> int:
        """Number of images that repeat an earlier one, byte by byte."""
        return len(self.digests) - len(set(self.digests))


def look_at(split: Split) -> Look:
    """Hash every image of a split once, in blocks."""
    digests: list[bytes] = []
    hashes, thumbnails, low, high = [], [], 255, 0
    for block in _blocks(split.images):
        low, high = min(low, int(block.min())), max(high, int(block.max()))
        digests += [hashlib.sha256(image.tobytes()).digest() for image in block]
        small = _at_least(reduced(block, THUMBNAIL), HASHED)
        hashes.append(perceptual_hashes(small))
        thumbnails.append(np.rint(small).astype(np.uint8))
    return Look(digests, np.concatenate(hashes), np.concatenate(thumbnails), low, high)


def pairs_across(splits: Mapping[str, Split], looks: Mapping[str, Look] | None = None) -> list[Pair]:
    """Every pair of equal or nearly equal images in different splits, exact ones first, in order of ids."""
    looks = looks or {name: look_at(split) for name, split in splits.items()}
    names, found = list(splits), []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for a, b, exact in _matches(looks[first], looks[second]):
                if not exact and not share_detail(splits[first].images[a], splits[second].images[b]):
                    continue
                of_a, of_b = splits[first].labels, splits[second].labels
                same = None if of_a.ndim > 2 else bool(np.array_equal(of_a[a], of_b[b]))
                found.append(Pair(str(splits[first].ids[a]), str(splits[second].ids[b]), exact, same))
    return sorted(found, key=lambda pair: (not pair.exact, pair.first, pair.second))


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """uint8 (n, 8), 64 bits each, of thumbnails float (n, s, s), s >= 8."""
    low = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :HASHED, :HASHED].reshape(len(thumbnails), 64)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = False  # The mean brightness says nothing about the content.
    return np.packbits(bits, axis=1)


def _at_least(small: np.ndarray, side: int) -> np.ndarray:
    """(n, h, w) of images thinner than `side`, their edges repeated."""
    lacking = [(0, max(0, side - length)) for length in small.shape[1:]]
    return np.pad(small, [(0, 0), *lacking], mode="edge")


def _matches(a: Look, b: Look) -> Iterator[tuple[int, int, bool]]:
    """Places (in a, in b) of exact and of near duplicates."""
    places: dict[bytes, list[int]] = {}
    for i, digest in enumerate(a.digests):
        places.setdefault(digest, []).append(i)
    for j, digest in enumerate(b.digests):
        yield from ((i, j, True) for i in places.get(digest, ()))
    for i, j in _near(a, b):
        if a.digests[i] != b.digests[j] and _correlation(a.thumbnails[i], b.thumbnails[j]) > MIN_CORRELATION:
            yield i, j, False


def _near(a: Look, b: Look) -> Iterator[tuple[int, int]]:
    """Places whose perceptual hashes differ in at most MAX_BITS bits."""
    import faiss

    index = faiss.IndexBinaryFlat(64)
    index.add(np.ascontiguousarray(a.hashes))
    for start in range(0, len(b.hashes), QUERIES):
        limits, _, near = index.range_search(np.ascontiguousarray(b.hashes[start : start + QUERIES]), MAX_BITS + 1)
        rows = start + np.repeat(np.arange(len(limits) - 1), np.diff(limits).astype(np.int64))
        yield from zip(near.tolist(), rows.tolist(), strict=True)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two thumbnails; 0 when one of them is flat, since all flat ones look alike."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    if a.shape != b.shape or min(a.std(), b.std()) < MIN_SPREAD:
        return 0.0
    return float(np.mean((a - a.mean()) * (b - b.mean())) / (a.std() * b.std()))


def _blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, BLOCK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), rows):
        yield np.asarray(images[start : start + rows])
