"""What the columns of a table are: which names images and where they start, what is predicted, splits and patients."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from bench.data.images import stem
from bench.data.labels import LISTED, MISSING, NUMBER
from bench.data.series import files_of
from bench.data.sources.csv import FOLDS, PATIENT, split_column
from bench.data.table import Table, path_of, read_table
from bench.data.task import folded
from bench.errors import DataError

SAMPLED = 200
"""Lines that are looked for among the images, spread evenly."""
MOST = 0.5
"""Share of the lines whose images must be here."""
MAX_CLASSES = 40
HEALTHY = ("normal", "benign", "negative", "no", "none", "healthy", "control", "absent", "false", "0")
"""Class names that come first: the other is what is looked for."""
LABEL = (
    "label", "labels", "class", "diagnosis", "dx", "target", "finding", "findings", "finding labels", "y", "category",
    "grade", "pathology", "group",
)  # fmt: skip
MASK = ("mask", "segmentation", "seg", "annotation")
RUNS = ("encodedpixels", "rle", "segmentation rle", "rle mask")
"""Columns of masks as run lengths, in one of several forms."""
TIME = ("time", "survival time", "os months", "os days", "os time", "months", "days", "follow up")
EVENT = ("event", "os event", "death", "died", "dead", "status", "os status", "vital status")
SUBGROUPS = {
    "site": ("site", "hospital", "centre", "center", "institution"),
    "scanner": ("scanner", "device", "manufacturer", "vendor"),
    "sex": ("sex", "gender"),
    "age": ("age", "age group"),
    "skin": ("skin", "skin tone", "skin type", "fitzpatrick"),
}
"""What columns of subgroups are called."""
NO_CLASS = frozenset({"?", "-", ".", "missing", "not available", "unknown", "unlabelled", "unlabeled", "n.a.", "tbd"})
"""What may stand for no label, or be a class."""
FLAGS = frozenset({"0", "1", "-1", "0.0", "1.0", "-1.0", "true", "false"})


@dataclass(frozen=True)
class ImageTable:
    """A table, the column that names images, and the folder in which their paths start. absent: lines without one."""

    table: Table
    image: str
    root: Path
    absent: int = 0

    @cached_property
    def others(self) -> list[str]:
        """Columns that may say what is predicted: not image, split or patient, and no index without a name."""
        split = split_column(self.table)
        aside = {self.image, None if split is None else self.table.columns[split], "", *self.known.values()}
        said = {folded(name) for name in ("split", *PATIENT)}
        return [
            c for c in self.table.columns if c not in aside and folded(c) not in said and "unnamed" not in c.lower()
        ]

    @cached_property
    def known(self) -> dict[str, str]:
        """Subgroups and the columns that say them."""
        return {trait: c for trait, names in SUBGROUPS.items() for c in self.table.columns if folded(c) in names}

    @property
    def repeated(self) -> list[str]:
        """Columns of identifiers that several images share: patients, or something like them."""
        found = []
        for name in self.table.columns:
            cells = [cell for cell in self.cells(name) if cell]
            if re.search(r"\bid\b|patient|exam|study|eye", folded(name)) and MAX_CLASSES < len(set(cells)) < len(cells):
                found.append(name)
        return found

    def called(self, names: Sequence[str]) -> str | None:
        """The column with the first of these names."""
        return next((c for name in names for c in self.others if folded(c) == name), None)

    def cells(self, column: str) -> list[str]:
        """Of every line."""
        place = self.table.columns.index(column)
        return [cells[place] for _, cells in self.table.rows]


@dataclass
class ColumnMeaning:
    """Keys of a card that a column of labels gives, keys of its [source], and what has to be said of them."""

    card: dict[str, Any]
    source: dict[str, Any] = field(default_factory=dict)
    chosen: list[str] = field(default_factory=list)


def image_table(path: Path, images: Iterable[Path]) -> ImageTable | None:
    """A table whose cells name images that are here, most of them at least; None for another table."""
    table = read_table(path, "image")
    rows = table.rows if len(table.rows) <= SAMPLED else table.rows[:: len(table.rows) // SAMPLED]
    if not rows:
        return None
    named = _by_name(images)
    best: tuple[float, int, Path] | None = None
    for place in range(len(table.columns)):
        cells = [cells[place].partition("#slice=")[0] for _, cells in rows if cells[place]]
        for root in _roots(cells, path.parent, named):
            share = sum(_is_here(cell, root) for cell in cells) / len(rows)
            if best is None or share > best[0]:
                best = share, place, root
    if best is None or best[0] < MOST:
        return None
    _, place, root = best
    if _is_here(table.columns[place], root):
        fix = "put a line above it that names the columns: image, label, ..."
        raise DataError(f"begins with an image, {table.columns[place]}, not with names of columns", where=path, fix=fix)
    absent = sum(not _is_here(cells[place].partition("#slice=")[0], root) for _, cells in table.rows)
    return ImageTable(table, table.columns[place], root, absent)


def _roots(cells: Sequence[str], folder: Path, named: dict[str, list[Path]]) -> list[Path]:
    """Folders in which these paths may start: that of the table, and where files of their names lie."""
    found: Counter[Path] = Counter()
    for cell in cells[:20]:
        parts = PurePath(unicodedata.normalize("NFC", cell.replace("\\", "/"))).parts
        for file in named.get(stem(Path(parts[-1])) if parts else "", ()):
            if file.parts[-len(parts) : -1] == parts[:-1]:
                found[Path(*file.parts[: -len(parts)])] += 1
    return [folder, *(root for root, _ in found.most_common(3) if root != folder)]


def _by_name(images: Iterable[Path]) -> dict[str, list[Path]]:
    named = defaultdict(list)
    for path in images:
        named[unicodedata.normalize("NFC", stem(path))].append(path)
    return named


def _is_here(cell: str, root: Path) -> bool:
    if not cell:
        return False
    try:
        path = path_of(cell, root, root)[1]
    except DataError:
        return False
    return path.is_file() or (path.is_dir() and path != root and bool(files_of(path)))


def labels_of(found: ImageTable, *, alone: bool = False) -> ColumnMeaning:
    """What a table says of its images. Raises DataError where no column says it, or a column holds no classes.

    alone: whether nothing else may say it, as folders of classes do. Then the age, or whatever else is the only thing
    known of an image, is what is predicted.
    """
    time, event = found.called(TIME), found.called(EVENT)
    places = found.table.find("x") is not None and found.table.find("y") is not None
    label = found.called([name for name in LABEL if not (places and name == "y")])
    if label is not None:
        return _labelled(found, label)
    if time is not None and event is not None:
        said = f"event: 1 in the column {event!r} is taken for: it happened; 0 for: it had not (censored)"
        card = {"target": "survival", "classes": [f"{event}, {time}"]}
        return ColumnMeaning(card, {"columns": {"time": time, "event": event}}, [said])
    if (runs := found.called(RUNS)) is not None:
        fix = "save each mask as a PNG file and name it in a column 'mask', or use a COCO file"
        raise DataError(f"holds masks as run lengths in the column {runs!r}", where=found.table.path, fix=fix)
    flags = [c for c in found.others if folded(c) not in FOLDS and _is_flags(found.cells(c))]
    if len(flags) > 1:
        return _flagged(found, flags)
    if alone and not found.others and len(found.known) == 1:
        (only,) = found.known.values()
        made = _labelled(found, only)
        made.chosen.insert(0, f"label: the column {only!r}, which is all that the table says of an image")
        return made
    fix = "add one called 'label', the class of each image (its folder does not count beside a table), or 'mask', the "
    fix += f"file of its mask; it has {', '.join(found.table.columns)}"
    raise DataError("has no column of labels", where=found.table.path, fix=fix)


def said_of(found: ImageTable, known: Iterable[str]) -> list[str]:
    """What has to be said of patients and of the subgroups that are known."""
    said = ["patients: the table has no column of them; images count as patients of their own"]
    if (place := next((p for name in PATIENT if (p := found.table.find(name)) is not None), None)) is not None:
        said = [f"patients: the column {found.table.columns[place]!r}"]
    elif found.repeated:
        names = ", ".join(map(repr, found.repeated))
        cure = f'columns = {{ patient = "{found.repeated[0]}" }}'
        said[0] += f"; several images share {names}: {cure} in [source] keeps them together"
    return [*said, f"subgroups: scores by {', '.join(known)}"] if known else said


def _labelled(found: ImageTable, label: str) -> ColumnMeaning:
    cells = found.cells(label)
    made = ColumnMeaning({}, {} if folded(label) == "label" else {"columns": {"label": label}})
    if others := [c for c in found.others if (folded(c) in LABEL or folded(c).startswith(LABEL)) and c != label]:
        made.chosen.append(f"label: the column {label!r}; could be {', '.join(map(repr, others))}")
    missing = _missing(set(cells))
    named = [cell for cell in cells if cell not in missing]
    if (lacking := len(cells) - len(named)) and not any(map(_is_several, named)):
        made.source["blank"] = "drop"
        made.chosen.append(f"labels: {lacking:,} of {len(cells):,} are empty or -1; these images are left out")
    if joined := _joined(named):
        shown = f"{joined[0]!r} is read as several labels, each of which other lines have alone"
        made.chosen.append(f"labels: {shown}; where it is a class of its own, give it another name")
        names = distinct(cell for cell in named if cell not in joined)
        return ColumnMeaning({"target": "multi-label", "classes": names}, made.source, made.chosen)
    if any(map(_is_several, named)):
        parts = {
            p.strip(" '\"") for c in named for p in re.split(r"[|;]" if not LISTED.fullmatch(c) else ",", c.strip("[]"))
        }
        names = distinct(part for part in parts if part and folded(part) != "no finding")
        return ColumnMeaning({"target": "multi-label", "classes": names}, made.source, made.chosen)
    if all(NUMBER.fullmatch(cell) for cell in named) and is_quantity([_real(cell) for cell in named]):
        made.chosen.append(f"target: the column {label!r} holds numbers; name the unit in 'classes'")
        made.card, made.source["columns"] = {"target": "number", "classes": [label]}, {"label": label}
        return made
    if len(names := distinct(named)) > min(MAX_CLASSES, max(2, len(named) // 2)):
        shown = ", ".join(names[:3])
        what = f"has {len(names)} different labels in {len(named)} lines of the column {label!r}: {shown}, ..."
        raise DataError(
            what, where=found.table.path, fix="a class needs images; a number stands alone, without its unit"
        )
    if odd := [name for name in names if folded(name) in NO_CLASS]:
        shown = ", ".join(map(repr, odd))
        made.chosen.append(f"classes: {shown}: where nobody knows the label, remove these lines and the class")
    made.card = classes_of(names)
    return made


def _flagged(found: ImageTable, flags: list[str]) -> ColumnMeaning:
    """One column a finding, as in CheXpert; or one a class, of which each line has one."""
    rows = list(zip(*(found.cells(c) for c in flags), strict=True))
    said = f"classes: columns of 0 and 1: {', '.join(flags)}; leave out of 'classes' what is none"
    if all(sum(_is_one(cell) for cell in row) == 1 and all(row) for row in rows):
        return ColumnMeaning({"target": "binary" if len(flags) == 2 else "multi-class", "classes": flags}, {}, [said])
    made = ColumnMeaning({"target": "multi-label", "classes": flags}, {}, [said])
    for key, what, cells_so in (("uncertain", "-1", ("-1", "-1.0")), ("blank", "empty", ("",))):
        if n := sum(cell in cells_so for row in rows for cell in row):
            made.source[key] = "zeros"
            made.chosen.append(f'{key}: {n:,} cells are {what}; read as 0, could be left out: {key} = "drop"')
    return made


def classes_of(names: list[str]) -> dict[str, Any]:
    """Target and classes of a card. Raises DataError where there is one class."""
    numeric = all(NUMBER.fullmatch(name) for name in names)
    order = sorted(names, key=lambda n: (0, _real(n), "") if numeric else (not _is_healthy(folded(n)), 0, folded(n)))
    if len(order) < 2:
        raise DataError(f"has one class alone: {', '.join(order)}", fix="a task needs two")
    return {"target": "binary" if len(order) == 2 else "multi-class", "classes": order}


def distinct(names: Iterable[str]) -> list[str]:
    """Names of classes, one of each that are compared as equal, numbers in their plain form; sorted."""
    found: dict[str, str] = {}
    for name in sorted(set(names)):
        plain = f"{_real(name):.15g}" if NUMBER.fullmatch(name) else name
        found.setdefault(folded(plain), plain)
    return sorted(found.values())


def _is_healthy(name: str) -> bool:
    return name in HEALTHY or name.startswith(("no ", "non"))


def _missing(cells: set[str]) -> set[str]:
    """Those that are no label: blanks, and -1 beside 0 and 1."""
    numbers = {cell: _real(cell) for cell in cells if NUMBER.fullmatch(cell)}
    unknown = {-1.0} if {0, 1} <= set(numbers.values()) and min(numbers.values()) == -1 else set()
    return {cell for cell in cells if cell.casefold() in MISSING or numbers.get(cell) in unknown}


def _joined(cells: Sequence[str]) -> list[str]:
    """Cells of several labels with "," "/" or "+" between them, each of which stands alone in another cell."""
    alone = {folded(cell) for cell in cells}
    parts = {cell: [folded(p) for p in re.split(r"[,/+]", cell)] for cell in cells if not NUMBER.fullmatch(cell)}
    return [cell for cell in dict.fromkeys(cells) if len(found := parts.get(cell, [])) > 1 and alone.issuperset(found)]


def _is_several(cell: str) -> bool:
    return "|" in cell or ";" in cell or bool(LISTED.fullmatch(cell))


def is_quantity(values: Sequence[float]) -> bool:
    """Numbers that are no classes: broken ones, or more than there are classes, or as good as one for each line."""
    return any(v % 1 for v in values) or len(set(values)) > min(20, max(2, len(values) // 2))


def _is_flags(cells: Sequence[str]) -> bool:
    said = {cell.lower() for cell in cells if cell.casefold() not in MISSING}
    return bool(said) and said <= FLAGS and any(map(_is_one, said))


def _is_one(cell: str) -> bool:
    return cell.lower() in ("1", "1.0", "true")


def _real(cell: str) -> float:
    return float(cell.replace(",", "."))
