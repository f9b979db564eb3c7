"""`medssl data check`: what is wrong with a task's data, and what was done to its images. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.data.dataset import Split, TaskData
from bench.data.duplicates import look_at, pairs_across
from bench.data.images import read_image, read_mask
from bench.data.labels import to_mask
from bench.data.listed import ListedSource, Row, label_of
from bench.data.load import load_task, read_source
from bench.data.task import Task
from bench.errors import DataError, UserError

EXAMPLES = 10


@dataclass(frozen=True)
class Finding:
    """One thing that was found. A problem must be mended or lived with; a note says what was done or is odd."""

    severity: Literal["problem", "note"]
    kind: str
    message: str
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """All findings about one task, with the number of images of each split and class."""

    task: str
    findings: list[Finding]
    images: dict[str, int]
    classes: dict[str, dict[str, int]]
    """Split -> class -> images (for masks: images in which it occurs)."""

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.severity == "problem" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        return {**asdict(self), "ok": self.ok}


def check_task(task: Task, *, folder: Path | None = None, accept_checksum: bool = False) -> Report:
    """Look at every file and image of a task; bad data become findings, never errors."""
    findings: list[Finding] = []
    try:
        source, start = read_source(task), Path(folder or ".")
        if isinstance(source, ListedSource):
            findings += check_files(source, task, start)
        if any(finding.severity == "problem" for finding in findings):
            return Report(task.name, findings, {}, {})
        data = load_task(task, folder=folder, accept_checksum=accept_checksum)
    except UserError as error:
        return Report(task.name, [*findings, Finding("problem", "unusable", str(error))], {}, {})
    counts = {name: class_counts(task, split.labels) for name, split in data.splits.items()}
    findings += [*_overridden(data), *check_splits(data.splits, counts)]
    findings += [Finding("note", "conversion", note) for note in data.notes if " images: " in note]
    return Report(task.name, findings, {name: len(split) for name, split in data.splits.items()}, counts)


def check_files(source: ListedSource, task: Task, folder: Path) -> list[Finding]:
    """Missing and unreadable files, unknown classes, masks of another size, of a source that lists files."""
    rows = [row for part in source.listed(task, folder).values() for row in part]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda row: _problem_of(row, source, task), rows))
    kinds: dict[str, list[str]] = {}
    for kind, message in filter(None, results):
        kinds.setdefault(kind, []).append(message)
    what = {
        "missing": "files are missing", "unreadable": "files cannot be read", "label": "labels are not of the card",
        "mask-size": "masks are not of the size of their image", "mask-values": "masks hold other values than the card",
    }  # fmt: skip
    return [
        Finding("problem", kind, f"{len(messages):,} of {len(rows):,} {what[kind]}", messages[:EXAMPLES])
        for kind, messages in sorted(kinds.items())
    ]


def _problem_of(row: Row, source: ListedSource, task: Task) -> tuple[str, str] | None:
    """Kind and message of the first thing wrong with one image, or None."""
    for path in (row.image, row.target):
        if isinstance(path, Path) and not path.is_file():
            return "missing", str(path)
    try:
        image = read_image(row.image, source.window, Counter())
        mask = read_mask(row.target) if isinstance(row.target, Path) else None
    except DataError as error:
        return "unreadable", str(error)
    try:
        if mask is None:
            label_of(str(row.target), task, row.id)
            return None
        if mask.shape != image.shape[:2]:
            (h, w), (ih, iw) = mask.shape, image.shape[:2]
            return "mask-size", f"{row.target}: mask {w} x {h}, image {iw} x {ih}"
        to_mask(mask[None], len(task.classes), source.mask, where=row.target)
    except DataError as error:
        return ("label" if mask is None else "mask-values"), str(error)
    return None


def check_splits(splits: Mapping[str, Split], counts: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    """Absent classes, patients in several splits, duplicates, and masks without foreground."""
    findings = []
    for name, classes in counts.items():
        if absent := [label for label, n in classes.items() if n == 0]:
            findings.append(Finding("problem", "absent-class", f"{name} has no image of {len(absent)} classes", absent))
    findings += _shared_patients(splits)
    findings += _duplicates(splits)
    for name, split in splits.items():
        if split.labels.ndim == 3 and (empty := _empty_masks(split.labels)):
            findings.append(Finding("note", "empty-mask", f"{empty:,} {name} images have no foreground"))
    return findings


def class_counts(task: Task, labels: np.ndarray) -> dict[str, int]:
    """Images of each class; for masks those in which the class occurs; for multi-label those that have the label."""
    k = len(task.classes)
    if labels.ndim == 3:
        counts = sum((np.bincount(np.ravel(mask), minlength=k) > 0 for mask in labels), np.zeros(k, np.int64))
    else:
        counts = labels.sum(0, dtype=np.int64) if labels.ndim == 2 else np.bincount(labels, minlength=k)
    return dict(zip(task.classes, counts.tolist(), strict=True))


def _shared_patients(splits: Mapping[str, Split]) -> list[Finding]:
    names = [name for name, split in splits.items() if split.groups is not None]
    findings = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = sorted(set(splits[first].groups.tolist()) & set(splits[second].groups.tolist()))
            if shared:
                message = f"{len(shared):,} patients are in {first} and {second}"
                findings.append(Finding("problem", "shared-patient", message, shared[:EXAMPLES]))
    return findings


def _duplicates(splits: Mapping[str, Split]) -> list[Finding]:
    looks = {name: look_at(split) for name, split in splits.items()}
    pairs, findings = pairs_across(splits, looks), []
    for exact, kind in ((True, "exact-duplicate"), (False, "near-duplicate")):
        chosen = [pair for pair in pairs if pair.exact is exact]
        if chosen:
            odd = sum(pair.same_label is False for pair in chosen)
            message = f"{len(chosen):,} {'exact' if exact else 'near'} duplicates across splits"
            message += f", {odd:,} of them with different labels" if odd else ""
            shown = [f"{pair.first} = {pair.second}" for pair in chosen[:EXAMPLES]]
            findings.append(Finding("problem", kind, message, shown))
    for name, look in looks.items():
        if look.repeats:
            findings.append(Finding("note", "repeated", f"{look.repeats:,} {name} images repeat another one of {name}"))
    return findings


def _empty_masks(masks: np.ndarray) -> int:
    return sum(not np.any(mask) for mask in masks)


def _overridden(data: TaskData) -> Sequence[Finding]:
    if not data.checksum_override:
        return ()
    return [Finding("note", "checksum", "the file's checksum is not the card's, and was accepted by a flag")]
