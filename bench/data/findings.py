"""What is worth knowing about a task's prepared data: leaks, duplicates, absent classes, odd masks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bench.data.dataset import Split
from bench.data.duplicates import Look, look_at, pairs_across
from bench.data.task import Task, folded
from bench.words import SCALARS, TESTS

EXAMPLES = 10
NARROW = 32
"""Grey values of which the images of a task use more, all together."""
FEW = 6
"""Cases of a test split, below which a bootstrap over them says too little of how scores vary."""
FAR = 10
"""Interquartile ranges beyond the quartiles at which a number is odd: an exponential law has one in 200,000 there."""
MOSTLY = 0.5
"""Share of foreground pixels above which a two-class mask may be upside down."""


@dataclass(frozen=True)
class DataFinding:
    """One thing that was found. A problem must be mended or lived with; a note says what was done or is odd."""

    severity: Literal["problem", "note"]
    kind: str
    message: str
    examples: list[str] = field(default_factory=list)


def findings_of(task: Task, splits: Mapping[str, Split]) -> list[DataFinding]:
    """Everything found in the splits of a task; each image is looked at once."""
    looks = {name: look_at(split) for name, split in splits.items()}
    return [
        *_absent_classes(task, splits),
        *_shared_patients(splits),
        *_alike_patients(splits),
        *_few_cases(splits),
        *_odd_numbers(task, splits),
        *_unused_range(looks),
        *_duplicates(task, splits, looks),
        *_odd_masks(task, splits),
    ]


def class_counts(task: Task, labels: np.ndarray) -> dict[str, int]:
    """Images of each class; for masks those in which the class occurs; for multi-label those that have the label; for
    survival those who had the event."""
    k = len(task.classes)
    if task.target == "number":
        return {task.classes[0]: len(labels)}
    if task.target == "survival":
        return {task.classes[0]: int((labels[:, 1] == 1).sum())}
    if task.target == "mask":
        counts = sum((np.bincount(np.ravel(mask), minlength=k) > 0 for mask in labels), np.zeros(k, np.int64))
    else:
        counts = labels.sum(0, dtype=np.int64) if labels.ndim == 2 else np.bincount(labels, minlength=k)
    return dict(zip(task.classes, counts.tolist(), strict=True))


def _absent_classes(task: Task, splits: Mapping[str, Split]) -> Iterator[DataFinding]:
    for name, split in splits.items():
        counts = class_counts(task, split.labels)
        if absent := [label for label in task.classes[task.kind == "dense" :] if counts[label] == 0]:
            message = f"{name} has no image of {len(absent)} {'class' if len(absent) == 1 else 'classes'}"
            yield DataFinding("problem", "absent-class", f"{message}: {', '.join(absent[:EXAMPLES])}")


def _shared_patients(splits: Mapping[str, Split]) -> Iterator[DataFinding]:
    patients = {name: set(split.groups.tolist()) for name, split in splits.items() if split.groups is not None}
    names = list(patients)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = sorted(patients[first] & patients[second])
            if shared:
                message = f"{len(shared):,} patients are in {first} and {second}"
                message += ": scores are too high" if second in TESTS else ""
                yield DataFinding("problem", "shared-patient", message, shared[:EXAMPLES])


def _alike_patients(splits: Mapping[str, Split]) -> Iterator[DataFinding]:
    """Patients whose names differ in zeros, case, blanks or a side alone: "1" and "01", "P-7" and "p7_L"."""
    found: dict[str, dict[str, str]] = {}
    for name, split in splits.items():
        if split.groups is not None:
            for patient in np.unique(split.groups[split.groups != split.ids]).tolist():
                found.setdefault(_plain(patient), {}).setdefault(patient, name)
    pairs = [tuple(same.items()) for same in found.values() if len(same) > 1]
    if not pairs:
        return
    apart = any(len({split for _, split in pair}) > 1 for pair in pairs)
    shown = [" = ".join(f"{patient!r} ({split})" for patient, split in pair) for pair in pairs[:EXAMPLES]]
    message = f"{len(pairs):,} patients are spelled in several ways, each counted as another patient"
    message += ": if they are the same, some are in several splits" if apart else ""
    yield DataFinding("problem" if apart else "note", "alike-patient", message, shown)


def _plain(patient: str) -> str:
    """A name without case, zeros before a number, what stands between letters and a number, and a side behind one."""
    name = re.sub(r"(?<=\d)[\s._-]*(left|right|od|os|l|r)$", "", folded(patient))
    name = re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", name)
    return re.sub(r"(?<=[^\W\d])[\s._-]+(?=\d)", "", name)


def _odd_numbers(task: Task, splits: Mapping[str, Split]) -> Iterator[DataFinding]:
    """Numbers far from all others: -999 and 9999 are how some programs write that a value is missing."""
    if task.target not in SCALARS:
        return
    values = np.concatenate([np.reshape(split.labels, (len(split), -1))[:, 0] for split in splits.values()])
    low, high = np.percentile(values, (25, 75))
    far = (values < low - FAR * (high - low)) | (values > high + FAR * (high - low))
    if high > low and far.any():
        shown = ", ".join(f"{value:g}" for value in np.unique(values[far])[:5])
        message = f"{int(far.sum()):,} of {len(values):,} values of {task.classes[0]} lie far from the others: {shown}"
        yield DataFinding("note", "odd-number", f"{message}; do they stand for a missing one?")


def _few_cases(splits: Mapping[str, Split]) -> Iterator[DataFinding]:
    """Tests of so few patients, or images where no patients are known, that scores say little."""
    for name in (name for name in TESTS if name in splits):
        groups, what = splits[name].groups, "patients"
        if groups is None:
            groups, what = splits[name].ids, "images"
        n = len(set(groups.tolist()))
        if n == 1 and what == "patients":
            message = f"every {name} image is of one patient: scores have no interval"
            yield DataFinding("problem", "one-patient", message)
        elif n < FEW:
            message = f"{name} is of {n} {what}: scores say little, and intervals over so few are too narrow"
            yield DataFinding("note", "few-cases", message)


def _unused_range(looks: Mapping[str, Look]) -> Iterator[DataFinding]:
    """Images of one depth shown through the window of another are black, or white, or nearly so."""
    low, high = min(look.low for look in looks.values()), max(look.high for look in looks.values())
    if high - low < NARROW:
        message = f"all images lie between {low} and {high} of 0 to 255: are they as deep as 'window' in [source] says?"
        yield DataFinding("problem", "unused-range", message)


def _duplicates(task: Task, splits: Mapping[str, Split], looks: Mapping[str, Look]) -> Iterator[DataFinding]:
    """Drawn images are of one kind and may look alike; no two are of one patient, so near ones are no leak."""
    pairs = pairs_across(splits, looks)
    for exact, kind in ((True, "exact-duplicate"), *(() if task.synthetic else ((False, "near-duplicate"),))):
        chosen = [pair for pair in pairs if pair.exact is exact]
        if chosen:
            odd = sum(pair.same_label is False for pair in chosen)
            message = f"{len(chosen):,} {'exact' if exact else 'near'} duplicates across splits"
            message += f", {odd:,} of them with different labels" if odd else ""
            shown = [f"{pair.first} = {pair.second}" for pair in chosen[:EXAMPLES]]
            yield DataFinding("problem", kind, message, shown)
    for name, look in looks.items():
        if look.repeats:
            yield DataFinding("note", "repeated", f"{look.repeats:,} {name} images repeat another one of {name}")


def _odd_masks(task: Task, splits: Mapping[str, Split]) -> Iterator[DataFinding]:
    if task.kind != "dense":
        return
    for name, split in splits.items():
        shares = np.array([np.count_nonzero(mask) / mask.size for mask in split.labels])
        if empty := int((shares == 0).sum()):
            yield DataFinding("note", "empty-mask", f"{empty:,} {name} images have no foreground")
        if name == "train" and shares.size and (shares == 1).all():
            message = f"no training mask has a pixel of {task.classes[0]!r}: do the classes start at 1?"
            yield DataFinding("note", "no-background", message)
        elif name == "train" and len(task.classes) == 2 and shares.mean() > MOSTLY:
            message = f"the foreground fills {shares.mean():.0%} of the training images: is the mask upside down?"
            yield DataFinding("note", "mostly-foreground", message)
