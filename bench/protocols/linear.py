"""linear-v2: logistic regression on the global vector, solved to convergence.

Features are z-scored by the training rows and clipped at 10: a feature that is nonzero in one training row of 467 has
a z-score in the thousands on other images, and one such image would decide its own prediction. Multinomial (one-vs-rest
for several labels) with an L2 penalty, C from 12 decades: chosen by the primary metric, on the validation split at
100 %, by cross-validation inside the labelled subset below that. Folds of a few images tell decades of C apart by
chance, so there the C nearest to 0.01 is taken whose mean is within one standard error of the best (the rule of
Breiman et al. 1984, with a default in place of the simplest model); 0.01 itself when a class has fewer than three
images. Ties go to the smaller C. At 100 % the chosen C is refitted on train and validation together. No class weights.
Deterministic. The temperature of the calibration error is fitted on the held-out predictions at the chosen C.
Sources: DINOv2 `eval/log_regression.py` (search and refit), scikit-learn (objective).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.features.resident import Array
from bench.protocols import _logistic
from bench.protocols._arrays import A, beside, library, wide
from bench.protocols._select import (
    best,
    calibrated,
    class_index,
    link,
    one_hot,
    primary,
    probabilities,
    stratified_folds,
)
from bench.protocols.base import BLOCKS, BoardKind, Prediction, Problem, Protocol, UnitSizes

CLIP = 10.0
"""Largest z-score."""
DEFAULT = 1e-2
"""C that the labels of a small budget have to speak against."""
DECADES = [10.0**e for e in range(-6, 6)]
SEARCH_TOLERANCE = 1e-7
"""Relative gap of the objective while C is chosen; the final fit is solved to `_logistic.TOLERANCE`."""
FOLDS = 5
FEW = 3
"""With fewer images than this of any class, nothing is tuned."""


class ChosenHyperparameters(NamedTuple):
    """What was selected, {"C": ..., "temperature": ...}; a solution near it to start from; warnings."""

    values: dict[str, float]
    start: _logistic.LogisticFit | None = None
    warnings: tuple[str, ...] = ()


class LabelledFolds(NamedTuple):
    """What a probe learns from: targets y (n, k) of the rows of a subset, and of validation where `validated`; the
    rows that each fold holds out, bool (f, n)."""

    subset: Subset
    y: np.ndarray
    folds: np.ndarray
    validated: bool

    @classmethod
    def of(cls, problem: Problem, subset: Subset) -> LabelledFolds:
        """At 100 % the validation split is the one fold; below that there are folds of the subset."""
        task, labels = problem.task, problem.train.labels[subset.rows]
        if subset.full and len(problem.val.labels):
            y = one_hot(task, np.concatenate([labels, problem.val.labels]))
            return cls(subset, y, (np.arange(len(y)) >= len(labels))[None], True)
        y = one_hot(task, labels)
        groups = None if problem.train.groups is None else problem.train.groups[subset.rows]
        return cls(subset, y, held_out(y, groups, subset.seed), False)


class Linear(Protocol):
    """See the module."""

    kind = "global"

    def __init__(
        self, name: str, title: str, strengths: Sequence[float], board: BoardKind = "frozen", *,
        clip: float | None = CLIP, default: float | None = DEFAULT,
    ) -> None:  # fmt: skip
        """clip, default: None as in linear-v1, which has neither (and C = 1 where nothing can be tuned)."""
        self.name, self.title, self.strengths, self.board = name, title, list(strengths), board
        self.clip, self.default = clip, default
        self.params: Mapping[str, Any] = {
            "C": self.strengths,
            "C_few": self.untuned,
            "few": FEW,
            "folds": FOLDS,
            "standardise": "train",
            "refit": "train+val",
            "class_weight": None,
            "tolerance": _logistic.TOLERANCE,
            "tolerance_search": SEARCH_TOLERANCE,
            "max_iterations": _logistic.MAX_ITERATIONS,
        }
        if clip is not None:
            self.params |= {"clip": clip}
        if default is not None:
            self.params |= {"C_default": default, "within": "1 standard error over folds"}

    @property
    def untuned(self) -> float:
        """C where there are too few images to tune it."""
        return 1.0 if self.default is None else self.default

    def memory_bytes(self, sizes: UnitSizes) -> int:
        task, shape = sizes.task, (sizes.learnt + sizes.val, sizes.width)
        columns = 1 if task.target == "binary" else len(task.classes)
        extent = _logistic.Extent.of(1 if sizes.val else FOLDS, shape, columns, link(task), len(self.strengths))
        shown = 8 * sizes.largest_test * (sizes.width + 6 * columns)  # scaled rows, logits and probabilities
        return extent.memory_bytes(sizes.together, beside=shown) + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        learning = (LabelledFolds.of(problem, subset) for subset in subsets)
        extent = partial(self._extent, problem)
        for some in _logistic.side_by_side(learning, extent, problem.device, together=problem.together):
            yield from self._predict(problem, some)

    def _extent(self, problem: Problem, one: LabelledFolds) -> _logistic.Extent:
        (rows, columns), width = one.y.shape, problem.train.features.vectors.shape[1]
        return _logistic.Extent.of(len(one.folds), (rows, width), columns, link(problem.task), len(self.strengths))

    def _predict(self, problem: Problem, some: Sequence[LabelledFolds]) -> Iterator[Prediction]:
        """Of budgets and seeds that are solved side by side."""
        task = problem.task
        scaled = [self._scaled(problem, one) for one in some]
        designs = _logistic.Designs([x for _, x in scaled], [one.y for one in some], link(task))
        chosen = self._choose(task, designs, some, [x for _, x in scaled])
        fits = designs.fit([[c.values["C"]] for c in chosen], start=[c.start for c in chosen])
        for one, (scale, _), (values, _, warnings), fit in zip(some, scaled, chosen, fits, strict=True):
            if not fit.converged.all():
                warnings = (*warnings, f"the solver did not converge at C = {values['C']:g}")
            shown = partial(_probabilities, task, fit, scale)
            outputs = {name: problem.resident(t.features.vectors).each(shown) for name, t in problem.tests.items()}
            yield Prediction(one.subset, outputs, values, warnings)

    def _scaled(self, problem: Problem, one: LabelledFolds) -> tuple[Standard, Array]:
        """How the features of a subset are scaled, and those that are learnt from."""
        x = problem.resident(problem.train.features.vectors).rows(one.subset.rows)
        scale = Standard(x, self.clip)
        if one.validated:
            x = library(x).concatenate([x, problem.resident(problem.val.features.vectors).rows()])
        return scale, scale(x)

    def _choose(
        self, task: Task, designs: _logistic.Designs, some: Sequence[LabelledFolds], xs: Sequence[Array]
    ) -> list[ChosenHyperparameters]:
        """Of each, C by the mean over folds of the primary metric, and a solution at that C."""
        c = len(self.strengths)
        if not len(some[0].folds):
            few = f"C = {self.untuned:g}: too few labelled images of a class to tune"
            return [ChosenHyperparameters({"C": self.untuned}, warnings=(few,))] * len(some)
        weights = _logistic.searches([~one.folds for one in some], c)
        strengths = [self.strengths * (len(each) // c) for each in weights]
        fits = designs.fit(strengths, weights, tolerance=SEARCH_TOLERANCE)
        own = (fit.part(slice(c * len(one.folds))) for fit, one in zip(fits, some, strict=True))
        return [self._by_folds(task, *given) for given in zip(own, some, xs, strict=True)]

    def _by_folds(self, task: Task, fit: _logistic.LogisticFit, one: LabelledFolds, x: Array) -> ChosenHyperparameters:
        """The choice by the solutions without each fold."""
        c, y, folds = len(self.strengths), one.y, one.folds
        parts = [fit.part(slice(i * c, (i + 1) * c)) for i in range(len(folds))]
        held = (x[beside(out, x)] for out in folds)
        guesses = [probabilities(task, part.logits(rows)) for part, rows in zip(parts, held, strict=True)]
        values = np.stack([primary(task, guess, y[held]) for guess, held in zip(guesses, folds, strict=True)])
        values = values[~np.isnan(values).any(1)]
        if not len(values):
            none = f"too few labels to choose C (no fold holds two classes): {self.untuned:g} taken"
            return ChosenHyperparameters({"C": self.untuned}, warnings=(none,))
        chosen, warnings = self._pick(values)
        if not fit.converged.all():
            warnings = (*warnings, "the solver did not converge at every C of the search")
        guess = np.concatenate([guess[chosen] for guess in guesses])
        truth = np.concatenate([class_index(y[held]) for held in folds])
        return ChosenHyperparameters(
            {"C": self.strengths[chosen]} | calibrated(task, guess, truth),
            parts[0].part(slice(chosen, chosen + 1)),
            warnings,
        )

    def _pick(self, values: np.ndarray) -> tuple[int, tuple[str, ...]]:
        """Place of the chosen C, by the values (folds, C) of the primary metric, and warnings."""
        mean = values.mean(0)
        chosen = best(mean)
        if self.default is not None and len(values) > 1:
            error = values[:, chosen].std(ddof=1) / len(values) ** 0.5
            near = np.flatnonzero(mean >= mean[chosen] - error - 1e-12)
            chosen = int(near[np.argmin(np.abs(np.log10(self.strengths) - np.log10(self.default))[near].round(6))])
        edge = chosen in (0, len(self.strengths) - 1) and np.ptp(mean) > 1e-12
        return chosen, (f"the chosen C = {self.strengths[chosen]:g} lies at the edge of the grid",) if edge else ()


class Standard:
    """z-score by the rows it was made from, clipped where a limit is given; a constant feature becomes 0."""

    def __init__(self, x: Array, clip: float | None = None) -> None:
        self.mean, spread = _mean_and_spread(x)
        self.clip = clip
        varies = spread > 1e-8 * (1 + np.abs(self.mean))
        self.scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)

    def __call__(self, x: A) -> A:
        z: Any = wide(x)
        z -= beside(self.mean, z)  # in place: rows may be many
        z *= beside(self.scale, z)
        return z if self.clip is None else library(z).clip(z, -self.clip, self.clip, out=z)


def _probabilities(task: Task, fit: _logistic.LogisticFit, scale: Standard, x: Array) -> np.ndarray:
    """float32 (n, k) of the one solution."""
    return probabilities(task, fit.logits(scale(x))[0]).astype(np.float32)


def _mean_and_spread(x: Array) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, float64 (d,)."""
    if isinstance(x, np.ndarray):
        return x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    spread, mean = torch.std_mean(x.double(), 0, correction=0)
    return mean.cpu().numpy(), spread.cpu().numpy()


def held_out(y: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    """bool (f, n): the rows each fold holds out; no fold where a class has fewer than `FEW` images."""
    rarest = rarest_count(y)
    if rarest < FEW:
        return np.zeros((0, len(y)), dtype=bool)
    fold = stratified_folds(strata_of(y), groups, min(FOLDS, rarest), seed)
    folds = fold == np.unique(fold)[:, None]
    return folds[(~folds).any(1)]


def rarest_count(y: np.ndarray) -> int:
    """Images of the rarest class; a column nobody shows, or everybody, is left out. Binary counts both sides."""
    counts = np.concatenate([y.sum(0), (1 - y).sum(0)]) if y.shape[1] == 1 else y.sum(0)
    counts = counts[counts > 0]
    return int(counts.min()) if len(counts) else 0


def strata_of(y: np.ndarray) -> np.ndarray:
    """int (n,): the rarest column each row shows; a number of its own where it shows none."""
    rarity = np.where(y > 0.5, y.sum(0), len(y) + 1)
    return np.where((y > 0.5).any(1), rarity.argmin(1), y.shape[1])


PROTOCOL: Protocol = Linear("linear-v2", "Linear probe", DECADES)
