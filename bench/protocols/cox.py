"""cox-v1: Cox's proportional hazards on the global vector, with a ridge penalty: who has the event first.

Features are z-scored by the training rows and clipped at 10, as in linear-v2. The weights minimise the negative log
partial likelihood by row plus alpha / 2 times their squared length; cases with the same time share the risk set of that
time (Breslow 1974). The penalty is chosen from 9 decades by the partial likelihood of cases that were held out: of the
validation split at 100 %, below that over folds of whole patients, each fold the likelihood of all cases less that of
the others (Verweij and van Houwelingen 1993); ties go to the larger one. At 100 % the chosen one is refitted on train
and validation together. The prediction is the log hazard, of which only the order is read. Deterministic.
Source: Cox 1972; Verweij and van Houwelingen 1994 (ridge).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import minimize

from bench.data.budgets import Subset
from bench.encoders.features import Features
from bench.protocols._select import stratified_folds
from bench.protocols.base import BLOCKS, Labelled, Prediction, Problem, Protocol, UnitSizes
from bench.protocols.linear import CLIP, Standard

FEW = 8
"""With fewer events, nothing is tuned."""
DEFAULT = 1.0
STEPS = 5000
GAP = 1e-6
"""Largest certified distance from the minimum, in log partial likelihood a row; a larger one is a warning."""


class SurvivalCases(NamedTuple):
    """Features (n, d), times (n,), whether the event happened then (n,), and patients or None."""

    x: np.ndarray
    time: np.ndarray
    event: np.ndarray
    groups: np.ndarray | None = None

    @classmethod
    def of(cls, part: Labelled) -> Self:
        """Of a split, float64."""
        return cls(_wide(part.features), part.labels[:, 0], part.labels[:, 1] == 1, part.groups)

    def rows(self, chosen: np.ndarray) -> SurvivalCases:
        """Of some of the cases."""
        groups = None if self.groups is None else self.groups[chosen]
        return SurvivalCases(self.x[chosen], self.time[chosen], self.event[chosen], groups)


class Cox(Protocol):
    """See the module."""

    name = "cox-v1"
    title = "Cox probe"
    kind = "global"
    targets = ("survival",)
    params = {
        "alpha": [10.0**e for e in range(-4, 5)], "alpha_few": DEFAULT, "few": FEW, "folds": 5, "clip": CLIP,
        "ties": "breslow", "standardise": "train", "refit": "train+val", "by": "partial likelihood",
    }  # fmt: skip

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """Some six float64 arrays of what is learnt from, and the test splits."""
        return (50 * (sizes.learnt + sizes.val) + 8 * sum(sizes.tests)) * sizes.width + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        train, val = SurvivalCases.of(problem.train), SurvivalCases.of(problem.val)
        tests = {name: _wide(test.features) for name, test in problem.tests.items()}
        for subset in subsets:
            known, held = train.rows(subset.rows), val if subset.full and val.event.any() else None
            alpha, gap = self._chosen(known, held, subset.seed)
            if subset.full and len(val.time):
                known = SurvivalCases(*(np.concatenate(pair) for pair in zip(known[:3], val[:3], strict=True)))
            fit = CoxFit(known)
            (weights,) = fit.weights([alpha])
            gap = max(gap, fit.gap)
            warnings = (f"the Cox probe is up to {gap:.1e} from its minimum ({STEPS} steps)",) if gap > GAP else ()
            outputs = {name: (fit.scaled(x) @ weights)[:, None].astype(np.float32) for name, x in tests.items()}
            yield Prediction(subset, outputs, {"alpha": alpha}, warnings)

    def _chosen(self, known: SurvivalCases, held: SurvivalCases | None, seed: int) -> tuple[float, float]:
        """The penalty, and the largest gap of the fits that were compared."""
        alphas = self.params["alpha"]
        if held is not None:
            fit = CoxFit(known)
            likely = np.array([likelihood(fit.scaled(held.x) @ w, held)[0] for w in fit.weights(alphas)])
            gap = fit.gap
        elif known.event.sum() < FEW:
            return DEFAULT, 0.0
        else:
            fold = stratified_folds(known.event.astype(np.int64), known.groups, self.params["folds"], seed)
            parts, gaps = zip(*(self._of_fold(known, fold == f) for f in np.unique(fold)), strict=True)
            likely, gap = np.sum(parts, axis=0), max(gaps)
        return float(alphas[int(np.flatnonzero(likely >= likely.max() - 1e-9 * abs(likely.max()))[-1])]), gap

    def _of_fold(self, known: SurvivalCases, out: np.ndarray) -> tuple[np.ndarray, float]:
        rest = known.rows(~out)
        fit = CoxFit(rest)
        risks = [fit.scaled(known.x) @ w for w in fit.weights(self.params["alpha"])]
        return np.array([likelihood(r, known)[0] - likelihood(r[~out], rest)[0] for r in risks]), fit.gap


class CoxFit:
    """Ridge-penalised Cox regression on one set of cases; penalties start from each other's solution.

    scaled: makes of rows what the weights take. gap: bound on how far any of its solutions is from the minimum,
    |slope|^2 / 2 alpha, since the penalty makes the loss alpha-strongly convex.
    """

    def __init__(self, cases: SurvivalCases) -> None:
        self._cases, self.gap = cases, 0.0
        self.scaled = Standard(cases.x, CLIP)
        # In the span of the cases: the penalty leaves no weight outside it, and few cases have few directions.
        self._u, self._s, self._vt = np.linalg.svd(self.scaled(cases.x), full_matrices=False)

    def weights(self, alphas: Sequence[float]) -> np.ndarray:
        """float64 (m, d) for m penalties: argmin -log PL / n + alpha / 2 |w|^2."""
        z, found = self._u * self._s, np.zeros((len(alphas), len(self._s)))
        start = np.zeros(len(self._s))
        for i in np.argsort(alphas)[::-1]:  # from the strongest
            done = minimize(self._loss, start, (z, alphas[i]), "L-BFGS-B", jac=True,
                            options={"maxiter": STEPS, "maxfun": 2 * STEPS, "ftol": 1e-14, "gtol": 1e-8})  # fmt: skip
            self.gap = max(self.gap, float(done.jac @ done.jac) / (2 * alphas[i]))
            found[i] = start = done.x
        return found @ self._vt

    def _loss(self, w: np.ndarray, z: np.ndarray, alpha: float) -> tuple[float, np.ndarray]:
        value, slope = likelihood(z @ w, self._cases)
        n = len(z)
        return -value / n + alpha / 2 * float(w @ w), -(slope @ z) / n + alpha * w


def likelihood(risk: np.ndarray, cases: SurvivalCases) -> tuple[float, np.ndarray]:
    """Breslow's log partial likelihood of log hazards (n,), and its slope by each of them (n,).

    Every event adds its log hazard less log sum exp over the cases whose time is not before it, censored ones too.
    """
    order = np.argsort(-cases.time, kind="stable")
    time, event, r = cases.time[order], cases.event[order].astype(np.float64), risk[order]
    at_risk = np.searchsorted(-time, -time, side="right") - 1  # last place of the same time: ties share a risk set
    sums = np.logaddexp.accumulate(r)[at_risk]
    # An event at place j counts in the slope of everyone at risk then, i.e. of those up to the end of its tie.
    first = np.searchsorted(-time, -time, side="left")
    shares = np.logaddexp.accumulate(np.where(event > 0, -sums, -np.inf)[::-1])[::-1][first]
    slope = np.empty(len(r))
    slope[order] = event - np.exp(r + shares)
    return float((event * (r - sums)).sum()), slope


def _wide(features: Features) -> np.ndarray:
    """The global vectors, float64 (n, d)."""
    return features.vectors.astype(np.float64)


PROTOCOL = Cox()
