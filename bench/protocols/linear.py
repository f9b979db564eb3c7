"""linear-v1: logistic regression on the global vector, solved to convergence.

Features are z-scored by the training rows. Multinomial (one-vs-rest for several labels) with an L2 penalty, C from
12 decades: chosen by the primary metric, on the validation split at 100 %, by cross-validation inside the
labelled subset below that (C = 1 when a class has fewer than three images). Ties go to the smaller C. At 100 % the
chosen C is refitted on train and validation together. No class weights. Deterministic.
Sources: DINOv2 `eval/log_regression.py` (search and refit), scikit-learn (objective).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.data.task import Task
from bench.protocols import _logistic
from bench.protocols._select import best, link, one_hot, primary, probabilities, stratified_folds
from bench.protocols.base import Prediction, Problem, Protocol, Subset

DECADES = [10.0**e for e in range(-6, 6)]
FEW = 3
"""With fewer images than this of any class, nothing is tuned."""


class Linear(Protocol):
    """See the module."""

    kind = "global"

    def __init__(self, name: str, title: str, strengths: Sequence[float], board: str = "frozen") -> None:
        self.name, self.title, self.strengths, self.board = name, title, list(strengths), board
        self.params: Mapping[str, Any] = {
            "C": self.strengths, "C_few": 1.0, "few": FEW, "folds": 5, "standardise": "train", "refit": "train+val",
            "class_weight": None, "tolerance": _logistic.TOLERANCE, "max_iterations": _logistic.MAX_ITERATIONS,
        }

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            yield self._predict(problem, subset)

    def _predict(self, problem: Problem, subset: Subset) -> Prediction:
        task = problem.task
        x = problem.train.features.pooled[subset.rows].astype(np.float64)
        labels = problem.train.labels[subset.rows]
        scale = Standard(x)
        x, y = scale(x), one_hot(task, labels)
        if subset.full and len(problem.val.labels):
            known = scale(problem.val.features.pooled)
            strength, warnings = self._by_validation(task, x, y, known, problem.val.labels)
            x, y = np.concatenate([x, known]), np.concatenate([y, one_hot(task, problem.val.labels)])
        else:
            groups = None if problem.train.groups is None else problem.train.groups[subset.rows]
            strength, warnings = self._inside(task, x, y, labels, groups, subset.seed)
        fit = _logistic.fit(x, y, [strength], link=link(task))
        if not fit.converged.all():
            warnings = (*warnings, f"the solver did not converge at C = {strength:g}")
        outputs = {
            name: probabilities(task, fit.logits(scale(test.features.pooled))[0]).astype(np.float32)
            for name, test in problem.tests.items()
        }
        return Prediction(subset, outputs, {"C": strength}, warnings)

    def _by_validation(
        self, task: Task, x: np.ndarray, y: np.ndarray, known: np.ndarray, labels: np.ndarray
    ) -> tuple[float, tuple[str, ...]]:
        fit = _logistic.fit(x, y, self.strengths, link=link(task))
        return self._pick(primary(task, probabilities(task, fit.logits(known)), labels))

    def _inside(
        self, task: Task, x: np.ndarray, y: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, seed: int
    ) -> tuple[float, tuple[str, ...]]:
        """C by stratified cross-validation in the subset: the mean of the folds' metrics."""
        rarest = rarest_count(y)
        if rarest < FEW:
            return 1.0, (f"C = 1: only {rarest} labelled images of a class, too few to tune",)
        folds = min(5, rarest)
        fold = stratified_folds(strata_of(y), groups, folds, seed)
        weights = (fold != np.arange(folds)[:, None]).astype(np.float64)
        keep = (weights.sum(1) > 0) & (weights.sum(1) < len(x))
        c = len(self.strengths)
        fit = _logistic.fit(
            x, y, self.strengths * int(keep.sum()), weights=np.repeat(weights[keep], c, axis=0), link=link(task)
        )
        logits = fit.logits(x)
        values = [
            primary(task, probabilities(task, logits[i * c : (i + 1) * c, fold == f]), labels[fold == f])
            for i, f in enumerate(np.flatnonzero(keep))
        ]
        defined = [v for v in values if not np.isnan(v).any()]
        if not defined:
            return 1.0, ("C = 1: no fold holds two classes",)
        return self._pick(np.mean(defined, axis=0))

    def _pick(self, values: np.ndarray) -> tuple[float, tuple[str, ...]]:
        chosen = best(values)
        strength = self.strengths[chosen]
        edge = chosen in (0, len(self.strengths) - 1) and values.max() - values.min() > 1e-12
        return strength, (f"the chosen C = {strength:g} lies at the edge of the grid",) if edge else ()


class Standard:
    """z-score by the rows it was made from; a constant feature becomes 0."""

    def __init__(self, x: np.ndarray) -> None:
        self.mean, spread = x.mean(0), x.std(0)
        self.scale = np.where(spread > 1e-8 * (1 + np.abs(self.mean)), 1 / np.maximum(spread, 1e-300), 0.0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x.astype(np.float64) - self.mean) * self.scale


def rarest_count(y: np.ndarray) -> int:
    """Images of the rarest class; a column nobody shows, or everybody, is left out. Binary counts both sides."""
    counts = np.concatenate([y.sum(0), (1 - y).sum(0)]) if y.shape[1] == 1 else y.sum(0)
    counts = counts[counts > 0]
    return int(counts.min()) if len(counts) else 0


def strata_of(y: np.ndarray) -> np.ndarray:
    """int (n,): the rarest column each row shows; a number of its own where it shows none."""
    rarity = np.where(y > 0.5, y.sum(0), len(y) + 1)
    return np.where((y > 0.5).any(1), rarity.argmin(1), y.shape[1])


PROTOCOL = Linear("linear-v1", "Linear probe", DECADES)
