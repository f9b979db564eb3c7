"""A CSV table with an image a line: its path, its label, its mask or one column a class; split and patient if known."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import model_validator

from bench.data.labels import read_all
from bench.data.listed import ListedSource
from bench.data.shares import SPLIT_NAMES, ListedImage, group_name, split_name
from bench.data.table import Table, path_of, read_table
from bench.data.task import Task, folded
from bench.data.traits import traits_of
from bench.errors import DataError
from bench.strict import Grown, Line
from bench.words import Trait

SLICE = re.compile(r"(.+)#slice=(\d{1,5})")
PATIENT = (
    "patient", "patient id", "patientid", "patient no", "patient number", "patient name", "pid", "mrn", "subject",
    "subject id", "subjectid", "participant", "participant id", "person id", "case id", "lesion id",
)  # fmt: skip
"""What a column of patients is usually called; overlooked, the same patient would be in train and in test."""
IDENTIFIER = re.compile(r"\bid\b|patient|exam|study|studies")
"""What a column is called that may name patients after all."""
FOLDS = ("fold", "folds", "cv fold", "is test", "is train", "holdout", "subset", "partition")
"""Columns of splits that are not read."""
FEW = 10
"""Images that share an identifier, at most, on average; more share a hospital or a device."""


class Columns(Grown):
    """What the columns of a table are called."""

    later: ClassVar[frozenset[str]] = frozenset({"bag", "time", "event"})

    image: Line = "image"
    label: Line | None = None
    """Default: "label", or one column for each class."""
    mask: Line = "mask"
    split: Line | None = None
    """Default: "split", or the one column that holds nothing but names of splits."""
    patient: Line | None = None
    """Default: the first of PATIENT that there is."""
    time: Line | None = None
    """Of survival; default: "time"."""
    event: Line | None = None
    """Of survival; default: "event"."""
    bag: Line | None = None
    """With bags = true; default: "bag", where there is one, else the patient."""


class CsvSource(ListedSource):
    """`reader = "csv"`. Paths in the table start at `root`, which starts at the folder of the table."""

    name: ClassVar[str] = "csv"
    version: ClassVar[str] = "5"
    unread: ClassVar[frozenset[str]] = ListedSource.unread | {"file", "root"}
    later: ClassVar[frozenset[str]] = ListedSource.later | {"subgroups"}

    reader: Literal["csv"]
    file: Line
    root: Line = "."
    columns: Columns = Columns()
    subgroups: dict[Trait, Line] = {}
    """What is known of the patient and the device -> the column that says it: { site = "hospital", age = "years" }."""

    @model_validator(mode="after")
    def _bag_named(self) -> Self:
        if self.columns.bag is not None and not self.bags:
            raise ValueError("a column of bags is for bags = true")
        return self

    @model_validator(mode="after")
    def _known_apart(self) -> Self:
        if self.leave_out and (lacking := set(self.leave_out) - set(self.subgroups)):
            raise ValueError(f"leave_out names {sorted(lacking)[0]!r}, which 'subgroups' does not")
        return self

    @property
    def trait_names(self) -> tuple[str, ...]:
        """Those that `subgroups` names."""
        return tuple(self.subgroups)

    def rows(self, task: Task, folder: Path, remarks: Counter[str]) -> list[ListedImage]:
        """One row for each line of the table that has a label. Raises DataError that names file and line."""
        table = read_table(folder / Path(self.file).expanduser(), self.columns.image)
        root = table.path.parent / self.root
        image = table.column(self.columns.image, "image")
        files = [_file(table, line, cells[image], image, root) for line, cells in table.rows]
        _refuse_twice(table, files)
        masks: list[tuple[Path, ...]] = [()] * len(files)
        labels: list[np.ndarray | None] = [None] * len(files)
        if task.kind == "dense":
            masks = self._masks(table, files, root)
        else:
            labels = self._labels(table, task, remarks)
        known = {name: self._known(table, name) for name in ("split", "patient", "bag")}
        if (split := known["split"]) is not None and folded(table.columns[split]) != folded(
            self.columns.split or "split"
        ):
            remarks[f"images: splits are those of the column {table.columns[split]!r}"] = len(files)
        self._tell_unread(table, known, remarks)
        places = {trait: table.column(name, trait) for trait, name in self.subgroups.items()}
        known_of: dict[str, list[str]] = {
            trait: [cells[place] for _, cells in table.rows] for trait, place in places.items()
        }
        traits = traits_of(known_of, where=table.path)
        rows = [
            replace(self._row(table, i, file, known), traits={trait: values[i] for trait, values in traits.items()})
            for i, file in enumerate(files)
        ]
        found = [
            replace(row, label=label, masks=several) for row, label, several in zip(rows, labels, masks, strict=True)
        ]
        return [row for row in found if row.masks or row.label is not None]

    def _masks(self, table: Table, images: list[_File], root: Path) -> list[tuple[Path, ...]]:
        """The mask files of each line."""
        column = table.column(self.columns.mask, "mask")
        masks = [
            [_file(table, line, part.strip(), column, root) for part in cells[column].split("|")]
            for line, cells in table.rows
        ]
        _refuse_other_slices(table, images, masks)
        return [tuple(mask.path for mask in several) for several in masks]

    def _labels(self, table: Table, task: Task, remarks: Counter[str]) -> list[np.ndarray | None]:
        """The label of each line; None for those the card leaves out."""
        reading, lines = self.reading(task), [table.where(line) for line, _ in table.rows]
        if task.target == "survival":
            places = [table.column(getattr(self.columns, name) or name, name) for name in ("time", "event")]
            outcomes = [[cells[place] for place in places] for _, cells in table.rows]
            return read_all(outcomes, reading.outcome, remarks, where=lines.__getitem__)
        if self.columns.time or self.columns.event:
            what = f"columns of time and event are for survival, the target is {task.target!r}"
            raise DataError(what, where=table.path)
        places = [place for name in task.classes if (place := table.find(name)) is not None]
        if self.columns.label is None and len(places) == len(task.classes):
            if table.find("label") is not None:
                fix = 'name the label column: columns = { label = "label" }, or rename it'
                raise DataError("has a column 'label' and one for each class", where=table.path, fix=fix)
            flags = [[cells[place] for place in places] for _, cells in table.rows]
            return read_all(flags, reading.cells, remarks, where=lines.__getitem__)
        column = _label_column(table, task, self.columns.label)
        named = [cells[column] for _, cells in table.rows]
        return read_all(named, reading.one, remarks, where=lines.__getitem__)

    def _tell_unread(self, table: Table, known: dict[str, int | None], remarks: Counter[str]) -> None:
        """Count the images of columns that look like splits or patients, where none are known, and are neither."""
        for i, column in enumerate(table.columns):
            cells = [cells[i] for _, cells in table.rows if cells[i]]
            if known["split"] is None and folded(column) in FOLDS:
                remarks[f"images: the column {column!r} names no splits that are read (train, val, test)"] = len(cells)
            shared = 2 < len(set(cells)) < len(cells) <= FEW * len(set(cells))
            if known["patient"] is None and self.groups is None and shared and IDENTIFIER.search(folded(column)):
                cure = f'columns = {{ patient = "{column}" }}'
                remarks[f"images: several share the {column!r}, which is not read; {cure} keeps them together"] = len(
                    cells
                )

    def _row(self, table: Table, i: int, file: _File, known: dict[str, int | None]) -> ListedImage:
        """What line `i` says of its image. known: places of the columns of splits, patients and bags."""
        line, cells = table.rows[i]
        split, patient, bag = ("" if (at := known[name]) is None else cells[at] for name in ("split", "patient", "bag"))
        where = table.where(line)
        return ListedImage(
            file.id,
            file.path,
            split=split_name(split, where) if split else None,
            group=group_name(patient, where),
            number=file.number,
            bag=group_name(bag, where),
        )

    def _known(self, table: Table, name: str) -> int | None:
        if name == "bag" and not self.bags:
            return None
        if (named := getattr(self.columns, name)) is not None:
            return table.column(named, name)
        places = map(table.find, PATIENT if name == "patient" else (name,))
        place = next((place for place in places if place is not None), None)
        return split_column(table) if place is None and name == "split" else place


def split_column(table: Table) -> int | None:
    """A column whose cells are all names of splits, test or two of them, whatever it is called ("set", "dataset").

    Raises DataError when there are two, or where only some cells of one are.
    """
    said = [{cells[i].strip().casefold() for _, cells in table.rows} for i in range(len(table.columns))]
    meant = [{SPLIT_NAMES[name] for name in names if name in SPLIT_NAMES} for names in said]
    found = [
        i for i, splits in enumerate(meant) if said[i] <= set(SPLIT_NAMES) and ("test" in splits or len(splits) > 1)
    ]
    if len(found) > 1:
        both = " and ".join(repr(table.columns[i]) for i in found[:2])
        fix = f'columns = {{ split = "{table.columns[found[0]]}" }} in [source]'
        raise DataError(f"has names of splits in the columns {both}", where=table.path, fix=fix)
    for column, names, splits in zip(table.columns, said, meant, strict=True):
        odd = sorted(names - set(SPLIT_NAMES))
        if not found and "train" in splits and odd and len(names) < 6:
            what = f"has splits in the column {column!r}, but also {', '.join(map(repr, odd))}"
            fix = "call them train, val, test or test-shift, or leave the column out"
            raise DataError(what, where=table.path, fix=fix)
    return found[0] if found else None


def _label_column(table: Table, task: Task, name: str | None) -> int:
    """Place of the column of labels. Raises DataError when there is none, or its numbers count the other way."""
    if (
        name is None
        and (there := [c for c in task.classes if table.find(c) is not None])
        and table.find("label") is None
    ):
        others = ", ".join(c for c in task.classes if c not in there)
        fix = f'add the others; of two classes columns = {{ label = "{there[0]}" }} names one of 0 and 1'
        raise DataError(f"has a column of {', '.join(there)}, but none of {others}", where=table.path, fix=fix)
    column = table.column(name or "label", "label")
    first = task.target == "binary" and folded(table.columns[column]) == folded(task.classes[0])
    if first and any(cells[column].casefold() in ("1", "1.0", "true") for _, cells in table.rows):
        what = f"1 in the column {table.columns[column]!r} would be the second class, {task.classes[1]!r}"
        raise DataError(what, where=table.path, fix="put the class that the column is called after second in 'classes'")
    return column


class _File(NamedTuple):
    """What a cell names: its text as id, the file, and the slice of it where it names one ("x.nii.gz#slice=12")."""

    id: str
    path: Path
    number: int | None


def _file(table: Table, line: int, text: str, column: int, root: Path) -> _File:
    if not text:
        fix = "name one, a black picture where there is nothing to see, or remove the line"
        raise DataError(f"has no {table.columns[column]}", where=table.where(line), fix=fix)
    if (named := SLICE.fullmatch(text)) is None:
        return _File(*path_of(text, root, table.where(line)), None)
    name, path = path_of(named[1], root, table.where(line))
    return _File(f"{name}#slice={named[2]}", path, int(named[2]))


def _refuse_other_slices(table: Table, images: list[_File], masks: list[list[_File]]) -> None:
    for (line, _), image, several in zip(table.rows, images, masks, strict=True):
        if mask := next((m for m in several if m.number not in (None, image.number)), None):
            what = f"names slice {mask.number} of the mask for slice {image.number} of the image"
            raise DataError(what, where=table.where(line), fix="name the same slice of both")


def _refuse_twice(table: Table, files: list[_File]) -> None:
    """An image may stand in one line only: two lines would be two labels, or count one image twice."""
    seen: dict[str, int] = {}
    for (line, cells), file in zip(table.rows, files, strict=True):
        first = seen.setdefault(f"{file.path.resolve()}#{file.number}", line)
        if first != line:
            same = cells == next(other for at, other in table.rows if at == first)
            cells_too = "the same cells as" if same else "other cells than"
            what = f"lists {Path(file.id).name} again, with {cells_too} line {first}"
            raise DataError(what, where=table.where(line), fix='one line an image; several labels are joined by "|"')


SOURCE = CsvSource
