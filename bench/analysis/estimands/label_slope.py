"""How the gain of pretrained encoders over the reference changes with the number of labels."""

import numpy as np
import pandas as pd

from bench.analysis.crossed import contrast
from bench.analysis.estimands.gap import by_stratum, points
from bench.analysis.measurement import Estimand, Measurement, NotEnough
from bench.analysis.table import ScoreTable, covered, pick, strata, tabulate
from bench.analysis.units import units_of
from bench.words import SSL_PARADIGMS

REFERENCES = ["supervised", "random-init"]
"""Reference objectives, first choice first."""


class LabelSlope(Estimand):
    """Slope over log10(label fraction) of self-supervised encoders less that of references of the same stratum."""

    name = "label_slope"
    protocols: list[str]

    def measure(self, frame: pd.DataFrame, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is in score points per tenfold labels."""
        rows = pick(frame, self.protocols, budget=None, ssl=False)
        rows = rows[rows["fraction"].notna()]
        kind = next((r for r in REFERENCES if (rows["objective"] == r).any()), None)
        if kind is None:
            raise NotEnough(f"no reference encoder ({' or '.join(REFERENCES)}) in these results")
        rows = rows[rows["paradigm"].isin(SSL_PARADIGMS) | (rows["objective"] == kind)]
        table = covered(label_slopes(rows))
        ssl, blocks = table.encoders["paradigm"].isin(SSL_PARADIGMS).to_numpy(), strata(table.encoders)
        both = pd.Series(ssl).groupby(blocks).transform("nunique").to_numpy() > 1
        if not both.any():
            raise NotEnough(f"no stratum of network and size holds both pretrained and {kind} encoders")
        table, ssl, blocks = table.keep(both), ssl[both], blocks[both]
        shared = np.isfinite(table.values[ssl]).any(axis=(0, 2)) & np.isfinite(table.values[~ssl]).any(axis=(0, 2))
        if not shared.any():
            raise NotEnough("the reference encoders share no task with the others")
        table = table.columns_kept(shared)
        units = units_of(table, blocks)
        found = contrast(units, ssl.astype(float), blocks)
        return Measurement(
            found.effect, found.low, found.high, found.p, len(ssl), table.n_origins,
            table.columns["modality"].nunique(),
            groups={"self-supervised": int(ssl.sum()), kind: int((~ssl).sum())},
            chart=points(table, units, blocks, np.where(ssl, "self-supervised", kind)),
            details={"reference": kind, "by_stratum": by_stratum(units, ssl.astype(float), blocks)},
        )  # fmt: skip


def label_slopes(rows: pd.DataFrame) -> ScoreTable:
    """Least-squares slope of the score (points) over log10(fraction): encoders x tasks x seeds.

    The result at 100 %, which has one seed, belongs to every seed. NaN with fewer than two fractions.
    """
    fractions = sorted(rows["fraction"].unique())
    if len(fractions) < 2:
        raise NotEnough("results at fewer than two label fractions")
    # The fraction goes into the seed axis, so that every encoder x task keeps one array of fractions.
    seeds = np.sort(rows["seed"].unique())
    at = rows.assign(seed=rows["seed"].to_numpy(float) * 1000 + rows["fraction"].rank(method="dense").to_numpy() - 1)
    every = [at, *(at[at["fraction"] == 1.0].assign(seed=s * 1000.0 + len(fractions) - 1) for s in seeds)]
    table = tabulate(pd.concat(every) if 1.0 in fractions else at)
    codes = np.sort(pd.concat(every)["seed"].unique()) if 1.0 in fractions else np.sort(at["seed"].unique())
    cube = np.full((*table.values.shape[:2], len(seeds), len(fractions)), np.nan)
    for i, code in enumerate(codes):
        cube[:, :, np.searchsorted(seeds, code // 1000), int(code % 1000)] = table.values[:, :, i]
    return ScoreTable(_slope(cube, np.log10(fractions)), table.encoders, table.columns)


def _slope(cube: np.ndarray, x: np.ndarray) -> np.ndarray:
    there = np.isfinite(cube)
    n = there.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x = (there * x).sum(-1) / n
        mean_y = np.nansum(cube, -1) / n
        dx = np.where(there, x - mean_x[..., None], 0.0)
        slope = (dx * np.nan_to_num(cube - mean_y[..., None])).sum(-1) / (dx**2).sum(-1)
    return np.where(n >= 2, slope, np.nan)


ESTIMAND = LabelSlope
