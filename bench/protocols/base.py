"""The contract of a protocol: features and labels in, test predictions out, never a test label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch

from bench.budget import Budget
from bench.data.budgets import Subset
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.encoders.features import Features
from bench.features.resident import Resident
from bench.files import canonical_json, sha256_text
from bench.words import Kind, Target

BoardKind = Literal["frozen", "fine-tune", "robustness", "zero-shot", "diagnostic"]
"""What the numbers of a protocol stand for: only frozen ones are ranked together."""


BLOCKS = 1 << 25
"""Bytes of the blocks that protocols work in, whatever the task."""


@dataclass(frozen=True)
class Labelled:
    """Features, labels and images of the train or the validation split (see `bench.data.dataset.Split`)."""

    features: Features
    labels: np.ndarray
    groups: np.ndarray | None
    images: np.ndarray
    sizes: np.ndarray | None = None
    """Images of each bag, of a task of bags."""
    spacing: np.ndarray | None = None
    """Of volumes, where it is known."""


@dataclass(frozen=True)
class Unlabelled:
    """Features and images of a test split, and the spacing of its volumes. There is no field for labels: a protocol
    cannot read them."""

    features: Features
    images: np.ndarray
    spacing: np.ndarray | None = None
    sizes: np.ndarray | None = None


@dataclass(frozen=True)
class Problem:
    """Everything a protocol may see of one encoder x task.

    `mask_size` is (h, w), or (depth, h, w), of the masks of a dense task, else None. `encoder` is for protocols that
    train it or feed it changed images; frozen protocols use `features` alone. `resident` puts features where solvers
    compute, once for all units: protocols read them through it (`problem.resident(features.vectors).rows(...)`).
    """

    task: Task
    train: Labelled
    val: Labelled
    tests: Mapping[str, Unlabelled]
    mask_size: tuple[int, ...] | None = None
    encoder: Encoder | None = None
    resident: Resident = field(default_factory=Resident)
    together: bool = False
    """Whether a solver may take several subsets at once, which on a GPU is faster. On a CPU it is not done: the last
    digits of one would depend on which others are there, and a run that goes on would not be the one broken off."""

    @property
    def device(self) -> torch.device:
        """Where solvers and neighbours compute."""
        return self.resident.device


class UnitSizes(NamedTuple):
    """What the memory of a unit depends on.

    learnt: labelled images that it learns from. val: images of the validation split at 100 %, below that 0.
    tests: images of each test split, each of so many `pixels` (bytes). parts, width: vectors of an image that it reads
    (cells of the grid, images of the bag, the one global vector) and their length. together: units of the protocol that
    may be solved side by side, on a GPU.
    """

    task: Task
    learnt: int
    val: int
    tests: tuple[int, ...]
    pixels: int
    parts: int
    width: int
    together: int = 1

    @property
    def largest_test(self) -> int:
        """Images of the largest test split."""
        return max(self.tests)


@dataclass(frozen=True)
class Prediction:
    """What one unit predicts for each test split.

    outputs: split name, or that of a changed copy of it (see `copy_of`) ->
        global tasks: float32 (n, k) probabilities (binary: k = 2; multi-label: one column a
        label, rows need not sum to 1), or (n, 1) numbers; dense tasks: uint8, the class index
        of each pixel of a mask, (n, h, w) or (n, depth, h, w).
    chosen: hyper-parameters that were selected, e.g. {"C": 0.01}; "temperature" is what probabilities are divided
        by (as logits) before the calibration error, fitted on held-out images within the budget.
    warnings: one plain sentence each.
    """

    subset: Subset
    outputs: Mapping[str, np.ndarray]
    chosen: Mapping[str, float | int | str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def copy_of(split: str, change: str) -> str:
    """The output on a changed copy of a test split.

    >>> copy_of("test", "noise-3"), base_split("test~noise-3"), base_split("test-shift")
    ('test~noise-3', 'test', 'test-shift')
    """
    return f"{split}~{change}"


def base_split(output: str) -> str:
    """The test split whose labels belong to an output."""
    return output.partition("~")[0]


class Protocol(ABC):
    """A frozen, versioned way from features and labels to test predictions.

    A child is one module of `bench/protocols` with `PROTOCOL = Child()`. It sets the class variables and writes
    `predict`; subsets of one encoder x task come together so that solvers can share their matrix products.
    """

    name: str
    """With its version, e.g. "linear-v1"; a changed number is a new version."""
    title: str
    kind: ClassVar[Kind]
    board: BoardKind = "frozen"
    params: Mapping[str, Any]
    """Every number of the protocol; part of the fingerprint."""
    targets: ClassVar[tuple[Target, ...]] = ("binary", "multi-class", "multi-label", "ordinal", "mask")
    """Kinds of label it is defined for."""
    needs_grid: ClassVar[bool] = False
    """Whether it reads the patch grid although its tasks are global (a dense protocol always has one)."""
    reads_text: ClassVar[bool] = False
    """Whether it reads the prompts of the task with the encoder's text tower."""
    takes: ClassVar[tuple[str, ...]] = ("%", "k=", "n=")
    """Kinds of budget it is defined for: label fractions, shots of each class, numbers of images; "k=0": no labels."""
    lazy: ClassVar[bool] = False
    """Whether it learns nothing beforehand: its work is done for each test image, as a lazy learner's."""
    seeded: ClassVar[bool] = False
    """Whether the result still depends on the seed at budget 100% (SGD heads, sampled memories)."""

    bags: ClassVar[Literal["too", "only", "never"]] = "too"
    """Whether it is defined for tasks of bags, by the vector of the whole bag: too; by its images: only; or never."""

    volumes: ClassVar[Literal["too", "only", "never"]] = "too"
    """Whether it is defined for tasks of volumes; a protocol of global vectors sees no difference."""

    @property
    def reads_grid(self) -> bool:
        """Whether its units are computed on dense features."""
        return self.kind == "dense" or self.needs_grid

    def refuses(self, task: Task) -> str | None:
        """Why this protocol does not apply to `task`, or None."""
        if task.target not in self.targets:
            return f"{self.name} is not for the target {task.target!r}"
        if task.bags and (self.bags == "never" or self.reads_grid):
            return f"{self.name} is not for bags of images"
        if not task.bags and self.bags == "only":
            return f"{self.name} is for bags of images"
        if task.kind != self.kind:
            return f"{self.name} is for {self.kind} tasks"
        if (task.volume and self.volumes == "never") or (not task.volume and self.volumes == "only"):
            return f"{self.name} is for {'volumes' if self.volumes == 'only' else 'flat images'}"
        return None

    def refuses_budget(self, budget: str) -> str | None:
        """Why this protocol is not defined at `budget`, or None."""
        if Budget(budget).kind in self.takes:
            return None
        return f"{self.name} is defined for budgets with {' or '.join(repr(kind) for kind in self.takes)}"

    def outputs(self, tests: Sequence[str]) -> list[str]:
        """Names of the outputs of a unit, given a task's test splits; changed copies are named by `copy_of`."""
        return list(tests)

    def learns_from(self, images: int, cells: int) -> int:
        """Of so many labelled images with so many cells in a grid, how many a fit holds; beyond, it takes no longer."""
        return images

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """Memory to expect of a unit, beside the features: two float64 copies of the vectors of a test split, and
        blocks that are worked in. What a child counts beyond what its code says was measured."""
        return 16 * sizes.largest_test * sizes.width + BLOCKS

    @abstractmethod
    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        """One prediction for each subset, in order. Deterministic; equal whatever the thread count (1e-4)."""

    @property
    def sha256(self) -> str:
        """Hash of name and params."""
        return self._hash({})

    def sha256_on(self, task: Task) -> str:
        """Hash of what is computed on a task: `sha256`, unless results on such tasks were wrong before (`mended`)."""
        return self._hash(self.mended(task))

    def mended(self, task: Task) -> dict[str, str]:
        """Faults that were mended since results on such a task were first made, which are not to be told from later
        ones by name and params: what was mended -> how. Results from before are made again."""
        return {}

    def _hash(self, more: dict[str, str]) -> str:
        return sha256_text(canonical_json({"name": self.name, "params": dict(self.params), **more}))
