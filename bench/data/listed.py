"""Sources that list image files one by one: a CSV table, a folder. Children only make the list."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from bench.data.blocks import joined
from bench.data.dataset import Identity, Split, TaskSource
from bench.data.held import digest_files
from bench.data.images import Size, fit, fit_mask, read_header, read_image, read_mask
from bench.data.labels import MaskRule, class_flags, class_index, to_mask
from bench.data.pixels import Window
from bench.data.task import Task
from bench.errors import DataError

BLOCK_ROWS = 64
Share = Annotated[float, Field(gt=0, lt=0.9)]
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "test-shift": "test-shift",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One image: its id, file, class text or mask file, split and patient where they are known."""

    id: str
    image: Path
    target: str | Path
    split: str | None = None
    group: str | None = None


class ListedSource(TaskSource):
    """Options shared by sources of image files; a child writes `rows`."""

    size: Size | None = None
    """Side in pixels every image is brought to (padded to a square, resized); needed when sizes differ."""
    window: Window | None = None
    mask: MaskRule = "index"
    val: Share | None = None
    """Share of the training images (whole patients) set aside for validation when the source has no such split."""
    test: Share | None = None
    """Share set aside as test when the source has no splits at all."""

    @abstractmethod
    def rows(self, task: Task, folder: Path) -> list[Row]:
        """Every image, whether its file exists or not, in a fixed order. Raises DataError."""

    def listed(self, task: Task, folder: Path) -> dict[str, list[Row]]:
        """Split name -> its rows, after setting aside what the card asks for. Raises DataError."""
        rows = self.rows(task, folder)
        if not rows:
            raise DataError("lists no image", where=f"task {task.name!r}")
        return with_shares(rows, task, self.val, self.test)

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> Identity:
        """Hash of the list and of every file in it. Raises DataError when files are missing."""
        splits = self.listed(task, folder)
        rows = [row for rows in splits.values() for row in rows]
        files = sorted({f for row in rows for f in (row.image, row.target) if isinstance(f, Path)})
        _refuse_missing(files, task)
        places = [
            [name, r.id, str(r.target) if isinstance(r.target, str) else "", r.group]
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
        splits = self.listed(task, folder)
        channels = self._channels([row for rows in splits.values() for row in rows], task)
        return {name: self._blocks(rows, task, channels, remarks) for name, rows in splits.items()}

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

    def _blocks(self, rows: list[Row], task: Task, channels: int, remarks: Counter[str]) -> Iterator[Split]:
        grouped = any(row.group for row in rows)
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(rows), BLOCK_ROWS):
                part = rows[start : start + BLOCK_ROWS]
                pairs = list(pool.map(lambda row: self._read(row, task, channels), part))
                for _, _, done in pairs:
                    remarks.update(done)
                yield Split(
                    np.stack([image for image, _, _ in pairs]),
                    np.stack([label for _, label, _ in pairs]),
                    np.array([row.id for row in part]),
                    np.array([row.group or row.id for row in part]) if grouped else None,
                )

    def _read(self, row: Row, task: Task, channels: int) -> tuple[np.ndarray, np.ndarray, Counter[str]]:
        done: Counter[str] = Counter()
        image = read_image(row.image, self.window, done)
        if not isinstance(row.target, Path):
            return fit(image, self.size, channels), label_of(row.target, task, row.id), done
        values = read_mask(row.target)
        if values.shape != image.shape[:2]:
            raise DataError(f"is {_size(values)}, its image {_size(image)}", where=row.target, fix="medssl data check")
        mask = to_mask(values[None], len(task.classes), self.mask, where=row.target)[0]
        return fit(image, self.size, channels), fit_mask(mask, self.size), done


def label_of(text: str, task: Task, where: object) -> np.ndarray:
    """Label of one image from the text of its class: int64 (), or uint8 (k,) for multi-label. Raises DataError."""
    if task.target == "multi-label":
        return class_flags(text, task.classes, where=where)
    return np.int64(class_index(text, task.classes, where=where))


def split_name(text: str, where: object) -> str:
    """The split a word stands for ("validation" is "val"). Raises DataError."""
    if (name := SPLIT_NAMES.get(text.strip().casefold())) is None:
        raise DataError(f"unknown split {text[:40]!r}", where=where, fix="use train, val, test or test-shift")
    return name


def with_shares(rows: list[Row], task: Task, val: float | None, test: float | None) -> dict[str, list[Row]]:
    """Rows by split; shares are taken from rows without a split (test, then val) or, for val, from train.

    Whole patients move; without patients each class gives its share. The choice is by a hash of the names, so it
    does not depend on order or on the number of rows. Raises DataError when a split stays empty.
    """
    where = f"task {task.name!r}"
    given = {row.split for row in rows if row.split}
    if not given and (val is None or test is None):
        raise DataError("has no splits", where=where, fix="name them, or add val = 0.15 and test = 0.2 to [source]")
    if given and any(row.split is None for row in rows):
        raise DataError("names the split of some images and not of others", where=where)
    if given and (test is not None or (val is not None and "val" in given)):
        raise DataError("names its splits, so 'val' and 'test' shares do not apply", where=where)
    if "val" not in given and val is None:
        raise DataError("has no validation images", where=where, fix="add val = 0.15 to [source] to set some aside")
    if not given:
        rows = _moved(rows, "test", test or 0.0)
    if "val" not in given:
        rows = _moved(rows, "val", val or 0.0)
    rows = [replace(row, split=row.split or "train") for row in rows]
    return {s: part for s in ("train", "val", "test", "test-shift") if (part := [r for r in rows if r.split == s])}


def _moved(rows: list[Row], name: str, share: float) -> list[Row]:
    free = [row for row in rows if row.split in (None, "train")]
    strata: dict[str, set[str]] = {}
    for row in free:
        alone = row.group is None and isinstance(row.target, str)
        strata.setdefault(str(row.target) if alone else "", set()).add(row.group or row.id)
    chosen: set[str] = set()
    for units in strata.values():
        order = sorted(units, key=lambda unit: hashlib.sha256(f"{name}|{unit}".encode()).digest())
        chosen.update(order[: max(1, round(share * len(order)))])
    return [replace(r, split=name) if r.split in (None, "train") and (r.group or r.id) in chosen else r for r in rows]


def _refuse_missing(files: Sequence[Path], task: Task) -> None:
    if missing := [file for file in files if not file.is_file()]:
        what = f"{len(missing):,} of {len(files):,} files are missing, the first is {missing[0]}"
        raise DataError(what, where=f"task {task.name!r}", fix="'medssl data check' lists them")


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]} pixels"
