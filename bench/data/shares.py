"""Which images are train, val and test: names of splits, and shares set aside where there are none."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from bench.data.masks import DrawnMask
from bench.data.task import Task
from bench.errors import DataError
from bench.words import SPLITS

Share = Annotated[float, Field(gt=0, lt=0.9)]
SHORTENED = re.compile(r"\d+([.,]\d+e\+?|e\+)\d+", re.IGNORECASE)
WHOLE = re.compile(r"(\d+)[.,]0+")
"""A whole number, as a table of decimals writes it."""
UNKNOWN = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>", "unknown", "?", "-"})
"""What stands where the patient is not known: many such rows are not one patient."""
SOME_PATIENTS = "images: no patient given, each counted as a patient of its own"
VAL, TEST = 0.15, 0.2
"""Shares of all images where neither the source nor the card says which are which."""
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "test-shift": "test-shift", "test_shift": "test-shift",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One image: its id, file, label as read or masks, split and patient where they are known.

    number: the slice or frame of a file that has several. traits: what is known of the patient and the device, e.g.
    "site" -> "Jena" (`bench.words.Trait`).
    """

    id: str
    image: Path
    label: np.ndarray | None = None
    masks: tuple[Path | DrawnMask, ...] = ()
    split: str | None = None
    group: str | None = None
    number: int | None = None
    traits: Mapping[str, str] = field(default_factory=dict)
    bag: str | None = None
    """The images it shares its label with, where these are not all of its patient."""

    @property
    def mask_files(self) -> tuple[Path, ...]:
        """The masks that are files."""
        return tuple(mask for mask in self.masks if isinstance(mask, Path))

    @property
    def unit(self) -> str:
        """What stays together: the patient, the bag, or the image alone."""
        return self.group or self.bag or self.id


def split_name(text: str, where: object) -> str:
    """The split a word stands for ("Validation" is "val"). Raises DataError."""
    if (name := SPLIT_NAMES.get(text.strip().casefold())) is None:
        fix = "use train, val, test or test-shift; of folds, call one val and one test"
        raise DataError(f"unknown split {text[:40]!r}", where=where, fix=fix)
    return name


def group_name(value: object, where: object = None) -> str | None:
    """Name of a patient, the same for 7, 7.0 and "7", without characters that print nothing; None where it is unknown.

    Raises DataError for a number that a spreadsheet has shortened ("1.23457E+11"): several patients can be meant.
    """
    text = "" if value is None else str(value.decode() if isinstance(value, bytes) else value).strip()
    text = "".join(c for c in text if unicodedata.category(c) != "Cf").strip()
    text = WHOLE.sub(r"\1", text) if WHOLE.fullmatch(text) else text
    if SHORTENED.fullmatch(text):
        fix = "export the table again, with this column as text"
        raise DataError(f"names the patient {text!r}, a number that a spreadsheet has shortened", where=where, fix=fix)
    return None if text.casefold() in UNKNOWN else text


def with_shares(
    rows: list[ListedImage], task: Task, val: float | None, test: float | None, remarks: Counter[str]
) -> dict[str, list[ListedImage]]:
    """Rows by split; shares are taken from rows without a split (test and val) or, for val, from train.

    Whole patients move, and each class gives its share. The choice is by a hash of the names, so it does not depend
    on the order of rows. Raises DataError when a split stays empty.
    """
    where = f"task {task.name!r}"
    given = {row.split for row in rows if row.split}
    if given and any(row.split is None for row in rows):
        lone = next(row for row in rows if row.split is None)
        fix = f"{lone.id} has none: name it for each image, or for none"
        raise DataError("names the split of some images and not of others", where=where, fix=fix)
    if given and (test is not None or (val is not None and "val" in given)):
        raise DataError("names its splits, so 'val' and 'test' shares do not apply", where=where)
    if given and "test" not in given:
        fix = (
            f'call {"val" if "val" in given else "some of it"} "test", and add val = 0.15 to [source] to set some aside'
        )
        raise DataError("has no test images", where=where, fix=fix)
    if given and "val" not in given and val is None:
        raise DataError("has no validation images", where=where, fix="add val = 0.15 to [source] to set some aside")
    if not given:
        val, test = val or VAL, test or TEST
        if val + test > 0.9:
            raise DataError("'val' and 'test' leave no images to train on", where=where)
        by = "patient" if any(row.group for row in rows) else "image"
        if (n := len({row.unit for row in rows})) < 3:
            fix = "add images, or leave out the column of patients if these are none"
            raise DataError(
                f"cannot be split by {by}: train, val and test need one each, there are {n}", where=where, fix=fix
            )
        remarks[f"images: no splits given, so split by {by}: val {val:.0%}, test {test:.0%}"] = len(rows)
        rows = _moved(rows, "test", test)
        val = val / (1 - test)
    if "val" not in given:
        rows = _moved(rows, "val", val or 0.0)
    rows = [replace(row, split=row.split or "train") for row in rows]
    return {s: part for s in SPLITS if (part := [r for r in rows if r.split == s])}


def _moved(rows: list[ListedImage], name: str, share: float) -> list[ListedImage]:
    """`rows` with a share of those of train, or of none, moved to split `name`."""
    free = [row for row in rows if row.split in (None, "train")]
    chosen: set[str] = set()
    strata = _strata(free)
    for units, take in zip(strata, _quotas([len(units) for units in strata], share), strict=True):
        order = sorted(units, key=lambda unit: hashlib.sha256(f"{name}|{unit}".encode()).digest())
        chosen.update(order[:take])
    return [replace(r, split=name) if r.split in (None, "train") and r.unit in chosen else r for r in rows]


def _quotas(sizes: list[int], share: float) -> list[int]:
    """How many of each stratum: their share in all, by largest remainder; of three or more at least one."""
    exact = [share * size for size in sizes]
    taken = [int(quota) for quota in exact]
    left = round(sum(exact)) - sum(taken)
    for i in sorted(range(len(sizes)), key=lambda i: taken[i] - exact[i])[:left]:
        taken[i] += 1
    return [max(n, size >= 3) for n, size in zip(taken, sizes, strict=True)]


def _strata(rows: Iterable[ListedImage]) -> list[set[str]]:
    """Patients (or images) by the rarest class among their rows, the rarest first."""
    shown = {row.id: _classes(row) for row in rows}
    counts = Counter(name for names in shown.values() for name in names)
    rarest: dict[str, tuple[int, int]] = {}
    for row in rows:
        own = min(((counts[c], c) for c in shown[row.id]), default=(len(shown) + 1, -1))
        rarest[row.unit] = min(own, rarest.get(row.unit, own))
    return [{u for u, key in rarest.items() if key == stratum} for stratum in sorted(set(rarest.values()))]


def _classes(row: ListedImage) -> list[int]:
    if row.label is not None and row.label.shape == (2,) and row.label.dtype.kind == "f":
        return [int(row.label[1])]  # survival: whether the event happened
    if row.label is None or row.label.dtype.kind == "f":
        return []
    return np.flatnonzero(row.label).tolist() if row.label.ndim else [int(row.label)]
