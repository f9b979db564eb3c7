"""Label efficiency: area under the learning curve, and how many labels an encoder saves."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression

from bench.analysis.table import pick


def alc(n: np.ndarray, score: np.ndarray) -> float:
    """Area under the learning curve over log n, divided by its width: the mean score over the logarithm of n.

    n: label counts, increasing, at least two. Trapezoids.

    >>> round(alc(np.array([1, 10, 100]), np.array([0.0, 0.5, 1.0])), 12)
    0.5
    """
    x, score = np.log(np.asarray(n, float)), np.asarray(score, float)
    return float((np.diff(x) * (score[1:] + score[:-1]) / 2).sum() / (x[-1] - x[0]))


@dataclass(frozen=True)
class LabelsNeeded:
    """Labels needed to reach a score: at `n`, or more than `n` ("right"), or fewer ("left")."""

    n: float
    censored: str | None = None


def labels_to_reach(n: np.ndarray, score: np.ndarray, target: float) -> LabelsNeeded:
    """Labels at which an isotonic learning curve crosses `target`, log-linear in between.

    >>> labels_to_reach(np.array([10, 100]), np.array([0.2, 0.4]), 0.3).n.round(3)
    np.float64(31.623)
    >>> labels_to_reach(np.array([10, 100]), np.array([0.2, 0.4]), 0.5)
    LabelsNeeded(n=100.0, censored='right')
    """
    n, curve = np.asarray(n, float), isotonic_regression(np.asarray(score, float))
    if target > curve[-1]:
        return LabelsNeeded(float(n[-1]), "right")
    if target <= curve[0]:
        return LabelsNeeded(float(n[0]), None if target == curve[0] else "left")
    i = int(np.searchsorted(curve, target, side="left"))
    share = (target - curve[i - 1]) / (curve[i] - curve[i - 1])
    return LabelsNeeded(np.exp(np.log(n[i - 1]) + share * (np.log(n[i]) - np.log(n[i - 1]))))


@dataclass(frozen=True)
class Savings:
    """Label-savings factor n_reference / n_encoder; `bound` says when the truth is at most or at least the value.

    "above": the factor is at least `factor`; "below": at most; "unknown": neither curve crosses in the range.
    """

    factor: float
    bound: str | None = None


def savings(n: np.ndarray, score: np.ndarray, reference: np.ndarray) -> Savings:
    """How many times fewer labels than the reference reach 95 % of the reference's score with all labels.

    n, score, reference: (f,), the same label counts for both curves.
    """
    target = 0.95 * float(reference[-1])
    own, theirs = labels_to_reach(n, score, target), labels_to_reach(n, reference, target)
    factor = theirs.n / own.n
    states = {own.censored, theirs.censored}
    if states == {None}:
        return Savings(factor)
    if own.censored == "right" and theirs.censored != "right":
        return Savings(factor, "below")
    if own.censored == "left" and theirs.censored is None:
        return Savings(factor, "above")
    if own.censored is None and theirs.censored == "left":
        return Savings(factor, "below")
    return Savings(factor, "unknown")


def learning_curves(frame: pd.DataFrame, protocols: tuple[str, ...]) -> pd.DataFrame:
    """Mean score over seeds of every encoder x task x fraction: encoder, paradigm, task, kind, modality, fraction,
    n_labels, score; references stay in."""
    rows = pick(frame, list(protocols), budget=None, ssl=False)
    rows = rows[rows["fraction"].notna()]
    keys = ["encoder", "paradigm", "objective", "task", "kind", "modality", "fraction"]
    return rows.groupby(keys, observed=True, as_index=False).agg(score=("score", "mean"), n_labels=("n_labels", "mean"))


def label_efficiency(frame: pd.DataFrame, protocols: tuple[str, ...]) -> pd.DataFrame:
    """One row an encoder: ALC in points (mean over tasks), and the geometric mean label-savings factor against
    `reference` (the best-scoring supervised encoder, else the best untrained one) over the tasks where both
    curves cross; `tasks`, `crossed` and `never` (tasks where the encoder never reaches the target) tell on how many.
    """
    curves = learning_curves(frame, protocols)
    reference = _reference(curves)
    by_pair = {key: rows.sort_values("n_labels") for key, rows in curves.groupby(["encoder", "task"], observed=True)}
    rows = []
    for encoder in sorted(curves["encoder"].astype(str).unique()):
        own = {task: rows for (name, task), rows in by_pair.items() if name == encoder and len(rows) > 1}
        found = [
            savings(c["n_labels"].to_numpy(), c["score"].to_numpy(), by_pair[reference, task]["score"].to_numpy())
            for task, c in own.items()
            if reference and (reference, task) in by_pair and len(by_pair[reference, task]) == len(c)
        ]
        exact = [f.factor for f in found if f.bound is None]
        rows.append({
            "encoder": encoder,
            "alc": 100 * float(np.mean([alc(c["n_labels"], c["score"]) for c in own.values()])) if own else None,
            "savings": float(np.exp(np.mean(np.log(exact)))) if exact else None, "reference": reference,
            "tasks": len(own), "crossed": len(exact), "never": sum(f.bound == "below" for f in found),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _reference(curves: pd.DataFrame) -> str | None:
    for objective in ("supervised", "random-init"):
        rows = curves[(curves["objective"] == objective) & (curves["fraction"] == 1.0)]
        if len(rows):
            return str(rows.groupby(rows["encoder"].astype(str))["score"].mean().idxmax())
    return None
