"""A task's images and labels in memory or memory-mapped, whatever source they came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from bench.data.task import Task
from bench.files import sha256_arrays
from bench.strict import Strict
from bench.words import TESTS

if TYPE_CHECKING:
    from bench.data.findings import DataFinding
    from bench.data.held import HeldFile
    from bench.data.repositories import Repository


@dataclass(frozen=True)
class Split:
    """One split of a task; every array has n rows.

    images: uint8 (n, h, w, c) with c in {1, 3}; a volume task has (n, depth, h, w, c). May be a memory map.
    labels: binary, multi-class, ordinal: int64 (n,), class index; multi-label: uint8 (n, k), 0 or 1;
        mask: uint8 (n, h, w), or (n, depth, h, w), class index of each pixel, 0 is background;
        number: float64 (n,); survival: float64 (n, 2), a time above 0, and 1 where the event happened then, 0 where the
        case was censored.
    ids: str (n,), unique within the task, e.g. "test/17".
    groups: str (n,) patient or case, or None when unknown. Rows of a group are resampled and split together.
    strata: name -> (n,) array describing each image (e.g. "contrast": float64), for analyses by stratum.
    spacing: float64 (n, 3), mm between planes, rows and columns of each volume; None where it is not known.
    sizes: int64 (n,), of bags, whose images are (n, m, h, w, c): how many of the m are images; the others are black.
    intensities: float32, as the images with one channel: their Hounsfield units, where the card keeps them.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray | None = None
    strata: Mapping[str, np.ndarray] = field(default_factory=dict)
    spacing: np.ndarray | None = None
    sizes: np.ndarray | None = None
    intensities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, chosen: np.ndarray) -> Split:
        """Some of the rows, int (m,): every array with them."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "strata"}
        part: dict[str, Any] = {name: None if array is None else array[chosen] for name, array in arrays.items()}
        return Split(**part, strata={name: values[chosen] for name, values in self.strata.items()})


def evenly(n: int, most: int) -> np.ndarray:
    """Numbers of at most `most` of `n` rows, evenly spread from the first to the last, int (m,)."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


@dataclass(frozen=True)
class TaskData:
    """A task with its splits. `tests` holds "test" and, where the task has one, "test-shift" (a second site)."""

    task: Task
    train: Split
    val: Split
    tests: Mapping[str, Split]
    sha256: str
    """Hash of all arrays of all splits (bench.files.sha256_arrays)."""
    checksum_override: bool = False
    """True when a file with another checksum than the card's was accepted by an explicit flag."""
    findings: tuple[DataFinding, ...] = ()
    """What was noticed, or done to the images, while they were prepared."""
    store: str = ""
    """Name of the prepared copy: equal names, equal arrays."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Hash of each array where the prepared copy holds them."""
    pixels: np.ndarray | None = None
    """`test_pixels` where the masks are not at hand."""

    @classmethod
    def of(cls, task: Task, splits: Mapping[str, Split], sha256: str, **more: Any) -> Self:
        """The task with its splits by name."""
        tests = {name: splits[name] for name in TESTS if name in splits}
        return cls(task, splits["train"], splits["val"], tests, sha256, **more)

    @property
    def notes(self) -> tuple[str, ...]:
        """The findings as plain sentences."""
        return tuple(finding.message for finding in self.findings)

    @property
    def splits(self) -> dict[str, Split]:
        """Every split by name: train, val, and the tests."""
        return {"train": self.train, "val": self.val, **self.tests}

    @property
    def has_images(self) -> bool:
        """False for labels alone (bench.submissions.labels)."""
        return self.train.images.size > 0

    @property
    def has_labels(self) -> bool:
        """False where the masks of a dense task are left out, too."""
        return self.train.labels.size > 0

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 of each array by its name, e.g. "train.images"."""
        return self.known or digests_of(arrays_of(self.splits))

    @cached_property
    def test_pixels(self) -> np.ndarray:
        """Pixels of each class in each mask of "test", int64 (n, classes)."""
        if self.pixels is not None:
            return self.pixels
        masks, k = self.tests["test"].labels, len(self.task.classes)
        return np.reshape([np.bincount(mask.ravel(), minlength=k) for mask in masks], (len(masks), k))


def arrays_of(splits: Mapping[str, Split]) -> dict[str, np.ndarray]:
    """Every array of every split under its name in the store, e.g. "train.images"."""
    found: dict[str, np.ndarray] = {}
    for name, split in splits.items():
        arrays = {column: array for column, array in vars(split).items() if column != "strata" and array is not None}
        found |= {f"{name}.{column}": array for column, array in arrays.items()}
        found |= {f"{name}.strata.{stratum}": values for stratum, values in split.strata.items()}
    return found


def digests_of(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """SHA-256 of each array, with its type and shape."""
    return {name: sha256_arrays({"": array}) for name, array in arrays.items()}


class TaskSource(Strict, ABC):
    """Schema and reader of one kind of source: the `[source]` table of a task card.

    A child is one module of `bench/data/sources` with `SOURCE = Child`; it sets `name` and writes `load`.
    `load` returns splits as they are; `bench.data.load` checks them against the card and hashes them.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    """Raised when `load` would give other arrays for the same input: the prepared copy is then made anew."""
    unread: ClassVar[frozenset[str]] = frozenset()
    """Keys that say where the input is, not how it is read: its identity stands for them."""
    later: ClassVar[frozenset[str]] = frozenset()
    """Keys that were added since; where a card does not say them, its prepared copy keeps its name."""
    reader: str

    @abstractmethod
    def load(self, task: Task, folder: Path) -> dict[str, Split]:
        """Splits by name ("train", "val", "test", maybe "test-shift"). Relative paths start at `folder`.

        Raises DataError when files are missing or are not what the card says.
        """

    def held(self, task: Task) -> HeldFile | None:
        """The one file behind the card, where there is one that can be fetched or copied."""
        return None

    def needs(self, task: Task, folder: Path) -> Mapping[Repository, list[str]]:
        """The files it reads out of public repositories, by repository. Raises DataError."""
        return {}

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> SourceDigest:
        """What the arrays depend on beside `version`; equal identities share one prepared copy.

        By default the card alone (images made by procedure); a source that reads files returns their checksum.
        Raises DataError when a file is missing, or has another checksum than the card's and is not accepted.
        """
        return SourceDigest(task.sha256)

    def stream(self, task: Task, folder: Path, remarks: Counter[str]) -> Mapping[str, Iterable[Split]]:
        """The splits as blocks of rows, each block a small Split, so that a large set never is in memory whole.

        remarks: counts what is done to images on the way ("16-bit, stretched ...": number of images).
        """
        return {name: [split] for name, split in self.load(task, folder).items()}


@dataclass(frozen=True, slots=True)
class SourceDigest:
    """Fingerprint of a source's input; `override` when it is not the one the card asks for."""

    digest: str
    override: bool = False
