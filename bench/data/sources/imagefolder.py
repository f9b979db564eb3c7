"""A folder of image files.

global task   {split}/{class}/*.png              without splits: {class}/*.png
dense task    {split}/images/*.png, masks/*.png  without splits: images/*.png, masks/*.png (same stem)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, StringConstraints

from bench.data.images import SUFFIXES
from bench.data.labels import class_index
from bench.data.listed import SPLIT_NAMES, ListedSource, Row
from bench.data.task import Task
from bench.encoders.card import Line
from bench.errors import DataError


def _compiles(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError("needs one pair of parentheses, around the patient")
    return pattern


class ImageFolderSource(ListedSource):
    """`reader = "imagefolder"`. `patient` is a pattern that finds the patient in a file's name: "^(P[0-9]+)_"."""

    name: ClassVar[str] = "imagefolder"
    unread: ClassVar[frozenset[str]] = frozenset({"folder"})

    reader: Literal["imagefolder"]
    folder: Line
    patient: Annotated[str, StringConstraints(max_length=200), AfterValidator(_compiles)] | None = None

    def rows(self, task: Task, folder: Path) -> list[Row]:
        """Every image below the folder, by path. Raises DataError when the layout is another."""
        root = folder / Path(self.folder).expanduser()
        if not root.is_dir():
            raise DataError(f"no such folder: {root}", where=f"task {task.name!r}", fix="correct 'folder' in [source]")
        splits = {p: SPLIT_NAMES[p.name.casefold()] for p in _folders(root) if p.name.casefold() in SPLIT_NAMES}
        read = self._masked if task.kind == "dense" else self._classed
        rows = [row for part, split in (splits or {root: None}).items() for row in read(part, split, root, task)]
        if not rows:
            raise DataError("holds no images in the expected layout", where=root, fix=_layout(task))
        return rows

    def _classed(self, part: Path, split: str | None, root: Path, task: Task) -> list[Row]:
        rows = []
        for folder in _folders(part):
            index = class_index(folder.name, task.classes, where=folder)
            for path in _images(folder):
                rows.append(self._row(path, task.classes[index], split, root))
        return rows

    def _masked(self, part: Path, split: str | None, root: Path, task: Task) -> list[Row]:
        masks = {path.stem: path for path in _images(part / "masks")}
        images = _images(part / "images")
        # A missing mask keeps the name it should have, so that the check can list it.
        return [self._row(p, masks.get(p.stem, part / "masks" / f"{p.stem}.png"), split, root) for p in images]

    def _row(self, path: Path, target: str | Path, split: str | None, root: Path) -> Row:
        group = None
        if self.patient is not None:
            found = re.search(self.patient, path.name)
            if found is None:
                raise DataError("has no patient in its name", where=path, fix=f"pattern {self.patient!r}")
            group = found.group(1)
        return Row(path.relative_to(root).as_posix(), path, target, split, group)


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    """Image files below a folder, by path; hidden ones aside."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted(p for p in found if p.is_file())


def _layout(task: Task) -> str:
    inner = "images/x.png and masks/x.png" if task.kind == "dense" else f"{task.classes[0]}/x.png"
    return f"expected train/{inner}, and the same below val and test"


SOURCE = ImageFolderSource
