"""ridge-v1: ridge regression on the global vector, in closed form.

Features are z-scored by the training rows and clipped at 10, as in linear-v2; the number is centred and its mean not
penalised. The penalty is chosen from 13 decades by squared error: on the validation split at 100 %, over folds of whole
patients inside the labelled subset below that; ties go to the larger one. At 100 % the chosen one is refitted on train
and validation together. All penalties share one singular value decomposition. Deterministic.
Source: Hoerl and Kennard 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bench.data.budgets import Subset
from bench.encoders.features import Features
from bench.protocols._select import stratified_folds
from bench.protocols.base import BLOCKS, Prediction, Problem, Protocol, UnitSizes

CLIP = 10.0
FEW = 4
"""With fewer labelled images, nothing is tuned."""
DEFAULT = 1.0


class Rows(NamedTuple):
    """Features (n, d), numbers (n,), and patients or None."""

    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None


class Ridge(Protocol):
    """See the module. The penalty is relative: alpha times the number of rows."""

    name = "ridge-v1"
    title = "Ridge probe"
    kind = "global"
    targets = ("number",)
    params = {
        "alpha": [10.0**e for e in range(-6, 7)], "alpha_few": DEFAULT, "few": FEW, "folds": 5, "clip": CLIP,
        "standardise": "train", "refit": "train+val",
    }  # fmt: skip

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """Some six float64 arrays of what is learnt from, and the test splits."""
        return (50 * (sizes.learnt + sizes.val) + 8 * sum(sizes.tests)) * sizes.width + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            yield self._predict(problem, subset)

    def _predict(self, problem: Problem, subset: Subset) -> Prediction:
        train, rows = problem.train, subset.rows
        known = Rows(
            _wide(train.features)[rows],
            train.labels[rows].astype(np.float64),
            None if train.groups is None else train.groups[rows],
        )
        held = Rows(_wide(problem.val.features), problem.val.labels.astype(np.float64), None)
        alpha = self._chosen(known, held if subset.full and len(held.y) else None, subset.seed)
        if subset.full and len(held.y):
            known = Rows(np.concatenate([known.x, held.x]), np.concatenate([known.y, held.y]), None)
        predict = fitted(known, [alpha])
        outputs = {n: predict(_wide(t.features))[0][:, None].astype(np.float32) for n, t in problem.tests.items()}
        return Prediction(subset, outputs, {"alpha": alpha})

    def _chosen(self, known: Rows, held: Rows | None, seed: int) -> float:
        alphas = self.params["alpha"]
        if held is not None:
            errors = ((solved(known, held.x, alphas) - held.y) ** 2).mean(1)
        else:
            units = len(known.y) if known.groups is None else len(np.unique(known.groups))
            if units < FEW:
                return DEFAULT
            fold = stratified_folds(
                np.zeros(len(known.y), np.int64), known.groups, min(self.params["folds"], units), seed
            )
            errors = sum(self._fold_errors(known, fold == f) for f in np.unique(fold))
        return float(alphas[int(np.flatnonzero(errors <= errors.min() * (1 + 1e-12))[-1])])

    def _fold_errors(self, known: Rows, out: np.ndarray) -> np.ndarray:
        rest = Rows(known.x[~out], known.y[~out], None)
        return ((solved(rest, known.x[out], self.params["alpha"]) - known.y[out]) ** 2).sum(1)


def solved(known: Rows, x: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """Predictions (m, n) for x (n, d) at each of m penalties, see `fitted`."""
    return fitted(known, alphas)(x)


def fitted(known: Rows, alphas: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
    """From x (n, d) to predictions (m, n) at each of m penalties: argmin |y - mean - Z w|^2 + alpha n |w|^2."""
    mean, spread = known.x.mean(0), known.x.std(0)
    scale = np.where(spread > 0, spread, 1.0)

    def scaled(rows: np.ndarray) -> np.ndarray:
        return np.clip((rows - mean) / scale, -CLIP, CLIP)

    z = scaled(known.x)
    centre = z.mean(0)
    u, s, vt = np.linalg.svd(z - centre, full_matrices=False)
    level = known.y.mean()
    along = u.T @ (known.y - level)
    weights = np.stack([s / (s**2 + alpha * len(known.y)) * along for alpha in alphas])
    return lambda x: weights @ (vt @ (scaled(x) - centre).T) + level


def _wide(features: Features) -> np.ndarray:
    """The global vectors, float64 (n, d)."""
    return features.vectors.astype(np.float64)


PROTOCOL = Ridge()
