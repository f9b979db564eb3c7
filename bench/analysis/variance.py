"""Where the variance of scores lies, and what paradigm explains of it: how much choosing can matter at all."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.measurement import NotEnough
from bench.analysis.table import pick, tabulate


@dataclass(frozen=True)
class Shares:
    """Shares of the variance of scores; encoder, task and rest add up to 1.

    rest: encoder x task with measurement noise; `noise` is the part of it that the intervals of single results
    account for, None where results carry no interval. paradigm_of_encoder and paradigm_of_rest: adjusted share that
    paradigm (for the rest: paradigm x task) explains, which is about 0, and may fall below it, when paradigm is a
    random label.
    """

    encoder: float
    task: float
    rest: float
    noise: float | None
    paradigm_of_encoder: float
    paradigm_of_rest: float
    n_encoders: int
    n_tasks: int


def variance_shares(frame: pd.DataFrame, protocols: tuple[str, ...]) -> Shares:
    """Two-way variance components (method of moments) over the encoders that have every task. Raises NotEnough."""
    rows = pick(frame, list(protocols))
    if rows.empty:
        raise NotEnough("no results to share out")
    table = tabulate(rows)
    scores = table.means
    whole = np.isfinite(scores).all(axis=1)
    scores, labels = scores[whole], table.encoders["paradigm"].astype(str).to_numpy()[whole]
    n, t = scores.shape
    if n < 3 or t < 3:
        raise NotEnough("fewer than three encoders or three tasks without a gap")
    if np.ptp(scores) == 0:
        raise NotEnough("every score is the same")
    by_encoder, by_task = scores.mean(1) - scores.mean(), scores.mean(0) - scores.mean()
    rest = scores - scores.mean() - by_encoder[:, None] - by_task
    ms_rest = (rest**2).sum() / ((n - 1) * (t - 1))
    parts = np.array([
        max(0.0, by_encoder.var(ddof=1) - ms_rest / t), max(0.0, by_task.var(ddof=1) - ms_rest / n), ms_rest,
    ])  # fmt: skip
    share = parts / parts.sum()
    return Shares(
        float(share[0]), float(share[1]), float(share[2]), _noise(rows, parts.sum()),
        adjusted_share(by_encoder[:, None], labels), adjusted_share(rest, labels), n, t,
    )  # fmt: skip


def adjusted_share(z: np.ndarray, labels: np.ndarray) -> float:
    """Adjusted R^2 of group means for z (E, M): 1 - MS_within / MS_total; 0 on average for random labels."""
    names, member = np.unique(labels, return_inverse=True)
    onehot = (np.arange(len(names))[:, None] == member).astype(float)
    means = (onehot @ z) / onehot.sum(1, keepdims=True)
    within = ((z - means[member]) ** 2).sum() / max(1, len(z) - len(names))
    total = ((z - z.mean(0)) ** 2).sum() / (len(z) - 1)
    return float(1 - within / total) if total > 0 else 0.0


def _noise(rows: pd.DataFrame, total: float) -> float | None:
    """Mean variance of single results from their 95 % intervals, in shares of the total."""
    known = rows[rows["low"].notna() & rows["high"].notna()]
    if known.empty:
        return None
    width = (known["high"] - known["low"]).to_numpy(float) / (1 - known["chance"].to_numpy(float))
    return float(np.mean((100 * width / (2 * 1.96)) ** 2) / total)
