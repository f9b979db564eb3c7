"""linear-v1: logistic regression on the global vector, solved to convergence.

Features are z-scored by the training rows. Multinomial (one-vs-rest for several labels) with an L2 penalty, C from
12 decades: chosen by the primary metric, on the validation split at 100 %, by cross-validation inside the
labelled subset below that (C = 1 when a class has fewer than three images). Ties go to the smaller C. At 100 % the
chosen C is refitted on train and validation together. No class weights. Deterministic. The temperature of the
calibration error is fitted on the held-out predictions at the chosen C.
Sources: DINOv2 `eval/log_regression.py` (search and refit), scikit-learn (objective).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.data.task import Task
from bench.protocols import _logistic
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
from bench.protocols.base import Prediction, Problem, Protocol, Subset

DECADES = [10.0**e for e in range(-6, 6)]
SEARCH_TOLERANCE = 1e-7
"""Relative gap of the objective while C is chosen; the final fit is solved to `_logistic.TOLERANCE`."""
FOLDS = 5
FEW = 3
"""With fewer images than this of any class, nothing is tuned."""


class Choice(NamedTuple):
    """What was selected, {"C": ..., "temperature": ...}; a solution near it to start from; warnings."""

    values: dict[str, float]
    start: _logistic.Fit | None = None
    warnings: tuple[str, ...] = ()


class Linear(Protocol):
    """See the module."""

    kind = "global"

    def __init__(self, name: str, title: str, strengths: Sequence[float], board: str = "frozen") -> None:
        self.name, self.title, self.strengths, self.board = name, title, list(strengths), board
        self.params: Mapping[str, Any] = {
            "C": self.strengths,
            "C_few": 1.0,
            "few": FEW,
            "folds": FOLDS,
            "standardise": "train",
            "refit": "train+val",
            "class_weight": None,
            "tolerance": _logistic.TOLERANCE,
            "tolerance_search": SEARCH_TOLERANCE,
            "max_iterations": _logistic.MAX_ITERATIONS,
        }

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            yield self._predict(problem, subset)

    def _predict(self, problem: Problem, subset: Subset) -> Prediction:
        task, train = problem.task, problem.train
        x, labels = train.features.pooled[subset.rows], train.labels[subset.rows]
        scale = Standard(x)
        if subset.full and len(problem.val.labels):
            x = np.concatenate([x, problem.val.features.pooled])
            y = one_hot(task, np.concatenate([labels, problem.val.labels]))
            folds = (np.arange(len(x)) >= len(labels))[None]
        else:
            y = one_hot(task, labels)
            groups = None if train.groups is None else train.groups[subset.rows]
            folds = held_out(y, groups, subset.seed)
        design = _logistic.Design(scale(x), y, link(task))
        chosen, start, warnings = self._choose(task, design, folds, scale(x), y)
        fit = design.fit([chosen["C"]], start=start)
        if not fit.converged.all():
            warnings = (*warnings, f"the solver did not converge at C = {chosen['C']:g}")
        outputs = {
            name: probabilities(task, fit.logits(scale(test.features.pooled))[0]).astype(np.float32)
            for name, test in problem.tests.items()
        }
        return Prediction(subset, outputs, chosen, warnings)

    def _choose(self, task: Task, design: _logistic.Design, folds: np.ndarray, x: np.ndarray, y: np.ndarray) -> Choice:
        """C by the mean over folds of the primary metric, and a solution at that C; folds: bool (f, n), held out."""
        if not len(folds):
            return Choice({"C": 1.0}, warnings=("C = 1: too few labelled images of a class to tune",))
        c = len(self.strengths)
        fit = design.fit(
            self.strengths * len(folds), np.repeat(~folds, c, axis=0).astype(np.float64), tolerance=SEARCH_TOLERANCE
        )
        parts = [fit.part(slice(i * c, (i + 1) * c)) for i in range(len(folds))]
        guesses = [probabilities(task, part.logits(x[held])) for part, held in zip(parts, folds, strict=True)]
        values = np.stack([primary(task, guess, y[held]) for guess, held in zip(guesses, folds, strict=True)])
        values = values[~np.isnan(values).any(1)]
        if not len(values):
            return Choice({"C": 1.0}, warnings=("C = 1: no fold holds two classes",))
        strength, warnings = self._pick(values.mean(0))
        chosen = self.strengths.index(strength)
        guess = np.concatenate([guess[chosen] for guess in guesses])
        truth = np.concatenate([class_index(y[held]) for held in folds])
        return Choice(
            {"C": strength} | calibrated(task, guess, truth), parts[0].part(slice(chosen, chosen + 1)), warnings
        )

    def _pick(self, values: np.ndarray) -> tuple[float, tuple[str, ...]]:
        chosen = best(values)
        strength = self.strengths[chosen]
        edge = chosen in (0, len(self.strengths) - 1) and values.max() - values.min() > 1e-12
        return strength, (f"the chosen C = {strength:g} lies at the edge of the grid",) if edge else ()


class Standard:
    """z-score by the rows it was made from; a constant feature becomes 0."""

    def __init__(self, x: np.ndarray) -> None:
        self.mean, spread = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
        varies = spread > 1e-8 * (1 + np.abs(self.mean))
        self.scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x.astype(np.float64) - self.mean) * self.scale


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


PROTOCOL: Protocol = Linear("linear-v1", "Linear probe", DECADES)
