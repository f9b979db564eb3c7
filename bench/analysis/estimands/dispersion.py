"""How much paradigms differ in the mean of an encoder's outcome, or of its profile over modalities."""

from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis.crossed import spread_of_means, spread_of_parts
from bench.analysis.estimands.label_slope import label_slopes
from bench.analysis.measurement import Estimand, Measurement, NotEnough
from bench.analysis.table import ScoreTable, covered, pick, strata, tabulate
from bench.analysis.units import Units, units_of
from bench.budget import FULL, Budget


class Dispersion(Estimand):
    """Standard deviation between paradigms: of the profile by modality, the label slope, or the shift residual."""

    name = "dispersion"
    of: Literal["modality", "label slope", "shift"]
    protocols: list[str]
    budget: Budget = FULL

    def measure(self, frame: pd.DataFrame, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is a standard deviation, in score points (per tenfold labels for slopes)."""
        table = covered(self._table(frame))
        blocks = strata(table.encoders)
        paradigm = table.encoders["paradigm"].astype(str)
        compared = paradigm.groupby(blocks).transform("nunique").to_numpy() > 1
        if not compared.any():
            raise NotEnough("no stratum of network and size holds two paradigms")
        table, blocks, labels = table.keep(compared), blocks[compared], paradigm.to_numpy()[compared]
        paradigms, sizes = np.unique(labels, return_counts=True)
        groups, units = (labels[:, None] == paradigms).astype(float), units_of(table, blocks)
        if self.of == "modality":
            places = (units.about[name].to_numpy(str) for name in ("modality", "kind"))
            found = spread_of_parts(units, groups, blocks, *places)
        else:
            found = spread_of_means(units, groups, blocks)
        return Measurement(
            found.effect, found.low, found.high, found.p, len(labels), table.n_origins,
            table.columns["modality"].nunique(),
            groups=dict(zip(paradigms.tolist(), sizes.tolist(), strict=True)),
            chart=self._means(units, groups, paradigms),
        )  # fmt: skip

    def _table(self, frame: pd.DataFrame) -> ScoreTable:
        if self.of == "label slope":
            rows = pick(frame, self.protocols, budget=None)
            rows = rows[rows["fraction"].notna()]
            if rows.empty:
                raise NotEnough("no results at label fractions")
            return label_slopes(rows)
        rows = pick(frame, self.protocols, budget=self.budget)
        if rows.empty:
            raise NotEnough(f"no results under {' or '.join(self.protocols)} at {self.budget}")
        if self.of == "modality":
            return tabulate(rows)
        moved = pick(frame, self.protocols, budget=self.budget, split="test-shift")
        if moved.empty:
            raise NotEnough("no results on a shifted test set")
        return _residual(tabulate(moved), tabulate(rows))

    def _means(self, units: Units, groups: np.ndarray, paradigms: np.ndarray) -> list[dict]:
        """Mean of each paradigm, centred within strata: by modality (less its mean over modalities), or in all."""
        means = (groups.T @ units.values) / groups.sum(axis=0)[:, None]
        if self.of != "modality":
            return [
                {"paradigm": str(p), "part": self.of, "value": float(m @ units.weight)}
                for p, m in zip(paradigms, means, strict=True)
            ]
        kinds = units.about["kind"].to_numpy()
        for kind in np.unique(kinds):
            means[:, kinds == kind] -= means[:, kinds == kind].mean(axis=1, keepdims=True)
        modality = units.about["modality"].to_numpy()
        return [
            {"paradigm": str(p), "part": str(name), "value": float(means[i, modality == name].mean())}
            for i, p in enumerate(paradigms)
            for name in np.unique(modality)
        ]


def _residual(moved: ScoreTable, clean: ScoreTable) -> ScoreTable:
    """Scores at the second site less what the encoder's score at the first foretells (one line within strata)."""
    encoders = moved.encoders.index.intersection(clean.encoders.index)
    tasks = sorted(set(moved.columns["task"]) & set(clean.columns["task"]))
    (y, about), (x, _) = ((_aligned(t, encoders, tasks)) for t in (moved, clean))
    blocks = strata(about.encoders)
    with np.errstate(invalid="ignore"):
        means = [np.nanmean(v - np.nanmean(v, axis=0), axis=(1, 2)) for v in (x, y)]
    inside = [pd.Series(m).groupby(blocks).transform(lambda v: v - v.mean()).to_numpy() for m in means]
    slope = float(np.nansum(inside[0] * inside[1]) / max(1e-12, np.nansum(inside[0] ** 2)))
    return ScoreTable(y - slope * x, about.encoders, about.columns)


def _aligned(table: ScoreTable, encoders: pd.Index, tasks: list[str]) -> tuple[np.ndarray, ScoreTable]:
    rows = table.encoders.index.get_indexer(encoders)
    places = table.columns.reset_index().set_index("task").loc[tasks, "index"].to_numpy()
    values = np.nanmean(table.values[rows][:, places], axis=2, keepdims=True)
    return values, ScoreTable(values, table.encoders.iloc[rows], table.columns.iloc[places].reset_index(drop=True))


ESTIMAND = Dispersion
