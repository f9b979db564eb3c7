"""Which images a packed corpus holds: the training splits of a suite, and sets that are in no suite, without labels.

What the suite evaluates on stays out: images of validation and test splits, their patients, and what looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, StringConstraints

from bench.data.dataset import Split, TaskData
from bench.data.load import load_task
from bench.data.located import Located
from bench.data.pictures import Geometry, PictureDecoder, resized, square
from bench.data.repositories import COMMIT, NAME, Repository, opened, tree
from bench.data.task import Task, read_suite, shipped_tasks
from bench.errors import CardError
from bench.files import sha256_text
from bench.pretrain.corpus import CHUNK, resize
from bench.strict import Line, Strict
from bench.strict import Name as Word

FOLDER = Path(__file__).parent / "corpora"
THUMBNAIL = 32
ALIKE = 0.99
"""Two images are near-equal when their grey thumbnails correlate by this or more."""
GRID = 16
UNKNOWN = 255
"""Of a place whose share of foreground is not known."""


class Apart(Strict):
    """A task of the suite that shares patients with an unlabelled set."""

    task: Word
    group: Line
    """Pattern with the group "group", the patient, in the task's ids."""


class UnlabelledSet(Strict):
    """Images of a public repository at a commit, taken without labels."""

    name: Word
    repository: Annotated[str, StringConstraints(pattern=NAME)]
    commit: Annotated[str, StringConstraints(pattern=COMMIT)]
    folder: Line
    """How the paths begin."""
    files: Line
    """Pattern of the paths that are taken; its group "group" names the patient, or what stands for one."""
    channels: Annotated[int, Field(ge=1, le=3)]
    geometry: Geometry
    every: Annotated[int, Field(ge=1)] = 1
    """Only every such file is taken, in the order of paths."""
    apart_from: Apart | None = None


class Collection(Strict):
    """Read from `bench/pretrain/corpora/<name>.toml`."""

    schema_: Annotated[int, Field(alias="schema", ge=1, le=1)]
    name: Word
    suite: Word
    size: Annotated[int, Field(ge=16, le=512)]
    quality: Annotated[int, Field(ge=1, le=100)]
    """Of WebP."""
    held: Annotated[float, Field(gt=0, lt=1)]
    """Share of the groups of each task that is never trained on: for the diagnostics and the choice of rates."""
    unlabelled: list[UnlabelledSet] = []

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks of the suite."""
        return {name: shipped_tasks()[name] for name in read_suite(self.suite).tasks}


@dataclass(frozen=True)
class CorpusPart:
    """Some images of one set.

    images: uint8 (n, size, size, 3). ids, groups: (n,) text. labels: int64 (n,), -1 where there is none. cover: uint8
    (n, GRID, GRID), percent of foreground in each cell of a dense task's image, `UNKNOWN` elsewhere.
    """

    source: str
    images: np.ndarray
    ids: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    cover: np.ndarray

    def only(self, rows: np.ndarray) -> CorpusPart:
        """The images where `rows`, bool (n,), is true."""
        arrays = (self.images, self.ids, self.groups, self.labels, self.cover)
        return CorpusPart(self.source, *(array[rows] for array in arrays))


def gathered(collection: Collection) -> Iterator[CorpusPart]:
    """Every image of the corpus, set by set. Raises DataError when images are missing or cannot be read."""
    data = {name: load_task(task) for name, task in collection.tasks.items()}
    seen = np.concatenate([_thumbnails_of(split) for of in data.values() for split in _evaluated(of)])
    for name, of in data.items():
        out = {str(group) for split in _evaluated(of) for group in _groups(split)}
        for part in _task_parts(name, of, collection.size):
            yield part.only(~alike(part.images, seen) & ~np.isin(part.groups, list(out)))
    for unlabelled in collection.unlabelled:
        out = _patients(unlabelled.apart_from, data)
        for part in _unlabelled_parts(unlabelled, collection.size):
            yield part.only(~alike(part.images, seen) & ~np.isin(part.groups, list(out)))


def alike(images: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """bool (n,): whether an image, uint8 (n, h, w, c), is near-equal to one of the thumbnails `seen` (m, d)."""
    return (thumbnails(images) @ seen.T).max(1, initial=-1) >= ALIKE


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Grey, THUMBNAIL pixels a side, centred, of unit length: float32 (n, d); a product of two is their correlation."""
    small = resize(np.asarray(images), THUMBNAIL).astype(np.float32).mean(3).reshape(len(images), -1)
    small -= small.mean(1, keepdims=True)
    return small / np.linalg.norm(small, axis=1, keepdims=True).clip(1e-6)


def held_out(source: str, groups: Sequence[str], share: float) -> np.ndarray:
    """bool (n,): about `share` of the groups, chosen by a hash of their names: the same whatever else there is."""
    chosen = {g: int(sha256_text(f"{source}\n{g}")[:8], 16) < share * 2**32 for g in set(map(str, groups))}
    return np.array([chosen[str(g)] for g in groups], bool)


def _evaluated(data: TaskData) -> list[Split]:
    return [split for name, split in data.splits.items() if name != "train"]


def _groups(split: Split) -> np.ndarray:
    return np.asarray(split.ids if split.groups is None else split.groups).astype(str)


def _thumbnails_of(split: Split) -> np.ndarray:
    return np.concatenate([thumbnails(split.images[i : i + CHUNK]) for i in range(0, len(split.ids), CHUNK)])


def _task_parts(name: str, data: TaskData, size: int) -> Iterator[CorpusPart]:
    train, groups = data.train, _groups(data.train)
    for start in range(0, len(train.ids), CHUNK):
        rows = slice(start, start + CHUNK)
        labels = np.asarray(train.labels[rows])
        n, single = len(labels), labels.ndim == 1
        yield CorpusPart(
            name,
            resize(np.asarray(train.images[rows]), size),
            np.asarray(train.ids[rows]).astype(str),
            groups[rows],
            labels.astype(np.int64) if single else np.full(n, -1),
            np.full((n, GRID, GRID), UNKNOWN, np.uint8) if single else cover_of(labels),
        )


def cover_of(masks: np.ndarray) -> np.ndarray:
    """Percent of foreground in each of GRID x GRID cells: masks, int (n, s, s), to uint8 (n, GRID, GRID)."""
    n, side, _ = masks.shape
    cells = (masks > 0).reshape(n, GRID, side // GRID, GRID, side // GRID)
    return np.round(100 * cells.mean((2, 4))).astype(np.uint8)


def _patients(apart: Apart | None, data: dict[str, TaskData]) -> set[str]:
    """Patients of a task's validation and test images."""
    if apart is None:
        return set()
    ids = [str(i) for split in _evaluated(data[apart.task]) for i in split.ids]
    found = [re.search(apart.group, i) for i in ids]
    if not all(found):
        raise CardError(f"names no patient in {ids[found.index(None)]!r}", where=f"apart_from {apart.task!r}, group")
    return {m["group"] for m in found if m}


def _unlabelled_parts(of: UnlabelledSet, size: int) -> Iterator[CorpusPart]:
    repository = Repository(of.repository, of.commit)
    place = repository.find()
    if place is None:
        repository.fetch([of.folder] if of.folder.endswith("/") else [""])
        place = repository.require(of.name)
    matches = [(path, re.search(of.files, path)) for path in sorted(tree(place, of.commit, [""], where=of.repository))]
    taken = [(path, m["group"]) for path, m in matches if path.startswith(of.folder) and m][:: of.every]
    with opened({of.repository: repository}, of.name) as files:
        pictures = PictureDecoder(lambda at: files[of.repository].read(at.path))
        for start in range(0, len(taken), CHUNK):
            some = taken[start : start + CHUNK]
            images = np.stack([_picture(pictures, path, of, size) for path, _ in some])
            ids, groups = (np.array(column) for column in zip(*some, strict=True))
            n = len(some)
            yield CorpusPart(of.name, images, ids, groups, np.full(n, -1), np.full((n, GRID, GRID), UNKNOWN, np.uint8))


def _picture(pictures: PictureDecoder, path: str, of: UnlabelledSet, size: int) -> np.ndarray:
    image = pictures(Located(path), "L" if of.channels == 1 else "RGB")
    return np.asarray(resized(square(image, of.geometry), size, "adaptive").convert("RGB"))
