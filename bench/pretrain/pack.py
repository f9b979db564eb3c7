"""A corpus in one small file: images as lossy WebP at the size they are used, with the set, name and group of each.

The file is an npz without pickle, its bytes a function of the images and of the versions of Pillow and libwebp; its
SHA-256 is the corpus's, and stands in every card. It is not for redistribution: the sets have their own licences.
"""

import io
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from bench.errors import DataError, RunError
from bench.files import npz_bytes, npz_names, read_npz, sha256_file, write_atomic
from bench.locate import home
from bench.pretrain import collection as collections
from bench.pretrain.collection import UNKNOWN, Collection, CorpusPart, gathered, held_out
from bench.pretrain.corpus import CHUNK, Chunk, Corpus, prepared
from bench.pretrain.recipe import Recipe
from bench.strict import nearest

MAX_BYTES = 25 << 20
"""Of the file."""
MAX_UNPACKED = 1 << 28
ARRAYS = ("webp", "ends", "set", "sets", "ids", "groups", "labels", "cover", "held", "about")


@dataclass(frozen=True)
class Pack:
    """What the file holds; n images. ends: where each one's WebP ends in `webp`. set: index into `sets`."""

    webp: np.ndarray
    ends: np.ndarray
    set: np.ndarray
    sets: np.ndarray
    ids: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    cover: np.ndarray
    """uint8 (n, 16, 16): percent of foreground in each cell; 255 where it is not known."""
    held: np.ndarray
    """bool (n,): never trained on."""
    about: np.ndarray
    """Name of the corpus, and its side in pixels."""

    def images(self, start: int, stop: int) -> np.ndarray:
        """uint8 (k, side, side, 3), decoded. Raises DataError for what is no such image."""
        begins = np.concatenate([[0], self.ends])
        side = int(self.about[1])
        out = np.empty((max(0, stop - start), side, side, 3), np.uint8)
        for row in range(start, stop):
            with Image.open(io.BytesIO(self.webp[begins[row] : begins[row + 1]].tobytes()), formats=["WEBP"]) as image:
                if image.size != (side, side):
                    raise DataError(f"image {row} is {image.size}, not {side} x {side}", where=str(self.about[0]))
                out[row - start] = np.asarray(image.convert("RGB"))
        return out


def collection_names() -> list[str]:
    """Names of the packed corpora that come with the package."""
    return sorted(path.stem for path in collections.FOLDER.glob("*.toml"))


def read_collection(name: str) -> Collection:
    """A shipped definition by name. Raises DataError that offers the nearest name."""
    if name not in collection_names():
        near = nearest(name, collection_names())
        raise DataError(f"unknown packed corpus {name[:80]!r}", fix=f"did you mean {near!r}?" if near else "")
    path = collections.FOLDER / f"{name}.toml"
    return Collection.parse(tomllib.loads(path.read_text(encoding="utf-8")), where=path)


def pack_path(name: str) -> Path:
    """Where a packed corpus is kept on this machine; made on the first call. Raises as `write_pack`."""
    path = home() / "pretrain" / "packs" / f"{name}.npz"
    if not path.exists():
        definition = read_collection(name)
        write_pack(definition, gathered(definition), path)
    return path


def write_pack(collection: Collection, parts: Iterable[CorpusPart], path: Path) -> None:
    """Write the file, whole or not at all. Raises RunError when it is over `MAX_BYTES`, DataError without images."""
    found = [part for part in parts if len(part.ids)]
    if not found:
        raise DataError("holds no images", where=collection.name)
    coded = [_webp(image, collection.quality) for part in found for image in part.images]
    sets = list(dict.fromkeys(part.source for part in found))
    labelled = {part.source for part in found if part.source in collection.tasks}
    held = [
        held_out(p.source, p.groups.tolist(), collection.held) if p.source in labelled else np.zeros(len(p.ids), bool)
        for p in found
    ]
    arrays = {
        "webp": np.frombuffer(b"".join(coded), np.uint8),
        "ends": np.cumsum([len(code) for code in coded]),
        "set": np.concatenate([np.full(len(p.ids), sets.index(p.source), np.int16) for p in found]),
        "sets": np.array(sets),
        "ids": np.concatenate([p.ids for p in found]),
        "groups": np.concatenate([p.groups for p in found]),
        "labels": np.concatenate([p.labels for p in found]).astype(np.int16),
        "cover": np.concatenate([p.cover for p in found]),
        "held": np.concatenate(held),
        "about": np.array([collection.name, str(collection.size)]),
    }
    data = npz_bytes(arrays)
    if len(data) > MAX_BYTES:
        what = f"the packed corpus would have {len(data) / 2**20:.1f} MiB, over {MAX_BYTES >> 20}"
        raise RunError(what, where=collection.name, fix="lower 'quality'")
    write_atomic(path, data)


def is_pack(path: Path) -> bool:
    """Whether a file is a packed corpus."""
    return path.suffix == ".npz" and set(npz_names(path)) == set(ARRAYS)


def read_pack(path: Path) -> Pack:
    """The file's arrays. Raises UserError when it cannot be read, DataError when its parts do not fit together."""
    arrays = read_npz(path, max_bytes=MAX_UNPACKED, only=ARRAYS)
    if lacking := sorted(set(ARRAYS) - set(arrays)):
        raise DataError(f"is no packed corpus: it has no {lacking[0]!r}", where=path)
    pack, n = Pack(**arrays), len(arrays["ends"])
    same = all(len(a) == n for a in (pack.set, pack.ids, pack.groups, pack.labels, pack.cover, pack.held))
    if not same or n == 0 or pack.about.shape != (2,) or int(pack.ends[-1]) != len(pack.webp):
        raise DataError("is a damaged packed corpus: its parts have different lengths", where=path)
    return pack


def open_pack(path: Path, recipe: Recipe) -> Corpus:
    """The corpus of a packed file, its images decoded once into a memory map. Raises as `read_pack`."""
    pack, digest = read_pack(path), sha256_file(path)
    corpus = prepared(str(pack.about[0]), ["pack", digest], recipe, lambda: _decoded(pack))
    return replace(corpus, labels=_labels(pack), sha256=digest, held_rows=pack.held, covers=_covers(pack))


def contents(pack: Pack) -> dict[str, dict[str, int]]:
    """Set -> images, groups, and images held out: the summary that is shown."""
    rows = {str(name): pack.set == i for i, name in enumerate(pack.sets)}
    return {
        name: {
            "images": int(mine.sum()),
            "groups": len(set(pack.groups[mine].tolist())),
            "held": int(pack.held[mine].sum()),
        }
        for name, mine in rows.items()
    }


def _labels(pack: Pack) -> dict[str, np.ndarray]:
    """Set -> int64 (n,), -1 for the images of other sets; sets without labels are not there."""
    found = {str(name): np.where(pack.set == i, pack.labels, -1) for i, name in enumerate(pack.sets)}
    return {name: values.astype(np.int64) for name, values in found.items() if (values >= 0).any()}


def _covers(pack: Pack) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    known = pack.cover[:, 0, 0] != UNKNOWN
    rows = {str(name): np.flatnonzero((pack.set == i) & known) for i, name in enumerate(pack.sets)}
    return {name: (mine, pack.cover[mine]) for name, mine in rows.items() if len(mine)}


def _decoded(pack: Pack) -> Iterator[Chunk]:
    for start in range(0, len(pack.ends), CHUNK):
        yield pack.images(start, min(start + CHUNK, len(pack.ends))), {}


def _webp(image: np.ndarray, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()
