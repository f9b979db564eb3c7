"""Sources that list image files one by one: a CSV table, a folder. Children only make the list."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench.data.blocks import joined
from bench.data.dataset import Identity, Split
from bench.data.held import digest_files
from bench.data.images import Size, read_header
from bench.data.reading import Pictures, ReadSource
from bench.data.shares import Row, Share, with_shares
from bench.data.task import Task
from bench.errors import DataError

BLOCK_ROWS = 64
SOME_PATIENTS = "images: no patient given, each counted as a patient of its own"


class ListedSource(ReadSource):
    """Options shared by sources of image files; a child writes `rows`."""

    size: Size | None = None
    """Side in pixels every image is brought to (padded to a square, resized); needed when sizes differ."""
    val: Share | None = None
    """Share set aside for validation (whole patients): of the training images where the source names its splits,
    of all images (0.15) where it does not."""
    test: Share | None = None
    """Share of all images set aside as test when the source has no splits at all (0.2)."""

    @abstractmethod
    def rows(self, task: Task, folder: Path, remarks: Counter[str]) -> list[Row]:
        """Every image, whether its file exists or not, in a fixed order, its label read. Raises DataError."""

    def listed(self, task: Task, folder: Path, remarks: Counter[str]) -> dict[str, list[Row]]:
        """Split name -> its rows, after setting aside what the card asks for. Raises DataError."""
        rows = self.rows(task, folder, remarks)
        if not rows:
            raise DataError("lists no image", where=f"task {task.name!r}")
        if any(row.group for row in rows) and (lone := sum(row.group is None for row in rows)):
            remarks[SOME_PATIENTS] = lone
        return with_shares(rows, task, self.val, self.test, remarks)

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> Identity:
        """Hash of the list and of every file in it. Raises DataError when files are missing."""
        splits = self.listed(task, folder, Counter())
        rows = [row for rows in splits.values() for row in rows]
        # In the order of the rows: which mask belongs to which image counts.
        files = [file for row in rows for file in (row.image, *row.masks)]
        _refuse_missing(files, task)
        places = [
            [name, r.id, None if r.label is None else r.label.tolist(), len(r.masks), r.group]
            for name, rs in splits.items()
            for r in rs
        ]
        listing = hashlib.sha256(json.dumps(places).encode()).hexdigest()
        return Identity(f"{listing}:{digest_files(files)}")

    def load(self, task: Task, folder: Path) -> dict[str, Split]:
        """All splits in memory. Raises DataError."""
        return {name: joined(blocks) for name, blocks in self.stream(task, folder, Counter()).items()}

    def stream(self, task: Task, folder: Path, remarks: Counter[str]) -> Mapping[str, Iterable[Split]]:
        """Blocks of 64 images of each split. Raises DataError."""
        splits = self.listed(task, folder, remarks)
        channels = self._channels([row for rows in splits.values() for row in rows], task)
        pictures = self.pictures(task, self.size)
        return {name: _blocks(rows, pictures, channels, remarks) for name, rows in splits.items()}

    def _channels(self, rows: Sequence[Row], task: Task) -> int:
        """3 when any image is in colour, else 1; refuses images of different sizes when the card names none."""
        with ThreadPoolExecutor() as pool:
            headers = list(pool.map(lambda row: read_header(row.image), rows))
        sizes = Counter((h.width, h.height) for h in headers)
        if self.size is None and len(sizes) > 1:
            common = ", ".join(f"{w} x {h}" for (w, h), _ in sizes.most_common(3))
            raise DataError(
                f"the images have {len(sizes)} different sizes ({common}{', ...' if len(sizes) > 3 else ''})",
                where=f"task {task.name!r}",
                fix="add size = 224 to [source], say, to pad and resize them all",
            )
        return 3 if any(h.colour for h in headers) else 1


def _blocks(rows: list[Row], pictures: Pictures, channels: int, remarks: Counter[str]) -> Iterator[Split]:
    grouped = any(row.group for row in rows)
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), BLOCK_ROWS):
            part = rows[start : start + BLOCK_ROWS]
            pairs = list(pool.map(lambda row: _read(row, pictures, channels), part))
            for _, _, done in pairs:
                remarks.update(done)
            yield Split(
                np.stack([image for image, _, _ in pairs]),
                np.stack([label for _, label, _ in pairs]),
                np.array([row.id for row in part]),
                np.array([row.unit for row in part]) if grouped else None,
            )


def _read(row: Row, pictures: Pictures, channels: int) -> tuple[np.ndarray, np.ndarray, Counter[str]]:
    done: Counter[str] = Counter()
    if row.label is not None:
        return pictures.image(row.image, channels, done), row.label, done
    return *pictures.pair(row.image, row.masks, channels, done), done


def _refuse_missing(files: Sequence[Path], task: Task) -> None:
    if missing := [file for file in files if not file.is_file()]:
        what = f"{len(missing):,} of {len(files):,} files are missing, the first is {missing[0]}"
        raise DataError(what, where=f"task {task.name!r}", fix="'medssl data check' lists them")
