"""A score, or a gap within each encoder, compared between two groups of encoders or along a diagnostic."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from bench.analysis.crossed import contrast
from bench.analysis.measurement import Estimand, Measurement, NotEnough
from bench.analysis.sides import split_sides, subtlety
from bench.analysis.table import ScoreTable, covered, pick, strata, tabulate
from bench.analysis.units import Units, units_of
from bench.budget import FULL, Budget
from bench.words import DIAGNOSTICS, stratum_title

WITHIN = "no stratum of network and size holds encoders of both groups"


class Gap(Estimand):
    """Mean outcome of the encoders whose `by` is in `group`, less that of those in `against`, within strata.

    The outcome is the score on the side `more`, less that on `less` where it is given. With `diagnostic` instead of
    groups: the rise of the outcome with the rank of the diagnostic within a stratum, per standard deviation of it.
    """

    name = "gap"
    more: str
    less: str | None = None
    protocols: list[str]
    budget: Budget = FULL
    by: Literal["paradigm", "in_domain"] = "paradigm"
    group: list[str] = []
    against: list[str] = []
    diagnostic: str | None = None
    uncontaminated: bool = False

    def measure(self, frame: pd.DataFrame, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is in score points (with a diagnostic: per standard deviation)."""
        table = covered(self._table(frame))
        x, words = self._diagnosed(table, diagnostics) if self.diagnostic else self._grouped(table.encoders)
        blocks = strata(table.encoders)
        used = np.isfinite(x) & _varies(x, blocks)
        if not used.any():
            raise NotEnough(WITHIN if not self.diagnostic else f"the {self._called} does not vary within a stratum")
        table, x, blocks, words = _filled(table.keep(used)), x[used], blocks[used], words[used]
        if self.diagnostic:
            x = _standard(x, blocks)
        units = units_of(table, blocks)
        found = contrast(units, x, blocks)
        names, sizes = np.unique(words, return_counts=True)
        return Measurement(
            found.effect, found.low, found.high, found.p, len(x), table.n_origins, table.columns["modality"].nunique(),
            groups=dict(zip(names.tolist(), sizes.tolist(), strict=True)),
            chart=points(table, units, blocks, words, x if self.diagnostic else None),
            details={"by_stratum": by_stratum(units, x, blocks), **self._axes()},
        )  # fmt: skip

    def _table(self, frame: pd.DataFrame) -> ScoreTable:
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

    def _grouped(self, encoders: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """1 for the first group, 0 for the second, NaN for neither; and the words of each encoder's group."""
        label = encoders[self.by].astype(str).where(encoders[self.by].notna())
        first, second = label.isin(self.group).to_numpy(), label.isin(self.against).to_numpy()
        names = title(self.group), title(self.against)
        for there, name in zip((first, second), names, strict=True):
            if not there.any():
                raise NotEnough(f"no {name} encoder")
        return np.where(first, 1.0, np.where(second, 0.0, np.nan)), np.where(first, *names)

    def _diagnosed(self, table: ScoreTable, diagnostics: pd.DataFrame | None) -> tuple[np.ndarray, np.ndarray]:
        if diagnostics is None or self.diagnostic not in diagnostics:
            raise NotEnough(f"the {self._called} was not computed for these encoders")
        x = diagnostics[self.diagnostic].reindex(table.encoders.index).to_numpy(float)
        return x, np.full(len(x), "self-supervised")

    def _axes(self) -> dict[str, str]:
        """Titles of the picture of a diagnostic."""
        if not self.diagnostic:
            return {}
        sides = [side.partition("=")[2] or side for side in (self.more, self.less) if side]
        x = f"{self._called[:1].upper()}{self._called[1:]}, rank among networks of its kind and size"
        return {"x": x, "y": f"{' less '.join(sides).capitalize()} score, points"}

    @property
    def _called(self) -> str:
        return DIAGNOSTICS.get(self.diagnostic or "", self.diagnostic or "")


def _varies(x: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The encoders of strata in which x takes more than one value."""
    values = pd.Series(x).groupby(blocks).transform("nunique")
    return (values > 1).to_numpy()


def _filled(table: ScoreTable) -> ScoreTable:
    """The table without columns that fewer than half of its encoders have: too little would be made up."""
    there = np.isfinite(table.values).any(axis=2).mean(axis=0) >= 0.5
    if not there.any():
        raise NotEnough("no data set that half of these encoders have results on")
    return table.columns_kept(there)


def _standard(x: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Ranks within strata, centred, with a common standard deviation of 1."""
    ranks = pd.Series(x).groupby(blocks).transform(lambda v: (rankdata(v) - (len(v) + 1) / 2) / len(v)).to_numpy()
    return ranks / ranks.std()


def by_stratum(units: Units, x: np.ndarray, blocks: np.ndarray) -> list[dict]:
    """The effect in each stratum alone, without an interval: whether strata agree."""
    out = []
    for name in np.unique(blocks):
        here = blocks == name
        dx = x[here] - x[here].mean()
        effect = float(dx @ units.outcome[here] / (dx @ dx))
        out.append({"stratum": stratum_title(str(name)), "effect": effect, "encoders": int(here.sum())})
    return out


def points(
    table: ScoreTable, units: Units, blocks: np.ndarray, words: np.ndarray, x: np.ndarray | None = None
) -> list[dict]:
    """One row an encoder to draw: its group and outcome, or x and y."""
    about = table.encoders
    rows = [
        {"encoder": name, "paradigm": str(about["paradigm"].iloc[i]), "stratum": str(blocks[i])}
        for i, name in enumerate(about.index)
    ]
    for i, (row, y) in enumerate(zip(rows, units.outcome, strict=True)):
        row |= {"group": str(words[i]), "value": float(y)} if x is None else {"x": float(x[i]), "y": float(y)}
    return rows


SPOKEN = {"True": "medical-corpus", "False": "natural-corpus"}
"""How the values of `in_domain` are called."""


def title(words: list[str]) -> str:
    """What a group of encoders is called."""
    return "other" if len(words) > 2 else " or ".join(SPOKEN.get(word, word) for word in words)


ESTIMAND = Gap
