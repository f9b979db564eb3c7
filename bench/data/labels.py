"""One reading of labels for every source: numbers, names, flags and blanks become the labels of the contract.

A label is looked up by the name of its class (case, blanks, "_" and "-" do not matter), else by its place in the
card's `classes`, from 0: 1, 1.0, "1" and "1.0" are the same. Where a number can mean a name and a place, it is refused
until the card says which (`numbers`). What is in no class is refused, never counted from the end.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from bench.data.task import Task, folded
from bench.errors import DataError
from bench.strict import did_you_mean
from bench.words import SCALARS

Numbers = Literal["name", "index"]
"""What a number stands for where class names hold numbers: the class of that name, or its place from 0."""
Uncertain = Literal["zeros", "ones", "drop"]
"""Labels of -1, of findings: U-Zeros, U-Ones (Irvin et al. 2019, CheXpert), or leave the image out."""
Blank = Literal["zeros", "drop"]
"""Empty cells: the finding is absent, or leave the image out."""

NAMES = (str, bytes, bool, np.bool_)
"""What may be the name of a class; other types are numbers."""
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
REAL = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
"""Thousands, where other numbers have a decimal comma; alone a number with three decimals."""
LISTED = re.compile(r"\[(.*)\]", re.DOTALL)
"""A list as programs print it: "['effusion', 'mass']"."""
MISSING = frozenset({"", "nan", "-nan", "none", "null", "na", "n/a", "<na>", "#n/a", "#na"})
NO_FINDING = "no finding"
EMPTY_CELL = "images: an empty label, read as none of the classes"
ONE_HOT = "images: one-hot labels, read as classes"
UNCERTAIN = {
    "zeros": "images: uncertain labels (-1), read as 0 (U-Zeros)",
    "ones": "images: uncertain labels (-1), read as 1 (U-Ones)",
    "drop": "images: uncertain labels (-1), left out",
}
BLANK = {"zeros": "images: empty cells, read as 0", "drop": "images: no label, left out"}
POLICY = {
    "uncertain": 'say uncertain = "zeros" (U-Zeros), "ones" (U-Ones) or "drop" in [source]',
    "blank": 'say blank = "zeros" or "drop" in [source]',
}
"""What to do about a finding that is not known."""
FINDINGS = ("binary", "multi-label")
"""Targets of which a finding is there or not, so that an unknown one can be read as absent."""


@dataclass(frozen=True)
class LabelReader:
    """How the labels of one task are read. Every method raises DataError that names `where`."""

    task: Task
    numbers: Numbers | None = None
    uncertain: Uncertain | None = None
    blank: Blank | None = None

    def one(self, value: object, remarks: Counter[str], *, where: object = None) -> np.ndarray | None:
        """Label of one image: int64 (), or uint8 (k,) for multi-label; None when the card leaves the image out.

        value: a name or number; for multi-label names joined by "|", or a list of names or places; a sequence of one
        cell a class ("1", "0", "-1", "") is for `cells`.
        """
        if self.task.target == "number":
            return self._quantity(value, remarks, where)
        if self.task.target == "survival":
            return self.outcome(value, remarks, where=where)
        if isinstance(value, list | tuple | np.ndarray):
            return self._listed(list(value), remarks, where)
        if self.task.target == "multi-label":
            return self._joined(value, remarks, where)
        kind = self._unknown_finding(value)
        found = self._index(value, remarks, where) if kind is None else self._replaced(kind, "", remarks, where)
        return None if found is None else np.array(found, np.int64)

    def cells(self, values: Sequence[Any], remarks: Counter[str], *, where: object = None) -> np.ndarray | None:
        """Label from one cell a class: flags for multi-label; for one class an image, the cell that is 1."""
        flags = [self._flag(value, where) for value in values]
        if self.task.target != "multi-label":
            if sorted(map(str, flags)) != ["0"] * (len(flags) - 1) + ["1"]:
                fix = "several labels an image make the target 'multi-label'"
                raise DataError("has not exactly one label in its one-hot columns", where=where, fix=fix)
            remarks[ONE_HOT] += 1
            return np.array(flags.index(1), np.int64)
        for kind in ("uncertain", "blank"):
            if kind not in flags:
                continue
            value = self._replaced(kind, self.task.classes[flags.index(kind)], remarks, where)
            if value is None:
                return None
            flags = [value if flag == kind else flag for flag in flags]
        return np.array(flags, np.uint8)

    def many(self, values: np.ndarray, remarks: Counter[str], *, where: object = None) -> tuple[np.ndarray, np.ndarray]:
        """Labels of the rows that are kept, int64 (m,) or uint8 (m, k), and which rows these are: bool (n,).

        values: (n,) or (n, 1) of anything `one` takes; (n, k) as `cells` takes them.
        """
        k = len(self.task.classes)
        read: Callable[..., np.ndarray | None] = self.one
        if values.ndim == 2 and values.shape[1] == 1 and self.task.target != "multi-label":
            values = values[:, 0]
        if self.task.target == "survival":
            if values.ndim != 2 or values.shape[1] != 2:
                what = f"labels have shape {values.shape}, expected (n, 2): a time, and 1 for an event or 0 for none"
                raise DataError(what, where=where)
            read = self.outcome
        elif values.ndim == 2 and values.shape[1] == k and self.task.target != "number":
            read = self.cells
        elif values.ndim != 1 or self.task.target == "multi-label":
            raise self._wrong_shape(values.shape, where)
        kinds, place, count = np.unique(values, axis=0, return_inverse=True, return_counts=True)
        found = read_all(kinds, read, remarks, where=lambda _: where, times=count.tolist())
        keep = np.array([label is not None for label in found], bool)[place.reshape(-1)]
        labels = [found[i] for i in place.reshape(-1)[keep].tolist()]
        shapes = {"multi-label": (0, k), "survival": (0, 2)}
        empty: np.ndarray = np.zeros(shapes.get(self.task.target, (0,)), self._dtype)
        return (np.stack(labels) if labels else empty), keep

    @property
    def _dtype(self) -> type:
        if self.task.target == "multi-label":
            return np.uint8
        return np.float64 if self.task.target in SCALARS else np.int64

    def _quantity(self, value: object, remarks: Counter[str], where: object) -> np.ndarray | None:
        """A finite number; "1,5" is 1.5."""
        text = _text(value)
        if text.casefold() in MISSING:
            self._unlabelled(text, remarks, where)
            return None
        if THOUSANDS.fullmatch(text):
            what = f"{text[:60]!r} can be thousands and a decimal"
            raise DataError(what, where=where, fix="write it without a comma")
        number = float(text.replace(",", ".")) if REAL.fullmatch(text) else math.nan
        if isinstance(value, bool | np.bool_) or not math.isfinite(number):
            fix = "write the number alone, in the unit that 'classes' names; leave out lines without one"
            raise DataError(f"{text[:60]!r} is no number, and the target is one", where=where, fix=fix)
        return np.array(number, np.float64)

    def outcome(self, value: object, remarks: Counter[str], *, where: object = None) -> np.ndarray | None:
        """Of survival: float64 (2,), a time above 0, and 1 where the event happened then, 0 where it had not yet.

        value: the time and the event; what is neither 1 nor 0, true nor false, is refused and never guessed.
        """
        if not isinstance(value, list | tuple | np.ndarray) or len(value) != 2:
            fix = 'a table has columns for both: columns = { time = "months", event = "death" }'
            raise DataError(f"{_text(value)[:60]!r} is no time with an event", where=where, fix=fix)
        blank = next((text for text in map(_text, value) if text.casefold() in MISSING), None)
        if blank is not None:
            self._unlabelled(blank, remarks, where)
            return None
        time, event = self._quantity(value[0], remarks, where), _event(value[1])
        if time is None or time <= 0:
            raise DataError(f"the time {_text(value[0])[:40]!r} is not above 0", where=where)
        if event is None:
            what = f"the event is {_text(value[1])[:40]!r}, expected 1 (it happened) or 0 (censored)"
            raise DataError(what, where=where)
        return np.array([time, event], np.float64)

    @cached_property
    def _names(self) -> dict[str, int]:
        return {folded(name): i for i, name in enumerate(self.task.classes)}

    @cached_property
    def _spoken(self) -> dict[float, int]:
        """Number in a class name ("3", "Grade 3") -> its place, where a name holds one and no other name the same."""
        numbers = [[n] if NUMBER.fullmatch(n) else re.findall(r"\d+(?:\.\d+)?", n) for n in self.task.classes]
        single = [float(found[0]) if len(found) == 1 else None for found in numbers]
        return {n: i for i, n in enumerate(single) if n is not None and single.count(n) == 1}

    def _index(self, value: object, remarks: Counter[str], where: object) -> int | None:
        text = _text(value)
        by_place = self.numbers == "index" and NUMBER.fullmatch(text)
        named = None if by_place or not isinstance(value, NAMES) else self._names.get(folded(text))
        if named is not None:
            return named
        number = _number(value, text)
        if text.casefold() in MISSING or (number == -1 and -1 not in self._spoken):
            self._unlabelled(text, remarks, where)
            return None
        if number is None and text.casefold() in ("true", "false") and len(self.task.classes) == 2:
            return int(text.casefold() == "true")
        return self._unknown(text, where) if number is None else self._numbered(number, value, text, where)

    def _numbered(self, number: float, value: object, text: str, where: object) -> int:
        classes, named = self.task.classes, self._spoken.get(number)
        place = int(number) if number.is_integer() and 0 <= number < len(classes) else None
        numerals = [i for i, name in enumerate(classes) if NUMBER.fullmatch(name)]
        moved = any(float(classes[i]) != i for i in numerals)
        if self.numbers is not None:
            place = named if self.numbers == "name" else place
        elif numerals and isinstance(value, str | bytes):
            place = named if named in numerals else None  # A table whose classes are "1" ... "5" means them by name.
        elif (moved and (named, place) != (None, None)) or (place is not None and named not in (None, place)):
            what = f"the number {text} can mean the class of that name, or the class in that place, counted from 0"
            raise DataError(what, where=where, fix='say numbers = "name" or numbers = "index" in [source]')
        return self._unknown(text, where) if place is None else place

    def _unlabelled(self, text: str, remarks: Counter[str], where: object) -> None:
        """Counts an image that is left out. Raises DataError where the card does not say that such are."""
        if self.blank == "drop":
            remarks[BLANK["drop"]] += 1
            return
        fix = 'remove such rows, or say blank = "drop" in [source] to leave them out'
        if text.startswith("-1") and len(self.task.classes) == 2:
            fix = f'where -1 is the other class write 0, or name the classes "-1" and "1"; where nobody knows, {fix}'
        if self.task.target == "binary":
            fix += f"; or {POLICY['uncertain' if text.startswith('-1') else 'blank']}"
        raise DataError(f"has no label ({text or 'empty'})", where=where, fix=fix)

    def _joined(self, value: object, remarks: Counter[str], where: object) -> np.ndarray | None:
        text = _text(value)
        if (match := LISTED.fullmatch(text)) is not None and folded(text) not in self._names:
            return self._listed([part.strip(" \n'\"") for part in match[1].split(",") if part.strip()], remarks, where)
        if "," in text and NUMBER.fullmatch(text) and folded(text) not in self._names:
            fix = 'join places by "|" ("1|0"), and write a number without a comma'
            raise DataError(f"{text!r} can be a number with a decimal comma, or two labels", where=where, fix=fix)
        parts = self._parts(text)
        if len(parts) > 1 and NO_FINDING not in self._names and NO_FINDING in map(folded, parts):
            raise DataError(f"names 'No Finding' beside a finding: {text[:60]!r}", where=where, fix="leave one of them")
        if len(parts) == 1 and folded(text) not in self._names:
            if text.casefold() in MISSING:
                if self.blank == "drop":
                    remarks[BLANK["drop"]] += 1
                    return None
                remarks[EMPTY_CELL] += 1
                parts = []
            elif folded(text) == NO_FINDING:
                parts = []
        if len(parts) > 1 and all(NUMBER.fullmatch(part) for part in parts):
            return self._listed(parts, remarks, where)
        return self._flags(parts, remarks, where)

    def _parts(self, text: str) -> list[str]:
        """Labels in one cell: joined by "|" or ";", or by what else stands between names alone."""
        if folded(text) in self._names:
            return [text]
        for separator in ("|", ";"):
            if separator in text:
                parts = [part.strip() for part in text.split(separator)]
                named = any(folded(part) in self._names for part in parts)
                return [part for part in parts if part or not named]  # "effusion|" ends in nothing
        parts = [part.strip() for part in re.split(r"[,/+]", text)]
        return parts if all(folded(part) in self._names for part in parts) else [text]

    def _flags(self, parts: Sequence[object], remarks: Counter[str], where: object) -> np.ndarray:
        found = [self._index(part, remarks, where) for part in parts]
        places = [place for place in found if place is not None]
        if len(set(places)) < len(parts):
            raise DataError(f"names a label twice, or none: {str(list(parts))[:80]}", where=where)
        flags = np.zeros(len(self.task.classes), np.uint8)
        flags[places] = 1
        return flags

    def _listed(self, values: list[Any], remarks: Counter[str], where: object) -> np.ndarray | None:
        """A list of labels, or of one flag a class; [0, 1] of two classes could be either."""
        k, numbers = len(self.task.classes), [_number(value, _text(value)) for value in values]
        flags = len(values) == k and all(n in (0, 1) for n in numbers) and self.numbers is None
        if self.task.target != "multi-label" or (flags and len(set(numbers)) < k):
            if len(values) != k:
                raise DataError(f"has {len(values)} labels, the target is {self.task.target!r}", where=where)
            return self.cells(values, remarks, where=where)
        if flags:
            fix = 'write the names of the labels; or say numbers = "index" in [source] where these are places'
            raise DataError(f"{values} can be a flag for each class, or the places of both", where=where, fix=fix)
        return self._flags(values, remarks, where)

    def _flag(self, value: object, where: object) -> int | str:
        """0, 1, "uncertain" or "blank"."""
        text = _text(value)
        number = _number(value, text)
        if text.casefold() in MISSING:
            return "blank"
        if number is None and text.casefold() in ("true", "false"):
            number = float(text.casefold() == "true")
        if number in (0, 1):
            return int(number)
        if number == -1:
            return "uncertain"
        what = f"a cell holds {text[:40]!r}, expected 1 (present), 0 (absent), -1 (uncertain) or nothing"
        raise DataError(what, where=where)

    def _unknown_finding(self, value: object) -> str | None:
        """ "uncertain" or "blank", where the card of a binary task says what becomes of such a label."""
        text = _text(value)
        if self.task.target != "binary" or folded(text) in self._names:
            return None
        if self.blank is not None and text.casefold() in MISSING:
            return "blank"
        is_uncertain = _number(value, text) == -1 and -1 not in self._spoken
        return "uncertain" if self.uncertain is not None and is_uncertain else None

    def _replaced(self, kind: str, name: str, remarks: Counter[str], where: object) -> int | None:
        """0 or 1 for an unknown finding; None where the image is left out. Raises DataError without a policy."""
        policy, told = (self.uncertain, UNCERTAIN) if kind == "uncertain" else (self.blank, BLANK)
        if policy is None:
            what = "is uncertain (-1)" if kind == "uncertain" else "is empty"
            raise DataError(f"{name!r} {what}", where=where, fix=POLICY[kind])
        remarks[told[policy]] += 1
        return None if policy == "drop" else int(policy == "ones")

    def _unknown(self, text: str, where: object) -> Any:
        classes = self.task.classes
        shown = ", ".join(classes[:12]) + (", ..." if len(classes) > 12 else "")
        fix = did_you_mean(text, classes, f"the card names: {shown}; numbers count from 0")
        if self.numbers == "index" and NUMBER.fullmatch(text):
            fix = f'numbers = "index" counts the classes from 0 to {len(classes) - 1}'
        raise DataError(f"unknown class {text[:60]!r}", where=where, fix=fix)

    def _wrong_shape(self, shape: tuple[int, ...], where: object) -> DataError:
        k = len(self.task.classes)
        if self.task.target == "multi-label":
            return DataError(f"labels have shape {shape}, expected (n, {k})", where=where)
        if self.task.target == "number":
            return DataError(f"labels have shape {shape}, expected (n,) or (n, 1): one number an image", where=where)
        fix = "several labels an image make the target 'multi-label'"
        return DataError(f"labels have shape {shape}, expected (n,), (n, 1) or one-hot (n, {k})", where=where, fix=fix)


def read_all(
    values: Iterable[Any],
    read: Callable[..., np.ndarray | None],
    remarks: Counter[str],
    *,
    where: Callable[[int], object],
    times: Sequence[int] | None = None,
) -> list[np.ndarray | None]:
    """`read` of every value; one DataError that counts those it refuses and tells the first.

    where: names the i-th value. times: how often each value stands for a row; once by default.
    """
    values = list(values)
    _refuse_both_marks(values, where)
    found: list[np.ndarray | None] = []
    refused, first, rows = 0, None, 0
    for i, value in enumerate(values):
        n, told = times[i] if times else 1, Counter[str]()
        rows += n
        try:
            found.append(read(value, told, where=where(i)))
        except DataError as error:
            refused, first = refused + n, first or error
        remarks.update(dict.fromkeys(told, n))
    if first is not None:
        what = first.what if rows == 1 else f"{first.what}; {refused:,} of {rows:,} labels cannot be read"
        raise DataError(what, where=first.where, fix=first.fix)
    return found


def _refuse_both_marks(values: Sequence[Any], where: Callable[[int], object]) -> None:
    """Raise DataError where "1.234" stands beside "950,5": the point is none of decimals there."""
    cells = [(i, cell) for i, value in enumerate(values) for cell in (value if isinstance(value, list) else [value])]
    texts = [(i, _text(cell)) for i, cell in cells if isinstance(cell, str)]
    comma = next((text for _, text in texts if "," in text and NUMBER.fullmatch(text)), None)
    at, point = next(((i, text) for i, text in texts if GROUPED.fullmatch(text)), (0, None))
    if comma and point:
        what = f"{point!r} can be thousands, since {comma!r} has a decimal comma"
        raise DataError(what, where=where(at), fix="write all numbers with a decimal point, and thousands without any")


def _event(value: object) -> int | None:
    """1 or 0; None for anything else."""
    text = _text(value).casefold()
    number = {"true": 1.0, "false": 0.0}.get(text, _number(value, text))
    return int(number) if number in (0, 1) else None


def _text(value: object) -> str:
    """A label as text without blanks around it; None is the empty text."""
    if value is None:
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return unicodedata.normalize("NFKC", text).replace("\u2212", "-").strip()


def _number(value: object, text: str) -> float | None:
    """The number a label is, or None; 1, 1.0, "1", "01" and "1,0" are 1."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | float | np.integer | np.floating):
        return None if math.isnan(float(value)) else float(value)
    return float(text.replace(",", ".")) if NUMBER.fullmatch(text) else None
