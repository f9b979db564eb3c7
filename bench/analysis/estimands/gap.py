"""A gap within each encoder (one side of its results less the other), compared between two groups of encoders."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis import bootstrap, permutation
from bench.analysis.measurement import Effort, Estimand, Measurement, NotEnough
from bench.analysis.sides import split_sides, subtlety
from bench.analysis.table import Table, centred, covered, pick, strata, tabulate, weights


class Gap(Estimand):
    """Mean gap of the encoders whose `by` is in `group`, less that of those in `against` ("*": all others)."""

    name = "gap"
    more: str
    less: str | None = None
    protocols: list[str]
    budget: str = "100%"
    by: Literal["paradigm", "objective", "in_domain"] = "paradigm"
    group: list[str]
    against: list[str]
    given: Literal["flops"] | None = None
    """Take off what a straight line over the logarithm of this foretells."""
    uncontaminated: bool = False
    pooled_strata: bool = False
    """Shuffle labels over all encoders instead of within strata (a sensitivity choice)."""

    def measure(self, frame: pd.DataFrame, effort: Effort, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is in score points."""
        table = covered(centred(self._table(frame)))
        first, second = self._groups(table.encoders)
        names = _title(self.group), _title(self.against)
        sizes = {names[0]: int(first.sum()), names[1]: int(second.sum())}
        blocks = np.full(len(first), "") if self.pooled_strata else strata(table.encoders)
        a = permutation.blocked_weights(first, second, blocks)
        if not a.any():
            raise NotEnough(_why_not(sizes))
        y = self._outcome(table, table.encoders)
        p = permutation.p_contrast(y, a, blocks, effort.permutations, effort.rng(1))
        estimate = float(a @ y)
        low, high = self._interval(table, first, second, blocks, estimate, effort)
        used = a != 0
        return Measurement(
            effect=estimate,
            low=low,
            high=high,
            p=p,
            n_encoders=int(used.sum()),
            n_tasks=table.n_origins,
            n_modalities=table.columns["modality"].nunique(),
            groups={names[0]: int((first & used).sum()), names[1]: int((second & used).sum())},
            chart=_points(table, y, blocks),
            details={"outside_strata": int((first | second).sum() - used.sum())},
        )

    def _table(self, frame: pd.DataFrame) -> Table:
        by_stratum = self.more.startswith("stratum=")
        rows = pick(frame, self.protocols, budget=self.budget, primary=not by_stratum)
        if self.uncontaminated:
            rows = rows[rows["contaminated"] != "yes"]
        if rows.empty:
            raise NotEnough(f"no results under {' or '.join(self.protocols)} at {self.budget}")
        if by_stratum:
            rows, side = subtlety(rows)
            return tabulate(rows, side.map({"easy": "more", "subtle": "less"}), value="value")
        rows, side = split_sides(rows, self.more, self.less)
        return tabulate(rows, side)

    def _groups(self, encoders: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        known = encoders[self.by].notna()
        label = encoders[self.by].astype(str)
        first = (label.isin(self.group) & known).to_numpy()
        second = known.to_numpy() & ~first if self.against == ["*"] else (label.isin(self.against) & known).to_numpy()
        return first, second

    def _outcome(
        self, table: Table, encoders: pd.DataFrame, draws: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """Gap of each encoder: (E,), or (B, E) under resampled columns and seeds."""
        ones = np.ones((1, table.values.shape[1])), np.ones((1, table.values.shape[2]))
        column_counts, seed_counts = draws or ones
        out = 0.0
        for side, sign in (("more", 1.0), ("less", -1.0)):
            if (chosen := (table.columns["side"] == side).to_numpy()).any():
                part = table.side(side)
                out = out + sign * bootstrap.encoder_means(
                    part.values, weights(part.columns), column_counts[:, chosen], seed_counts
                )
        if self.given:
            out = _residual(out, encoders[self.given].to_numpy(float))
        return out if draws else out[0]

    def _interval(self, table, first, second, blocks, estimate, effort):
        rng, b = effort.rng(2), effort.resamples
        columns = bootstrap.cluster_counts(table.columns["origin"], table.columns["kind"], b, rng)
        seeds = bootstrap.counts(np.zeros(table.values.shape[2]), b, rng)
        label = np.where(first, 1, np.where(second, 2, 0))
        encoders = bootstrap.counts(label, b, rng)
        y = self._outcome(table, table.encoders, (columns, seeds))
        draws = _blocked(y, encoders, first, second, blocks)
        return bootstrap.expanded(estimate, draws, [int(first.sum()), int(second.sum())])


def _blocked(y: np.ndarray, k: np.ndarray, first: np.ndarray, second: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Contrast within strata under encoder counts k (B, E) and outcomes y (B, E): (B,)."""
    top, mass = np.zeros(len(y)), np.zeros(len(y))
    y = np.nan_to_num(y)
    for name in np.unique(blocks):
        one, two = k * (first & (blocks == name)), k * (second & (blocks == name))
        n1, n2 = one.sum(1), two.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            weight = np.where(n1 * n2 > 0, n1 * n2 / (n1 + n2), 0.0)
            difference = (one * y).sum(1) / n1 - (two * y).sum(1) / n2
        top += np.where(weight > 0, weight * np.nan_to_num(difference), 0.0)
        mass += weight
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mass > 0, top / mass, np.nan)


def _residual(y: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """y (B, E) less its least-squares line over log10(cost); NaN where the cost is unknown or 0."""
    known = np.isfinite(cost) & (cost > 0)
    if known.sum() < 3:
        raise NotEnough("fewer than three encoders have a known compute cost")
    x = np.where(known, np.log10(np.where(known, cost, 1.0)), np.nan)
    x = x - np.nanmean(x)
    inside = y[:, known]
    slope = (inside * x[known]).sum(1) / max(1e-12, (x[known] ** 2).sum())
    return y - inside.mean(1, keepdims=True) - slope[:, None] * x


def _points(table: Table, y: np.ndarray, blocks: np.ndarray) -> list[dict]:
    about = table.encoders
    return [
        {
            "encoder": name,
            "paradigm": str(about.paradigm.iloc[i]),
            "objective": str(about.objective.iloc[i]),
            "stratum": str(blocks[i]),
            "value": float(y[i]),
        }
        for i, name in enumerate(about.index)
        if np.isfinite(y[i])
    ]


SPOKEN = {"True": "medical-corpus", "False": "natural-corpus"}
"""How the values of `in_domain` are called."""


def _title(words: list[str]) -> str:
    return "other" if words == ["*"] or len(words) > 2 else " or ".join(SPOKEN.get(word, word) for word in words)


def _why_not(sizes: dict[str, int]) -> str:
    for name, n in sizes.items():
        if n == 0:
            return f"no {name} encoder"
    return "no stratum (controlled track and architecture) holds encoders of both groups"


ESTIMAND = Gap
