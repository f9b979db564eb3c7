"""What a pathology-aware method adds to the method it is made from, on the lesions that are hardest to see."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from bench.analysis.crossed import contrast
from bench.analysis.estimands.gap import by_stratum, points
from bench.analysis.measurement import Estimand, Measurement, NotEnough
from bench.analysis.sides import subtlety
from bench.analysis.table import covered, pick, strata, tabulate
from bench.analysis.units import units_of
from bench.budget import FULL, Budget


class Control(Estimand):
    """Score on the hardest lesion strata of each method less that of its control, in a controlled comparison.

    controls: method -> its control, as cards name them. Every pretraining seed counts as an encoder, so that the
    interval holds the luck of a seed and of the data sets; it speaks of these methods and not of others.
    """

    name = "control"
    repeats: ClassVar[bool] = True
    protocols: list[str]
    budget: Budget = FULL
    controls: dict[str, str]

    def measure(self, frame: pd.DataFrame, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is in score points."""
        control = frame["method"].astype(str).map({**{c: c for c in self.controls.values()}, **self.controls})
        rows = frame[control.notna() & frame["controlled_track"].notna()]
        rows = pick(rows, self.protocols, budget=self.budget, primary=False)
        if rows.empty:
            raise NotEnough("no controlled comparison of a pathology-aware method under these protocols")
        rows, side = subtlety(rows)
        table = covered(tabulate(rows[side == "subtle"], value="value"))
        method = table.encoders["method"].astype(str)
        aware = method.isin(list(self.controls)).to_numpy()
        pair = method.replace(self.controls).to_numpy(str)
        blocks = np.array(
            [f"{stratum}, beside {name}" for stratum, name in zip(strata(table.encoders), pair, strict=True)]
        )
        both = pd.Series(aware).groupby(blocks).transform("nunique").to_numpy() > 1
        if not both.any():
            raise NotEnough("no pathology-aware method stands beside its control")
        table, aware, blocks = table.keep(both), aware[both], blocks[both]
        units = units_of(table, blocks)
        found = contrast(units, aware.astype(float), blocks)
        words = np.where(aware, "pathology-aware", "control")
        return Measurement(
            found.effect, found.low, found.high, found.p, len(aware), table.n_origins,
            table.columns["modality"].nunique(),
            groups={"pathology-aware": int(aware.sum()), "control": int((~aware).sum())},
            chart=points(table, units, blocks, words),
            details={"by_stratum": by_stratum(units, aware.astype(float), blocks)},
        )  # fmt: skip


ESTIMAND = Control
