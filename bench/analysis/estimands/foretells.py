"""How well a label-free diagnostic orders encoders by their scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from bench.analysis import bootstrap
from bench.analysis.agreement import bootstrap_rows, tau_rows
from bench.analysis.measurement import Effort, Estimand, Measurement, NotEnough
from bench.analysis.sides import split_sides
from bench.analysis.table import centred, covered, pick, tabulate, weights


class Foretells(Estimand):
    """Tau of a diagnostic with the score of one side, less its tau with the other side, or less a baseline's tau.

    With `as_gap`, the tau of the diagnostic with the one side's score less the other's.
    """

    name = "foretells"
    diagnostic: str
    baseline: str | None = None
    more: str
    less: str | None = None
    as_gap: bool = False
    protocols: list[str]
    budget: str = "100%"

    def measure(self, frame: pd.DataFrame, effort: Effort, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is in units of Kendall tau; the interval is a bootstrap over encoders."""
        if diagnostics is None or self.diagnostic not in diagnostics:
            raise NotEnough(f"the diagnostic {self.diagnostic} was not computed for these encoders")
        rows, side = split_sides(pick(frame, self.protocols, budget=self.budget), self.more, self.less)
        table = covered(centred(tabulate(rows, side)))
        ones = np.ones((1, table.values.shape[2]))
        data = pd.DataFrame(index=table.encoders.index)
        for name in table.columns["side"].unique():
            part = table.side(name)
            ones_c = np.ones((1, len(part.columns)))
            data[name] = bootstrap.encoder_means(part.values, weights(part.columns), ones_c, ones)[0]
        data["x"] = diagnostics[self.diagnostic].reindex(data.index)
        data["baseline"] = table.encoders[self.baseline].astype(float) if self.baseline else 0.0
        data = data.dropna()
        if len(data) < 4:
            raise NotEnough("fewer than four encoders have both the diagnostic and the scores")
        for column, what in (("x", self.diagnostic), ("baseline", self.baseline)):
            if what and data[column].nunique() < 2:
                raise NotEnough(f"{what} is the same for all encoders: nothing to order them by")
        drawn = bootstrap_rows(len(data), effort.resamples, effort.rng(2))
        estimate, draws = self._difference(data, np.arange(len(data))[None])[0], self._difference(data, drawn)
        low, high = bootstrap.expanded(float(estimate), draws, [len(data)])
        return Measurement(
            effect=float(estimate),
            low=low,
            high=high,
            p=bootstrap.p_from(draws),
            n_encoders=len(data),
            n_tasks=table.n_origins,
            n_modalities=table.columns["modality"].nunique(),
            groups={"self-supervised": len(data)},
            details={"tau": float(kendalltau(data["x"], data["more"]).statistic), **self._axes()},
            chart=[
                {"encoder": e, "x": float(r.x), "y": float(r.more - r.less if self.as_gap else r.more)}
                for e, r in data.iterrows()
            ],
        )

    def _axes(self) -> dict[str, str]:
        """Titles of the picture."""
        sides = [self.more, self.less] if self.as_gap and self.less else [self.more]
        score = " less ".join(side.partition("=")[2] or side for side in sides)
        return {"x": self.diagnostic, "y": f"{score} score, points, centred"}

    def _difference(self, data: pd.DataFrame, drawn: np.ndarray) -> np.ndarray:
        x, more = data["x"].to_numpy()[drawn], data["more"].to_numpy()[drawn]
        less = data["less"].to_numpy()[drawn] if "less" in data else None
        if self.as_gap:
            return tau_rows(x, more - less)
        if self.baseline:
            return tau_rows(x, more) - tau_rows(data["baseline"].to_numpy()[drawn], more)
        return tau_rows(x, more) - tau_rows(x, less)


ESTIMAND = Foretells
