"""What is resampled in thought: encoders x source data sets, one outcome each."""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bench.analysis.measurement import NotEnough
from bench.analysis.table import ScoreTable, weights


@dataclass(frozen=True)
class Units:
    """Outcomes of encoders on source data sets, each centred within the encoder's stratum.

    values: float64 (E, U), score points, no NaN. about: U rows, side, kind, modality, origin. weight: float64 (U,), sum
    1 on the side "more" and -1 on "less". filled: share of values that were missing (the encoder's mean stands there).
    """

    values: np.ndarray
    about: pd.DataFrame
    weight: np.ndarray
    filled: float = 0.0

    @property
    def outcome(self) -> np.ndarray:
        """Weighted outcome of each encoder, float64 (E,)."""
        return self.values @ self.weight

    @property
    def by_set(self) -> np.ndarray:
        """What each source data set adds beyond the mean of its side, float64 (E, data sets)."""
        parts = np.zeros_like(self.values)
        for here in self._sides:
            share = self.weight[here] / self.weight[here].sum()
            parts[:, here] = self.weight[here] * (self.values[:, here] - (self.values[:, here] @ share)[:, None])
        return parts @ self._member

    @property
    def correction(self) -> float:
        """What makes the sum of squares of `by_set` an unbiased variance of the outcome: n / (n - 1) for n alike."""
        top = bottom = 0.0
        for here in self._sides:
            w = np.abs(self.weight[here])
            top += (w**2).sum()
            bottom += (w**2 * (1 - 2 * w + (w**2).sum())).sum()
        return top / bottom / (1 - self.filled)

    @property
    def df_sets(self) -> float:
        """Degrees of freedom between data sets: their effective number less the means that are estimated."""
        mass = np.sqrt((self.weight**2) @ self._member)
        paired = all((self._member[here].sum(axis=0) > 0).all() for here in self._sides)
        return max(1.0, float((mass**2).sum() ** 2 / (mass**4).sum()) - (1 if paired else len(self._sides)))

    @cached_property
    def _member(self) -> np.ndarray:
        origin = self.about["origin"].to_numpy()
        return (origin[:, None] == np.unique(origin)).astype(float)

    @cached_property
    def _sides(self) -> list[np.ndarray]:
        side = self.about["side"].to_numpy()
        return [side == name for name in np.unique(side)]


def units_of(table: ScoreTable, strata: np.ndarray) -> Units:
    """Tasks of one origin, side and kind averaged; a missing result becomes the encoder's mean over the others.

    Raises NotEnough with fewer than two source data sets on a side.
    """
    about, values, weight = _averaged(table)
    if about.groupby("side")["origin"].nunique().min() < 2:
        raise NotEnough("fewer than two source data sets")
    for name in np.unique(strata):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a data set without results in a stratum stays NaN
            values[strata == name] -= np.nanmean(values[strata == name], axis=0)
    there = np.isfinite(values)
    for _, rows in about.groupby(["side", "kind"]):
        known, w = there[:, rows.index], np.abs(weight[rows.index])
        mean = np.where(known, values[:, rows.index], 0) @ w / np.maximum(1e-12, known @ w)
        values[:, rows.index] = np.where(known, values[:, rows.index], mean[:, None])
    return Units(values, about, weight, float(1 - there.mean()))


def _averaged(table: ScoreTable) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """(about, values, weight) of each origin x side x kind."""
    keys = table.columns[["side", "kind", "origin"]].agg("|".join, axis=1)
    _, first, member = np.unique(keys, return_index=True, return_inverse=True)
    about = table.columns.loc[first, ["side", "kind", "origin", "modality"]].reset_index(drop=True)
    onehot = (member.reshape(-1)[:, None] == np.arange(len(first))).astype(float)
    by_task = table.means
    known = np.isfinite(by_task)
    with np.errstate(invalid="ignore"):
        values = np.where(known, by_task, 0) @ onehot / (known @ onehot)
    weight = weights(table.columns) @ onehot
    less = (about["side"] == "less").to_numpy()
    for side in about["side"].unique():
        here = (about["side"] == side).to_numpy()
        weight[here] /= weight[here].sum()
    return about, values, np.where(less, -weight, weight)
