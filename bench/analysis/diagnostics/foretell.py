"""How well each diagnostic orders encoders by Global and Dense score, beside the number of parameters."""

import pandas as pd

from bench.analysis.agreement import tau_with_interval
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
            tau, low, high = tau_with_interval(x, y, resamples)
            rows.append({"diagnostic": name, "board": board, "tau": tau, "low": low, "high": high, "n": len(both)})
    return pd.DataFrame(rows, columns=["diagnostic", "board", "tau", "low", "high", "n"])
