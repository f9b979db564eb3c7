"""How the gain of pretrained encoders over the reference changes with the number of labels."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from bench.analysis.crossed import crossed_contrast
from bench.analysis.measurement import Effort, Estimand, Measurement, NotEnough
from bench.analysis.table import Table, pick, tabulate
from bench.words import SSL_PARADIGMS

REFERENCES = ["supervised", "random-init"]
"""Reference objectives, first choice first."""


class LabelSlope(Estimand):
    """Slope of (self-supervised less reference) over log10(label fraction), one value a source data set."""

    name = "label_slope"
    protocols: list[str]

    def measure(self, frame: pd.DataFrame, effort: Effort, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is in score points per tenfold labels."""
        rows = pick(frame, self.protocols, budget=None, ssl=False)
        rows = rows[rows["fraction"].notna()]
        kind = next((r for r in REFERENCES if (rows["objective"] == r).any()), None)
        if kind is None:
            raise NotEnough(f"no reference encoder ({' or '.join(REFERENCES)}) in these results")
        ssl = rows["paradigm"].isin(SSL_PARADIGMS)
        slopes, reference = _aligned(label_slopes(rows[ssl]), label_slopes(rows[rows["objective"] == kind]))
        origins, first, second = _by_origin(slopes, reference)
        if len(origins) < 2 or len(first) + len(second) < 3:
            raise NotEnough("fewer than two source data sets, or fewer than three encoders")
        found = crossed_contrast(first, second)
        return Measurement(
            effect=found.effect,
            low=found.low,
            high=found.high,
            p=found.p,
            n_encoders=len(first),
            n_tasks=len(origins),
            n_modalities=slopes.columns["modality"].nunique(),
            groups={"self-supervised": len(first), "reference": len(second)},
            chart=[{"origin": str(o), "value": float(v)} for o, v in zip(origins, found.by_task, strict=True)],
            details={"reference": kind, "standard_error": found.error},
        )


def label_slopes(rows: pd.DataFrame) -> Table:
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
    return Table(_slope(cube, np.log10(fractions)), table.encoders, table.columns)


def _slope(cube: np.ndarray, x: np.ndarray) -> np.ndarray:
    there = np.isfinite(cube)
    n = there.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x = (there * x).sum(-1) / n
        mean_y = np.nansum(cube, -1) / n
        dx = np.where(there, x - mean_x[..., None], 0.0)
        slope = (dx * np.nan_to_num(cube - mean_y[..., None])).sum(-1) / (dx**2).sum(-1)
    return np.where(n >= 2, slope, np.nan)


def _aligned(slopes: Table, reference: Table) -> tuple[Table, Table]:
    """Both tables on the tasks they share, in one order."""
    shared = sorted(set(slopes.columns["task"]) & set(reference.columns["task"]))
    if not shared:
        raise NotEnough("the reference encoders share no task with the others")
    out = []
    for table in (slopes, reference):
        place = table.columns.reset_index().set_index("task").loc[shared, "index"].to_numpy()
        out.append(Table(table.values[:, place], table.encoders, table.columns.iloc[place].reset_index(drop=True)))
    return out[0], out[1]


def _by_origin(slopes: Table, reference: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source data sets, and the slope of each encoder on each of them for both tables (mean over seeds and tasks)."""
    origins, member = np.unique(slopes.columns["origin"].to_numpy(), return_inverse=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a missing cell is NaN, as it should be
        means = [
            np.stack([np.nanmean(table.values[:, member == i], axis=(1, 2)) for i in range(len(origins))], axis=1)
            for table in (slopes, reference)
        ]
        known = np.isfinite(np.nanmean(means[0], axis=0) + np.nanmean(means[1], axis=0))
    there = [m[:, known][np.isfinite(m[:, known]).mean(axis=1) >= 0.5] for m in means]
    return origins[known], there[0], there[1]


ESTIMAND = LabelSlope
