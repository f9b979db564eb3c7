"""What an encoder's scores on some tasks say of a task that was not run: as far as tasks alike agree, and no farther.

Scores of encoders, each task centred, are taken as a sum of what an encoder does everywhere, on tasks of one kind, in
one modality, and on one task alone. How much each varies is estimated from how tasks go together over encoders; the
best linear prediction (Robinson 1991, Stat. Sci. 6:15) then shrinks towards the overall order by what the data support;
where kinds and modalities foretell data sets that are left out no better, they do not count at all.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from bench.analysis.measurement import NotEnough


@dataclass(frozen=True)
class VarianceComponents:
    """Variances, in squared score points: of an encoder everywhere, by kind, by modality, and on one task alone."""

    everywhere: float
    kind: float
    modality: float
    task: float

    @property
    def shared(self) -> float:
        """Variance of the part of a score that other tasks of its kind and modality share."""
        return self.everywhere + self.kind + self.modality

    def between(self, kinds: np.ndarray, modalities: np.ndarray, kind: str, modality: str) -> np.ndarray:
        """Covariance of tasks (T,) with another task of this kind and modality, float64 (T,)."""
        return self.everywhere + self.kind * (kinds == kind) + self.modality * (modalities == modality)


@dataclass(frozen=True)
class Foretold:
    """Centred score of each encoder on a task of a kind and modality, float64 (E,); `error`: standard error of its
    expectation, `spread`: of a single new task. NaN for an encoder without a result."""

    score: np.ndarray
    error: np.ndarray
    spread: np.ndarray


def spread_of(scores: np.ndarray, columns: pd.DataFrame, *, apart: bool = True) -> VarianceComponents:
    """Variances from centred scores (E, T), NaN where missing, by nonnegative least squares over pairs of tasks.

    apart: whether kinds and modalities have variances of their own; else they are 0, and the order is the overall one.
    Raises NotEnough with fewer than three encoders or three tasks, or where no two tasks share three encoders.
    """
    n, t = scores.shape
    if n < 3 or t < 3:
        raise NotEnough(f"self-supervised encoders: {n}, tasks: {t}; three of each are needed")
    there, filled = np.isfinite(scores).astype(float), np.nan_to_num(scores)
    together = there.T @ there
    products = np.where(together > 2, filled.T @ filled / np.maximum(1, together - 1), np.nan)
    kind, modality = (columns[name].to_numpy(str) for name in ("kind", "modality"))
    i, j = np.triu_indices(t, 1)
    known = np.isfinite(products[i, j])
    i, j = i[known], j[known]
    if not len(i):
        raise NotEnough("no two tasks share three self-supervised encoders")
    alike = [apart & (kind[i] == kind[j]), apart & (modality[i] == modality[j])]
    shared = nnls(np.column_stack([np.ones(len(i)), *alike]).astype(float), products[i, j])[0].tolist()
    alone = max(1e-6, float(np.nanmean(np.diag(products))) - sum(shared))
    return VarianceComponents(shared[0], shared[1], shared[2], alone)


def left_out_error(scores: np.ndarray, columns: pd.DataFrame, *, apart: bool) -> float:
    """Mean squared error with which each source data set is foretold from the others; NaN where one cannot be."""
    origins, errors = columns["origin"].to_numpy(str), []
    for origin in np.unique(origins):
        out = origins == origin
        rest, known = scores[:, ~out], columns[~out]
        try:
            spread = spread_of(rest, known, apart=apart)
        except NotEnough:
            return float("nan")
        for task in np.flatnonzero(out):
            kind, modality = (str(columns[name].iloc[task]) for name in ("kind", "modality"))
            errors.append((foretell(rest, known, spread, kind, modality).score - scores[:, task]) ** 2)
    return float(np.nanmean(errors))


def foretell(
    scores: np.ndarray, columns: pd.DataFrame, spread: VarianceComponents, kind: str, modality: str
) -> Foretold:
    """Best linear prediction for a new task, from centred scores (E, T), NaN where missing."""
    kinds, modalities = (columns[name].to_numpy(str) for name in ("kind", "modality"))
    every = np.stack([spread.between(kinds, modalities, k, m) for k, m in zip(kinds, modalities, strict=True)])
    every += spread.task * np.eye(len(kinds))
    new = spread.between(kinds, modalities, kind, modality)
    score, error = np.full(len(scores), np.nan), np.full(len(scores), np.nan)
    there = np.isfinite(scores)
    for pattern in np.unique(there, axis=0):
        rows = (there == pattern).all(axis=1)
        if pattern.any():
            weight = np.linalg.solve(every[np.ix_(pattern, pattern)], new[pattern])
            score[rows] = scores[np.ix_(rows, pattern)] @ weight
            error[rows] = np.sqrt(max(0.0, spread.shared - weight @ new[pattern]))
    return Foretold(score, error, np.sqrt(error**2 + spread.task))
