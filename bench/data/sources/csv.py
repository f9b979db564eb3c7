"""A CSV table with the columns image, label or mask, and where known split and patient."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar, Literal

from bench.data.listed import ListedSource, Row, split_name
from bench.data.task import Task
from bench.encoders.card import Line
from bench.errors import DataError
from bench.strict import nearest

COLUMNS = ("image", "label", "mask", "split", "patient")


class CsvSource(ListedSource):
    """`reader = "csv"`. Paths in the table start at `root`, which starts at the folder of the table.

    A label is a class name or its number; several labels of an image are joined by "|".
    """

    name: ClassVar[str] = "csv"
    unread: ClassVar[frozenset[str]] = frozenset({"file", "root"})

    reader: Literal["csv"]
    file: Line
    root: Line = "."

    def rows(self, task: Task, folder: Path) -> list[Row]:
        """One row for each line of the table. Raises DataError that names file and line."""
        path = folder / Path(self.file).expanduser()
        target = "mask" if task.kind == "dense" else "label"
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                _check_columns(reader.fieldnames or [], target, path)
                return [self._row(cells, target, f"{path}, line {i}", path.parent) for i, cells in enumerate(reader, 2)]
        except FileNotFoundError:
            raise DataError(f"no such file: {path}", where=f"task {task.name!r}") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"is not a readable CSV table: {str(error)[:150]}", where=path) from None

    def _row(self, cells: dict[str, str | None], target: str, where: str, start: Path) -> Row:
        text = {name: (cells.get(name) or "").strip() for name in COLUMNS}
        if None in cells or not text["image"] or (target == "mask" and not text["mask"]):
            raise DataError(f"has too many cells, or no {'image' if not text['image'] else target}", where=where)
        root = start / self.root
        return Row(
            id=text["image"],
            image=root / text["image"],
            target=root / text["mask"] if target == "mask" else text["label"],
            split=split_name(text["split"], where) if text["split"] else None,
            group=text["patient"] or None,
        )


def _check_columns(found: list[str], target: str, path: Path) -> None:
    for column in ("image", target):
        if column not in found:
            near = nearest(column, list(found))
            fix = f"rename {near!r}" if near else f"it has: {', '.join(found)[:200] or 'nothing'}"
            raise DataError(f"has no column {column!r}", where=path, fix=fix)


SOURCE = CsvSource
