"""Agreement of rankings: Kendall's W and tau, tau with a bootstrap over encoders."""

from itertools import permutations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, rankdata

from bench.analysis.measurement import NotEnough
from bench.analysis.table import pick, tabulate


def kendall_w(scores: np.ndarray) -> float:
    """Kendall's coefficient of concordance, with the correction for ties, in [0, 1].

    scores: float (judges, items), here tasks x encoders, without NaN. 1: every task orders the encoders alike.

    >>> kendall_w(np.array([[1, 2, 3], [10, 20, 30]]))
    1.0
    """
    m, n = scores.shape
    ranks = np.apply_along_axis(rankdata, 1, scores)
    s = ((ranks.sum(0) - m * (n + 1) / 2) ** 2).sum()
    ties = sum((c**3 - c).sum() for row in scores for c in [np.unique(row, return_counts=True)[1]])
    return float(12 * s / (m**2 * (n**3 - n) - m * ties))


def tau_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall tau-b of each row, x and y (B, n) -> float64 (B,); NaN where one of them is constant."""
    i, j = np.triu_indices(x.shape[-1], 1)
    dx, dy = np.sign(x[:, i] - x[:, j]), np.sign(y[:, i] - y[:, j])
    with np.errstate(invalid="ignore", divide="ignore"):
        return (dx * dy).sum(1) / np.sqrt((dx != 0).sum(1) * (dy != 0).sum(1))


def tau_with_interval(x: np.ndarray, y: np.ndarray, resamples: int) -> tuple[float, float, float]:
    """Kendall's tau-b of x and y (n,), and its 95 % percentile interval over rows drawn with replacement.

    NaN, all three, where one of them is constant.
    """
    tau = float(tau_rows(x[None], y[None])[0])
    if np.isnan(tau):
        return tau, np.nan, np.nan
    drawn = np.random.default_rng(0).integers(len(x), size=(resamples, len(x)))
    low, high = np.nanquantile(tau_rows(x[drawn], y[drawn]), [0.025, 0.975])
    return tau, float(low), float(high)


def tau_matrix(frame: pd.DataFrame, by: str, protocols: list[str]) -> pd.DataFrame:
    """Kendall tau between the encoder orders of each pair of modalities, tasks or protocols (`by`).

    Returns a square table, NaN where two parts share fewer than three encoders or one of them has no order; raises
    NotEnough with fewer than two parts.
    """
    rows = pick(frame, protocols)
    means = rows.groupby([rows["encoder"].astype(str), rows[by].astype(str)])["score"].mean().unstack()
    if means.shape[1] < 2:
        raise NotEnough(f"fewer than two values of {by}")
    taus = pd.DataFrame(np.where(np.eye(means.shape[1]), 1.0, np.nan), means.columns, means.columns)
    for a, b in permutations(means.columns, 2):
        both = means[[a, b]].dropna()
        if len(both) >= 3:
            taus.loc[a, b] = kendalltau(both[a], both[b]).statistic
    return taus


def concordance(frame: pd.DataFrame, protocols: list[str]) -> dict[str, float]:
    """Kendall's W over all tasks and within each modality (tasks as judges), encoders with every task only."""
    table = tabulate(pick(frame, protocols))
    scores = table.means
    whole = np.isfinite(scores).all(axis=1)
    if whole.sum() < 3:
        raise NotEnough("fewer than three encoders have every task")
    out = {"all": kendall_w(scores[whole].T)}
    for name in sorted(table.columns["modality"].unique()):
        chosen = (table.columns["modality"] == name).to_numpy()
        if chosen.sum() > 1:
            out[name] = kendall_w(scores[whole][:, chosen].T)
    return out
