"""The images to pretrain on: procedural, of a task's training split, or a user's own npz, folder or task card.

Whatever the origin, images are brought once to one side length and kept as a memory map under `<home>/pretrain`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor

from bench.data.foreign import files_below
from bench.data.images import is_image, read_image
from bench.data.load import load_task, store_key
from bench.data.task import Task, read_task
from bench.errors import DataError, RunError
from bench.files import (
    canonical_json,
    npz_names,
    read_npz,
    readable,
    sha256_arrays,
    sha256_file,
    sha256_text,
    write_atomic,
)
from bench.locate import home
from bench.pretrain.recipe import Recipe

PHANTOM = "phantom-v1"
SEED = 0
"""Seed of the procedural corpus: the same images for every pretraining seed."""
HELD = 1024
"""At most this many images, and at most an eighth, are kept from training for the diagnostics."""
CHUNK = 256
MAX_BYTES = 1 << 40
"""Of a user's own npz: more than a machine holds."""

Chunk = tuple[np.ndarray, Mapping[str, np.ndarray]]
"""Images uint8 (k, h, w, c), c in {1, 3}, and their labels, name -> int64 (k,)."""


@dataclass(frozen=True)
class Corpus:
    """images: uint8 (n, side, side, 3), maybe a memory map. labels: name -> int64 (n,), -1 where unknown.

    A fixed random part of them, `held`, is never trained on. sha256 is that of all images.
    held_rows: bool (n,), the part that is held when it is not random but apart by patient.
    covers: set with masks -> its rows, int64 (m,), and percent of foreground, uint8 (m, g, g), in the cells of a grid.
    """

    name: str
    images: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    sha256: str = ""
    held_rows: np.ndarray | None = None
    covers: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def held(self) -> np.ndarray:
        """Indices of the images kept for the diagnostics, sorted."""
        if self.held_rows is not None:
            return np.flatnonzero(self.held_rows)
        return np.sort(self._order[: min(HELD, len(self.images) // 8)])

    @cached_property
    def trained(self) -> np.ndarray:
        """Indices of the images that may be trained on, sorted."""
        if self.held_rows is not None:
            return np.flatnonzero(~self.held_rows)
        return np.sort(self._order[len(self.held) :])

    @cached_property
    def _order(self) -> np.ndarray:
        return np.random.default_rng(SEED).permutation(len(self.images))

    @property
    def classes(self) -> dict[str, int]:
        """Number of classes of each label."""
        return {name: int(values.max()) + 1 for name, values in self.labels.items()}


def open_corpus(name: str, recipe: Recipe, *, data: Path | None = None) -> Corpus:
    """The corpus `name` ("phantom-v1", a packed one or a task's), or the user's own images at `data` (a packed corpus,
    npz, npy, folder, task card).

    It is prepared on the first call. Raises DataError when the images cannot be read or are fewer than 16, or when a
    packed corpus is not the one that the recipe names by its hash.
    """
    from bench.pretrain.pack import collection_names, is_pack, open_pack, pack_path

    if data is not None and data.is_file() and is_pack(data):
        return open_pack(data, recipe)
    if data is None and name in collection_names():
        return _as_named(open_pack(pack_path(name), recipe), recipe)
    if data is not None:
        return prepared(data.name, ["own", str(data.resolve()), _identity(data)], recipe, lambda: _own(data))
    if name == PHANTOM:
        from bench.phantoms.corpus import NAME

        return prepared(NAME, ["phantom", _phantom_code(), recipe.corpus_images], recipe, lambda: _phantom(recipe))
    from bench.data.task import shipped_tasks
    from bench.discover import pick

    task = pick({PHANTOM: None, **shipped_tasks()}, name, what="corpus")
    return prepared(task.corpus, ["task", task.sha256], recipe, lambda: _task(task))


def _as_named(corpus: Corpus, recipe: Recipe) -> Corpus:
    if recipe.corpus == corpus.name and recipe.corpus_sha256 not in ("", corpus.sha256):
        what = f"has the hash {corpus.sha256[:12]}; the recipe {recipe.name!r} names {recipe.corpus_sha256[:12]}"
        fix = "other versions of Pillow or libwebp give other bytes: use the recipe's own file, with --data"
        raise DataError(what, where=f"corpus {corpus.name!r}", fix=fix)
    return corpus


def prepared(name: str, identity: list, recipe: Recipe, read: Callable[[], Iterable[Chunk]]) -> Corpus:
    """The corpus that `read` gives, written once under the cache folder; `identity` tells one from another."""
    key = sha256_text(canonical_json([*identity, recipe.corpus_size]))[:24]
    folder = home() / "pretrain" / "corpora" / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "corpus.json").exists():
            _write(folder, read(), recipe.corpus_size)
    digest = json.loads((folder / "corpus.json").read_text())["sha256"]
    images = np.load(folder / "images.npy", mmap_mode="r")
    if len(images) < 16:
        raise DataError(f"has {len(images)} images, too few to pretrain on", where=name)
    with np.load(folder / "labels.npz", allow_pickle=False) as labels:
        return Corpus(name, images, dict(labels), digest)


def _write(folder: Path, chunks: Iterable[Chunk], side: int) -> None:
    """Images as raw rows first, so that a corpus larger than memory passes through; corpus.json is written last."""
    raw, count, labels = folder / "images.raw", 0, []
    try:
        with open(raw, "wb") as file:
            for images, names in chunks:
                resized = resize(images, side)
                file.write(resized.tobytes())
                count += len(resized)
                labels.append(names)
        _with_header(raw, folder / "images.npy", (count, side, side, 3))
        names_of = labels[0] if labels else ()
        joined: dict[str, Any] = {name: np.concatenate([part[name] for part in labels]) for name in names_of}
        np.savez(folder / "labels.npz", **joined)
    except OSError as error:
        raise RunError(f"the corpus cannot be prepared: {error.strerror}", where=folder) from None
    finally:
        raw.unlink(missing_ok=True)
    digest = sha256_arrays({"images": np.load(folder / "images.npy", mmap_mode="r")})
    write_atomic(folder / "corpus.json", canonical_json({"images": count, "sha256": digest}))


def _with_header(raw: Path, path: Path, shape: tuple[int, ...]) -> None:
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    if array.size:
        rows = np.memmap(raw, np.uint8, "r", shape=shape)
        for start in range(0, len(rows), CHUNK):
            array[start : start + CHUNK] = rows[start : start + CHUNK]
    array.flush()


def resize(images: np.ndarray, side: int) -> np.ndarray:
    """uint8 (n, h, w, c) to (n, side, side, 3): antialiased bilinear, grey repeated."""
    images = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
    if images.shape[1:3] == (side, side):
        return images
    x = torch.tensor(images).permute(0, 3, 1, 2).float()
    x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    return x.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def as_floats(images: np.ndarray, device: str = "cpu") -> Tensor:
    """uint8 (n, h, w, 3) to float32 (n, 3, h, w) in [0, 1]."""
    return floats(torch.from_numpy(images).to(device))


def floats(images: Tensor) -> Tensor:
    """uint8 (n, h, w, 3) to float32 (n, 3, h, w) in [0, 1], where they lie."""
    return images.permute(0, 3, 1, 2).contiguous().float() / 255


def _phantom(recipe: Recipe) -> Iterator[Chunk]:
    from bench.phantoms.corpus import pretraining_corpus

    yield pretraining_corpus(recipe.corpus_images, min(recipe.corpus_size, 128), SEED)


def _phantom_code() -> str:
    """Hash of the code that draws phantoms: another code, another corpus."""
    import bench.phantoms

    folder = Path(bench.phantoms.__file__).parent
    return sha256(b"".join(p.read_bytes() for p in sorted(folder.glob("*.py")))).hexdigest()


def _task(task: Task, folder: Path | None = None) -> Iterator[Chunk]:
    train = load_task(task, folder=folder).train
    flat = train.labels if train.labels.ndim == 1 else None
    for start in range(0, len(train.ids), CHUNK):
        rows = slice(start, start + CHUNK)
        images = train.images[rows]
        if images.ndim == 5:  # volumes: each slice is an image
            yield images.reshape(-1, *images.shape[2:]), {}
        else:
            yield images, {} if flat is None else {"label": flat[rows].astype(np.int64)}


def _own(path: Path) -> Iterator[Chunk]:
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".toml":
        return _task(read_task(path), path.parent)
    if path.suffix == ".npz":
        return _npz(path)
    if path.suffix == ".npy":
        with readable(path, "npy"):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        return ((_uint8(array[start : start + CHUNK], path), {}) for start in range(0, len(array), CHUNK))
    raise DataError("is not a folder, a task card, an npz or an npy file", where=path)


def _npz(path: Path) -> Iterator[Chunk]:
    """`train_images` (MedMNIST layout; validation and test images are left alone) or `images`, with labels."""
    held = npz_names(path)
    key = next((k for k in ("train_images", "images") if k in held), None)
    if key is None:
        raise DataError(f"holds {', '.join(held)[:200]}; expected 'train_images' or 'images'", where=path)
    names = key.replace("images", "labels")
    arrays = read_npz(path, max_bytes=MAX_BYTES, only=(key, names))
    images, labels = arrays[key], _one_label(arrays.get(names))
    for start in range(0, len(images), CHUNK):
        rows = slice(start, start + CHUNK)
        yield _uint8(images[rows], path), {} if labels is None else {"label": labels[rows]}


def _one_label(labels: np.ndarray | None) -> np.ndarray | None:
    if labels is None or labels.size != len(labels) or labels.dtype.kind not in "iu":
        return None
    return labels.reshape(-1).astype(np.int64)


def _uint8(images: np.ndarray, path: Path) -> np.ndarray:
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.dtype != np.uint8:
        what = f"images are {images.dtype} {images.shape}, expected uint8 (n, h, w) or (n, h, w, 1 or 3)"
        raise DataError(what, where=path)
    return images


def _folder(path: Path) -> Iterator[Chunk]:
    """Images below `path` in name order, one at a time: they may differ in size. Read as those of a task without a
    window; a card says how deeper ones are read."""
    for file in _images_below(path):
        yield read_image(file, None, Counter())[None], {}


def _images_below(path: Path) -> list[Path]:
    return [p for p in files_below(path) if is_image(p)]


def _identity(path: Path) -> str:
    """What tells whether the user's images changed: the hash of a file, the key of a task's prepared copy, or names,
    sizes and times of a folder's images."""
    if not path.exists():
        raise DataError("no such file or folder", where=path)
    if path.suffix == ".toml":
        return store_key(read_task(path), folder=path.parent)[1]
    if path.is_file():
        return sha256_file(path)
    rows = [(str(p.relative_to(path)), p.stat().st_size, p.stat().st_mtime_ns) for p in _images_below(path)]
    return sha256_text(canonical_json(rows))
