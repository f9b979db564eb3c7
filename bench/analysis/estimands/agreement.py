"""Agreement of two protocols about the order of encoders."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from bench.analysis import bootstrap
from bench.analysis.agreement import bootstrap_tau
from bench.analysis.measurement import Effort, Estimand, Measurement, NotEnough
from bench.analysis.table import centred, covered, pick, tabulate, weights


class Agreement(Estimand):
    """Kendall tau between the mean scores of the same encoders on the same tasks under two protocols, less `level`."""

    name = "agreement"
    protocols: list[str]
    budget: str = "100%"
    level: float = 0.5

    def measure(self, frame: pd.DataFrame, effort: Effort, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. `effect` is tau - level; the interval is a bootstrap over encoders."""
        tables = []
        for protocol in self.protocols:
            rows = pick(frame, [protocol], budget=self.budget)
            if rows.empty:
                raise NotEnough(f"no results under {protocol} at {self.budget}")
            tables.append(rows)
        tasks = set(tables[0]["task"].astype(str)) & set(tables[1]["task"].astype(str))
        means = [_means(rows[rows["task"].isin(tasks)]) for rows in tables]
        both = pd.concat(means, axis=1, join="inner").dropna()
        if len(both) < 4:
            raise NotEnough("fewer than four encoders were run under both protocols")
        x, y = both.to_numpy().T
        tau = float(kendalltau(x, y).statistic)
        draws = bootstrap_tau(x, y, effort.resamples, effort.rng(2)) - self.level
        low, high = bootstrap.expanded(tau - self.level, draws, [len(both)])
        return Measurement(
            effect=tau - self.level,
            low=low,
            high=high,
            p=bootstrap.p_from(draws),
            n_encoders=len(both),
            n_tasks=len(tasks),
            groups={"self-supervised": len(both)},
            details={"tau": tau, "x": self.protocols[0], "y": self.protocols[1]},
            chart=[{"encoder": e, "x": float(a), "y": float(b)} for e, a, b in zip(both.index, x, y, strict=True)],
        )


def _means(rows: pd.DataFrame) -> pd.Series:
    table = covered(centred(tabulate(rows)))
    ones = np.ones((1, table.values.shape[1])), np.ones((1, table.values.shape[2]))
    return pd.Series(bootstrap.encoder_means(table.values, weights(table.columns), *ones)[0], table.encoders.index)


ESTIMAND = Agreement
