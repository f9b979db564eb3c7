"""Images made by procedure (`bench.phantoms`): nothing to download, exact masks, always labelled synthetic."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from bench.data.dataset import Split, TaskSource, arrays_of
from bench.data.task import Task
from bench.errors import CardError, DataError
from bench.files import sha256_arrays
from bench.phantoms._random import stream
from bench.phantoms.base import Aim
from bench.phantoms.generate import PhantomPlan, modalities, split_of
from bench.strict import Sha256

Count = Annotated[int, Field(ge=1, le=100_000)]


class PhantomSource(TaskSource):
    """A phantom task: what it asks for, the seed, and the number of images of each split.

    The modality is the card's. `shift` images of a second site make the split "test-shift". `null` shuffles the
    labels of each split with that seed, whole patients together: a task on which nothing can be learnt, for tests of
    the statistics. `sha256` is the hash of all arrays (`TaskData.sha256`); without it nothing is checked.
    """

    name: ClassVar[str] = "phantom"
    version: ClassVar[str] = "3"
    reader: Literal["phantom"]
    aim: Aim
    seed: Annotated[int, Field(ge=0, le=2**31)]
    train: Count
    val: Count
    test: Count
    shift: Annotated[int, Field(ge=0, le=100_000)] = 0
    null: Annotated[int, Field(ge=0, le=2**31)] | None = None
    sha256: Sha256 | None = None

    def load(self, task: Task, folder: Path) -> dict[str, Split]:
        """Draw every split. Raises CardError when card and phantom disagree, DataError on another checksum."""
        self._check_card(task)
        splits = {name: self.drawn(task, name, n) for name, n in counts_of(self).items()}
        if self.null is not None:
            splits = {name: shuffled(split, self.null, name) for name, split in splits.items()}
        check_sum(task, arrays_of(splits), self.sha256)
        return splits

    def drawn(self, task: Task, split: str, n: int, *, jobs: int | None = None) -> Split:
        """`n` images of a split, as the phantom draws them (`split_of`); under another name they are others."""
        return Split(**vars(split_of(PhantomPlan(task.modality, self.aim, self.seed), split, n, jobs=jobs)))

    def _check_card(self, task: Task) -> None:
        where = f"task {task.name!r}"
        if task.modality not in modalities():
            raise CardError(f"no phantom of modality {task.modality!r}", where=where, fix=", ".join(modalities()))
        check_synthetic(task, modalities()[task.modality].classes(self.aim), task.modality)


class Counted(Protocol):
    """A source of images made by procedure: how many of each split."""

    train: int
    val: int
    test: int
    shift: int


def counts_of(source: Counted) -> dict[str, int]:
    """Split -> how many; `shift` of a second site are "test-shift", where there are any."""
    counts = {"train": source.train, "val": source.val, "test": source.test, "test-shift": source.shift}
    return {name: n for name, n in counts.items() if n}


def check_synthetic(task: Task, classes: Sequence[str], modality: str) -> None:
    """Raise CardError when a card is not that of a phantom with these classes."""
    where = f"task {task.name!r}"
    if task.classes != list(classes):
        raise CardError("'classes' are not those of the phantom", where=where, fix=f"use {list(classes)}")
    if task.modality != modality:
        raise CardError(f"the phantom is of modality {modality!r}", where=where)
    if not task.synthetic:
        raise CardError("'synthetic' must be true for a phantom", where=where)


def check_sum(task: Task, arrays: Mapping[str, np.ndarray], sha256: str | None) -> None:
    """Raise DataError when the arrays of a phantom are not those of its card; None is not checked."""
    found = sha256_arrays(arrays)
    if sha256 not in (None, found):
        raise DataError(
            f"the phantom images have checksum {found[:12]}…, the card says {sha256[:12]}…",
            where=f"task {task.name!r}",
            fix="scores would not be comparable; use the pinned versions of constraints.txt, and report this",
        )


def shuffled(split: Split, seed: int, name: str) -> Split:
    """`split` with labels and strata handed to other images; the images of a patient stay together."""
    groups = split.ids if split.groups is None else split.groups
    _, first, size = np.unique(groups, return_index=True, return_counts=True)
    rng = stream("null", seed, name)
    rows = np.empty(len(split), np.int64)
    for count in np.unique(size):
        blocks = np.sort(first[size == count])[:, None] + np.arange(count)
        rows[blocks] = blocks[rng.permutation(len(blocks))]
    strata = {key: values[rows] for key, values in split.strata.items()}
    return replace(split, labels=split.labels[rows], strata=strata)


SOURCE = PhantomSource
