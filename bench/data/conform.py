"""Checks of the data against the card, made while blocks of rows pass on their way into the store."""

from dataclasses import dataclass, field

import numpy as np

from bench.data.dataset import Split
from bench.data.task import Task
from bench.errors import DataError
from bench.words import REQUIRED_SPLITS, SPLITS


@dataclass
class _SplitSeen:
    """What is remembered of one split."""

    rows: int = 0
    shape: tuple[int, ...] = ()
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    lowest: float = 0.0
    """Of the intensities."""
    values: tuple[float, float] = (np.inf, -np.inf)
    """Lowest and highest, of numbers that are predicted."""


class Conformity:
    """Raises DataError at the first block that is not what the card says; `finish` looks at the whole."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.splits: dict[str, _SplitSeen] = {}
        self.intense = False
        self.ids: set[str] = set()

    def check(self, split: str, block: Split) -> None:
        """Check one block of rows of `split`."""
        if split not in SPLITS:
            raise self._error(f"unknown split {split!r}", fix=f"a task has {', '.join(SPLITS)}")
        seen = self.splits.setdefault(split, _SplitSeen(counts=np.zeros(len(self.task.classes), np.int64)))
        self._check_lengths(split, block)
        self._check_images(split, block.images, seen)
        self._check_spacing(split, block)
        self._check_intensities(split, block, seen)
        seen.counts += self._counts(split, block)
        self._check_ids(split, block.ids)
        seen.rows += len(block)

    def finish(self) -> None:
        """Check what only the whole shows. Raises DataError."""
        for split in REQUIRED_SPLITS:
            if not self.splits.get(split, _SplitSeen()).rows:
                raise self._error(f"the {split} split is empty", fix="every task needs train, val and test images")
        self._check_classes()
        if self.intense and min(seen.lowest for seen in self.splits.values()) >= 0:
            what = "no intensity is below 0: these are no Hounsfield units, of which air has -1000 and fat -100"
            raise self._error(what, fix='leave intensities = "hu" out of [source]')

    def _check_lengths(self, split: str, block: Split) -> None:
        columns = {"images": block.images, "labels": block.labels, "groups": block.groups, "spacing": block.spacing}
        columns |= {"sizes": block.sizes, **block.strata}
        for name, column in columns.items():
            if column is not None and len(column) != len(block):
                raise self._error(f"{split} has {len(block):,} ids but {len(column):,} rows of {name}")

    def _check_images(self, split: str, images: np.ndarray, seen: _SplitSeen) -> None:
        if images.dtype != np.uint8:
            raise self._error(f"{split} images are {images.dtype}, expected uint8")
        if images.ndim not in (4, 5) or images.shape[-1] not in (1, 3):
            raise self._error(
                f"{split} images have shape {images.shape}",
                fix="expected (n, h, w, c) or (n, depth, h, w, c), c 1 or 3",
            )
        seen.shape = seen.shape or images.shape[1:]
        if images.shape[1:] != seen.shape:
            raise self._error(f"{split} images have shapes {seen.shape} and {images.shape[1:]}", fix="give 'size'")

    def _check_intensities(self, split: str, block: Split, seen: _SplitSeen) -> None:
        if (values := block.intensities) is None:
            return
        if values.dtype != np.float32 or values.shape != (*block.images.shape[:-1], 1):
            raise self._error(f"{split} intensities are {values.dtype} {values.shape}, expected float32 of each pixel")
        if not np.isfinite(values).all():
            raise self._error(f"{split} holds NaN or infinite intensities")
        self.intense = True
        seen.lowest = min(seen.lowest, float(values.min()))

    def _check_spacing(self, split: str, block: Split) -> None:
        spacing, masked = block.spacing, self.task.kind == "dense" and block.images.ndim == 5
        if masked and (spacing is None or np.isnan(spacing).any()):
            fix = "masks are scored in mm: files that say it, or spacing = [planes, rows, columns] in [source] of npz"
            raise self._error(f"{split} has volumes of an unknown spacing", fix=fix)
        if spacing is None:
            return
        if block.images.ndim != 5 or spacing.dtype != np.float64 or spacing.shape != (len(block), 3):
            raise self._error(f"{split} spacing is {spacing.dtype} {spacing.shape}, expected float64 (n, 3) of volumes")
        if (spacing <= 0).any():
            raise self._error(f"{split} has a spacing of {spacing.min():g} mm", fix="distances are above 0")

    def _counts(self, split: str, block: Split) -> np.ndarray:
        """Rows (masks: images) of the block in which each class occurs."""
        labels, k = block.labels, len(self.task.classes)
        if self.task.target == "mask":
            self._expect(split, labels, np.uint8, block.images.shape[:-1], k)
            return sum((np.bincount(mask.ravel(), minlength=k) > 0 for mask in labels), np.zeros(k, np.int64))
        if self.task.target == "multi-label":
            self._expect(split, labels, np.uint8, (len(block), k), 2)
            return labels.sum(0, dtype=np.int64)
        if self.task.target == "number":
            self._expect(split, labels, np.float64, (len(block),), None)
            seen = self.splits[split]
            seen.values = min(seen.values[0], float(labels.min())), max(seen.values[1], float(labels.max()))
            return np.array([len(labels)])
        if self.task.target == "survival":
            self._expect(split, labels, np.float64, (len(block), 2), None)
            times, events = labels.T
            if not (np.isfinite(times) & (times > 0) & np.isin(events, (0, 1))).all():
                raise self._error(f"{split} labels are not all a time above 0 and an event that is 0 or 1")
            return np.array([int(events.sum())])
        self._expect(split, labels, np.int64, (len(block),), k)
        return np.bincount(labels, minlength=k)

    def _expect(self, split: str, labels: np.ndarray, dtype: type, shape: tuple[int, ...], limit: int | None) -> None:
        what = "masks" if self.task.target == "mask" else "labels"
        if labels.shape != shape:
            raise self._error(f"{split} {what} have shape {labels.shape}, expected {shape}")
        if labels.dtype != dtype:
            raise self._error(f"{split} {what} are {labels.dtype}, expected {np.dtype(dtype)}")
        if limit is not None and labels.size and (labels.min() < 0 or labels.max() >= limit):
            wrong = int(labels.max() if labels.max() >= limit else labels.min())
            raise self._error(
                f"{split} {what} hold the value {wrong}, expected 0 to {limit - 1}",
                fix=f"the card names {len(self.task.classes)} classes",
            )

    def _check_ids(self, split: str, ids: np.ndarray) -> None:
        names = ids.tolist()
        fresh = set(names)
        if len(fresh) < len(names) or fresh & self.ids:
            twice = next(n for i, n in enumerate(names) if n in self.ids or n in names[:i])
            raise self._error(f"the id {twice!r} occurs twice (seen again in {split})")
        self.ids |= fresh

    def _check_classes(self) -> None:
        if self.task.target == "mask":
            return
        if self.task.target == "multi-label":
            for split, seen in self.splits.items():
                if np.isin(seen.counts, (0, seen.rows)).all():
                    what = f"each class is on all {split} images or on none"
                    raise self._error(what, fix="a score needs a class that is on some of them")
            return
        if self.task.target == "number":
            if same := [split for split, seen in self.splits.items() if seen.values[0] == seen.values[1]]:
                raise self._error(f"every {same[0]} image has the same number", fix="a score needs two")
            return
        if self.task.target == "survival":
            if none := [split for split, seen in self.splits.items() if not seen.counts[0]]:
                raise self._error(f"no case of {none[0]} had the event", fix="a score needs events in each split")
            return
        for split, seen in self.splits.items():
            if np.count_nonzero(seen.counts) < 2:
                only = self.task.classes[int(seen.counts.argmax())]
                raise self._error(f"every {split} image is of class {only!r}", fix="a score needs two classes")
        train = zip(self.task.classes, self.splits["train"].counts, strict=True)
        if missing := [name for name, count in train if count == 0]:
            raise self._error(f"no train image of class {', '.join(map(repr, missing))}", fix="correct 'classes'")

    def _error(self, what: str, fix: str | None = None) -> DataError:
        return DataError(what, where=f"task {self.task.name!r}", fix=fix)
