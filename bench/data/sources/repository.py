"""Public sets that lie in git repositories: an index names each picture, its label or mask, group and split.

Nothing is redistributed: the card holds address and commit, the index beside it the list; the files are fetched from
the repository (`medssl data fetch`) or read from a clone (`MEDSSL_REPOSITORIES`).
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import StringConstraints

from bench.data.blocks import joined
from bench.data.contrast import contrast
from bench.data.dataset import SourceDigest, Split, TaskSource
from bench.data.images import Size
from bench.data.located import Located, located
from bench.data.outlines import LEVEL, Masks
from bench.data.pictures import Geometry, PictureDecoder, Resampling, resized, square
from bench.data.repositories import COMMIT, NAME, CommitFiles, Repository, opened
from bench.data.task import Task
from bench.errors import DataError
from bench.files import sha256_text
from bench.locate import shipped
from bench.strict import Line

BLOCK_ROWS = 64
Name = Annotated[str, StringConstraints(pattern=NAME)]
Commit = Annotated[str, StringConstraints(pattern=COMMIT)]


class RepositorySource(TaskSource):
    """`reader = "repository"`. The index is a CSV with the columns split, id, image, label or mask, group."""

    name: ClassVar[str] = "repository"
    version: ClassVar[str] = "2"

    reader: Literal["repository"]
    repository: Name
    commit: Commit
    others: dict[Name, Commit] = {}
    """Further repositories that places of the index name ("owner/name:path")."""
    index: Line
    """CSV file, seen from the card's folder or from the shipped `tasks/`."""
    size: Size
    channels: Literal[1, 3]
    geometry: Geometry
    resampling: Resampling = "adaptive"
    mask: Literal["nonzero", "threshold"] = "threshold"
    """Which grey values of a mask picture show its class: all but 0; 128 and above (JPEG masks, soft maps)."""

    @cached_property
    def repositories(self) -> dict[str, Repository]:
        """Name -> repository at its commit, the card's own first."""
        return {n: Repository(n, c) for n, c in {self.repository: self.commit, **self.others}.items()}

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> SourceDigest:
        """Hash of the index; the commits stand in the card. Raises DataError when the index is missing."""
        return SourceDigest(sha256_text(self._index(folder).read_text(encoding="utf-8")))

    def load(self, task: Task, folder: Path) -> dict[str, Split]:
        """All splits in memory. Raises DataError."""
        return {name: joined(blocks) for name, blocks in self.stream(task, folder, Counter()).items()}

    def stream(self, task: Task, folder: Path, remarks: Counter[str]) -> Mapping[str, Iterable[Split]]:
        """Blocks of 64 images of each split. Raises DataError when a repository or a file is not here."""
        for repository in self.repositories.values():
            repository.require(task.name)
        rows = self.rows(task, folder)
        splits = dict.fromkeys(row["split"] for row in rows)
        return {name: self._blocks([r for r in rows if r["split"] == name], task) for name in splits}

    def needs(self, task: Task, folder: Path) -> dict[Repository, list[str]]:
        """The files the index names, by repository. Raises DataError."""
        found: dict[Repository, dict[str, None]] = {repository: {} for repository in self.repositories.values()}
        for row in self.rows(task, folder):
            masks = (part for layer in row.get("mask", "").split(";") for part in layer.split("|") if part)
            for text in (row["image"], *masks):
                place = located(text, where=self.index)
                found[self.of(place)][place.path] = None
        return {repository: list(paths) for repository, paths in found.items()}

    def rows(self, task: Task, folder: Path) -> list[dict[str, str]]:
        """Lines of the index. Raises DataError when a column is missing."""
        path = self._index(folder)
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        wanted = {"split", "id", "image", "group", "mask" if task.kind == "dense" else "label"}
        if not rows or (lacking := sorted(wanted - set(rows[0]))):
            raise DataError(f"has no column {lacking[0]!r}" if rows else "is empty", where=path)
        return rows

    def _index(self, folder: Path) -> Path:
        for path in (folder / self.index, shipped("tasks") / self.index):
            if path.is_file():
                return path
        raise DataError(f"no such file: {folder / self.index}", where=self.repository, fix="correct 'index'")

    def of(self, place: Located) -> Repository:
        """The repository of a place. Raises DataError when it is not on the card."""
        name = place.repository or self.repository
        if name not in self.repositories:
            raise DataError(f"names the repository {name!r}, which is not on the card", where=self.index)
        return self.repositories[name]

    def _blocks(self, rows: list[dict[str, str]], task: Task) -> Iterator[Split]:
        grouped = any(row["group"] for row in rows)
        with opened(self.repositories, task.name) as files:
            reader = _IndexReader(self, task, files)
            for start in range(0, len(rows), BLOCK_ROWS):
                part = rows[start : start + BLOCK_ROWS]
                pairs = [reader(row) for row in part]
                strata = {"contrast": np.array([contrast(*pair) for pair in pairs])} if task.kind == "dense" else {}
                yield Split(
                    np.stack([image for image, _ in pairs]),
                    np.stack([label for _, label in pairs]),
                    np.array([row["id"] for row in part]),
                    np.array([row["group"] or row["id"] for row in part]) if grouped else None,
                    strata,
                )


class _IndexReader:
    """Rows of the index to arrays."""

    def __init__(self, source: RepositorySource, task: Task, files: Mapping[str, CommitFiles]) -> None:
        self.source, self.task, self.files = source, task, files
        self.pictures = PictureDecoder(self._read)
        self.masks = Masks(
            self._read, files[source.repository].below, self.pictures, task.classes[-1], LEVEL[source.mask]
        )

    def _read(self, place: Located) -> bytes:
        return self.files[self.source.of(place).name].read(place.path)

    def __call__(self, row: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (size, size, channels), and the label as `bench.data.dataset.Split` has it."""
        source = self.source
        image = self.pictures(located(row["image"], where=source.index), "L" if source.channels == 1 else "RGB")
        pixels = np.asarray(resized(square(image, source.geometry), source.size, source.resampling))
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        if self.task.kind == "global":
            if row["label"] not in self.task.classes:
                raise DataError(f"{row['id']}: unknown class {row['label']!r}", where=source.index)
            return pixels, np.array(self.task.classes.index(row["label"]), np.int64)
        mask = square(self.masks(row["mask"], image.size, where=source.index), source.geometry)
        return pixels, np.asarray(mask.resize((source.size, source.size), Image.Resampling.NEAREST))


SOURCE = RepositorySource
