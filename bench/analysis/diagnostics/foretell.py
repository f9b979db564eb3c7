"""How well each diagnostic orders encoders by Global and Dense score, beside the number of parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis.agreement import bootstrap_rows, tau_rows
from bench.analysis.table import centred, counted, covered, pick, tabulate, weights
from bench.recipes import FROZEN


def foretelling(frame: pd.DataFrame, diagnostics: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """One row a diagnostic x board: Kendall tau with a 95 % bootstrap interval over encoders, and n.

    diagnostics: one row an encoder, one column a diagnostic. "parameters" is added as the baseline every
    diagnostic must beat. Fewer than 4 encoders: no row; NaN where a diagnostic is alike for all.
    """
    frame, rows = counted(frame), []
    for board, probe in FROZEN.items():
        chosen = pick(frame, [probe])
        if chosen.empty:
            continue
        table = covered(centred(tabulate(chosen)))
        score = pd.Series(table.weighted(weights(table.columns)), table.encoders.index)
        about = diagnostics.assign(parameters=table.encoders["parameters"].reindex(diagnostics.index))
        for name in about:
            both = pd.concat([about[name].astype(float).rename("x"), score.rename("y")], axis=1, join="inner").dropna()
            if len(both) < 4:
                continue
            x, y = both["x"].to_numpy(), both["y"].to_numpy()
            low, high, tau = np.nan, np.nan, float(tau_rows(x[None], y[None])[0])
            if np.isfinite(tau):
                drawn = bootstrap_rows(len(both), resamples, np.random.default_rng(0))
                low, high = np.nanquantile(tau_rows(x[drawn], y[drawn]), [0.025, 0.975])
            rows.append({"diagnostic": name, "board": board, "tau": tau, "low": low, "high": high, "n": len(both)})
    return pd.DataFrame(rows, columns=["diagnostic", "board", "tau", "low", "high", "n"])
