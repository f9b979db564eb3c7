"""What a metric is: a function of one output and the labels, under case weights; one file of `bench/metrics/set`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from bench.metrics.products import Weights
from bench.metrics.truth import Truth
from bench.words import Target

if TYPE_CHECKING:  # a card names its metric, so cards are read with the metrics and not the other way about
    from bench.data.task import Task

T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """One output beside the labels of its split, under case weights: all that a metric sees.

    output: as in `bench.protocols.base.Prediction.outputs`; labels: as in `bench.data.dataset.Split`. weights: (r, n),
    how often each case counts in each replicate. temperature: of the calibration error, None where none was fitted.
    strata: name -> bool (n,), parts of the split by how visible the finding is. names: the metrics that are computed.
    spacing: float64 (n, 3), mm between planes, rows and columns, where the labels are masks of volumes; else None.
    truth: what other comparisons with these labels found in them, and this one adds to.
    """

    task: Task
    output: np.ndarray
    labels: np.ndarray
    weights: Weights
    scoring: int
    names: frozenset[str] = frozenset()
    temperature: float | None = None
    strata: Mapping[str, np.ndarray] = field(default_factory=dict)
    spacing: np.ndarray | None = None
    truth: Truth | None = field(default=None, repr=False, compare=False)
    _shared: dict[Callable[[Comparison], Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, compute: Callable[[Comparison], T]) -> T:
        """`compute(self)`, computed when the first metric asks for it and kept for the others."""
        if compute not in self._shared:
            self._shared[compute] = compute(self)
        return self._shared[compute]

    def part(self, keep: np.ndarray) -> Comparison:
        """The comparison on the cases `keep`, bool (n,), alone."""
        spacing = None if self.spacing is None else self.spacing[keep]
        parts = {"output": self.output[keep], "labels": self.labels[keep], "weights": self.weights.T[keep].T}
        return replace(self, **parts, spacing=spacing, strata={}, truth=None, _shared={})

    @property
    def several(self) -> bool:
        """Whether each case may carry several labels."""
        return self.task.target == "multi-label"

    @property
    def cubic_mm(self) -> np.ndarray | None:
        """Of each volume, float64 (n,); None of flat images."""
        return None if self.spacing is None else self.labels[0].size * self.spacing.prod(axis=1)

    @property
    def undefined(self) -> np.ndarray:
        """What a metric returns where it does not apply: NaN in each replicate, (r,)."""
        return np.full(len(self.weights), np.nan)


class Metric(ABC):
    """A metric of the set. A child is one module of `bench/metrics/set` with `METRIC = Child()`."""

    name: ClassVar[str]
    """As in records, e.g. "auroc"."""
    title: ClassVar[str]
    """As people read it, with its unit where it has one."""
    targets: ClassVar[tuple[Target, ...]]
    """Kinds of label it is defined for."""
    primary_for: ClassVar[tuple[Target, ...]] = ()
    """Kinds of label of the tasks whose primary metric it may be; such a metric has a `chance`."""
    higher_is_better: ClassVar[bool] = True
    values: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """The lowest and the highest there are; a record that states another is on no board."""
    draws_are_cases: ClassVar[bool] = True
    """Whether a case that a replicate draws twice counts as two; not so where a metric allows for its own error."""
    since: ClassVar[int] = 1
    """The scoring version that brought it."""
    until: ClassVar[int | None] = None
    """The last scoring version that holds it, None for as long as there is no such."""
    changes: ClassVar[Mapping[int, str]] = {}
    """Scoring version -> what it changed in the definition."""

    @abstractmethod
    def value(self, given: Comparison) -> np.ndarray:
        """The metric in each replicate, float64 (r,); NaN where it is undefined."""

    def parts(self, given: Comparison) -> dict[str, np.ndarray]:
        """Its breakdown by class, size or stratum: what stands in brackets after the name -> float64 (r,)."""
        return {}

    def chance(self, classes: int) -> float:
        """Expected value of a guess on a task of so many classes."""
        raise NotImplementedError(f"{self.name} has no chance level")

    def of_candidates(self, task: Task, probability: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The metric of many outputs at once, for choosing between them: float64 (m,), NaN where undefined.

        probability: (m, n, k); labels as in `Split`. A metric with a faster way than one after the other overrides it.
        """
        ones, now = np.ones((1, len(labels)), np.uint8), frozenset({self.name})
        return np.array([self.value(Comparison(task, p, labels, ones, self.since, now))[0] for p in probability])

    def held_by(self, scoring: int) -> bool:
        """Whether it belongs to the set of that version."""
        return self.since <= scoring and (self.until is None or scoring <= self.until)
