"""How the gain of pretrained encoders over the reference changes with the number of labels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis import bootstrap, permutation
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
        slopes = label_slopes(rows[ssl])
        reference = label_slopes(rows[rows["objective"] == kind])
        gain = _less(slopes, reference)
        origin, y = _by_origin(gain, np.ones(len(gain.values)))
        estimate = float(y.mean())
        low, high = self._interval(gain, estimate, effort)
        return Measurement(
            effect=estimate,
            low=low,
            high=high,
            p=permutation.p_sign_flip(y, effort.permutations, effort.rng(1)),
            n_encoders=len(gain.values),
            n_tasks=len(y),
            n_modalities=gain.columns["modality"].nunique(),
            groups={"self-supervised": len(gain.values), "reference": len(reference.values)},
            chart=[{"origin": o, "value": float(v)} for o, v in zip(origin, y, strict=True)],
            details={"reference": kind},
        )

    def _interval(self, gain: Table, estimate: float, effort: Effort):
        rng, b = effort.rng(2), effort.resamples
        columns = bootstrap.cluster_counts(gain.columns["origin"], np.zeros(len(gain.columns)), b, rng)
        seeds = bootstrap.counts(np.zeros(gain.values.shape[2]), b, rng)
        encoders = bootstrap.counts(np.zeros(len(gain.values)), b, rng)
        in_origin = gain.columns.groupby("origin")["task"].transform("size").to_numpy()
        means = bootstrap.encoder_means(gain.values, 1.0 / in_origin, columns, seeds)
        draws = np.nansum(encoders * means, axis=1) / (encoders * np.isfinite(means)).sum(axis=1)
        return bootstrap.expanded(estimate, draws, [gain.n_origins])


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


def _less(slopes: Table, reference: Table) -> Table:
    """Slopes less the mean reference slope of the same task and seed; tasks without a reference go."""
    shared = slopes.columns["task"].isin(reference.columns["task"]).to_numpy()
    if not shared.any():
        raise NotEnough("the reference encoders share no task with the others")
    place = reference.columns.reset_index().set_index("task")["index"]
    order = place.loc[slopes.columns["task"][shared]].to_numpy()
    with np.errstate(invalid="ignore"):
        base = np.nanmean(reference.values, axis=0)[order]
    values = slopes.values[:, shared] - base[None, :, : slopes.values.shape[2]]
    return Table(values, slopes.encoders, slopes.columns[shared].reset_index(drop=True))


def _by_origin(gain: Table, encoder_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    by_task = np.nanmean(gain.values, axis=(0, 2))
    grouped = pd.Series(by_task).groupby(gain.columns["origin"].to_numpy()).mean().dropna()
    return grouped.index.to_numpy(), grouped.to_numpy()


ESTIMAND = LabelSlope
