"""How much the mean of an encoder's profile differs between paradigms, beyond the spread within a paradigm."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis import bootstrap, permutation
from bench.analysis.estimands.label_slope import label_slopes
from bench.analysis.measurement import Effort, Estimand, Measurement, NotEnough
from bench.analysis.table import Table, centred, covered, pick, strata, tabulate, weights


class Dispersion(Estimand):
    """Standard deviation between paradigms of a profile: by modality, of the label slope, or of the shift residual."""

    name = "dispersion"
    of: Literal["modality", "label slope", "shift"]
    protocols: list[str]
    budget: str = "100%"

    def measure(self, frame: pd.DataFrame, effort: Effort, diagnostics: pd.DataFrame | None = None) -> Measurement:
        """See Estimand.measure. The effect is a standard deviation, in score points (per tenfold labels for slopes)."""
        table, shifted = self._tables(frame)
        z, names = self._profile(table, shifted)
        whole = np.isfinite(z).all(axis=1)
        table, z = table.keep(whole), z[whole]
        labels = table.encoders["paradigm"].astype(str).to_numpy()
        paradigms, sizes = np.unique(labels, return_counts=True)
        if len(paradigms) < 2 or len(labels) <= len(paradigms):
            raise NotEnough("fewer than two paradigms, or no two encoders of one paradigm")
        blocks = strata(table.encoders)
        onehot = (paradigms[:, None] == labels).astype(float)
        p = permutation.p_dispersion(z, onehot, blocks, effort.permutations, effort.rng(1))
        variance = float(component(permutation.within_strata(z, blocks), onehot))
        low, high = self._interval(table, shifted and shifted.keep(whole), labels, blocks, onehot, variance, effort)
        return Measurement(
            effect=float(np.sqrt(max(0.0, variance))),
            low=low,
            high=high,
            p=p,
            n_encoders=len(labels),
            n_tasks=table.n_origins,
            n_modalities=table.columns["modality"].nunique(),
            groups=dict(zip(paradigms.tolist(), sizes.tolist(), strict=True)),
            one_sided_above=True,
            chart=_means(z, onehot, paradigms, names),
            details={"profile": names},
        )

    def _tables(self, frame: pd.DataFrame) -> tuple[Table, Table | None]:
        if self.of == "label slope":
            rows = pick(frame, self.protocols, budget=None)
            rows = rows[rows["fraction"].notna()]
            if rows.empty:
                raise NotEnough("no results at label fractions")
            return covered(centred(label_slopes(rows))), None
        rows = pick(frame, self.protocols, budget=self.budget)
        if rows.empty:
            raise NotEnough(f"no results under {' or '.join(self.protocols)} at {self.budget}")
        if self.of == "modality":
            return covered(centred(tabulate(rows))), None
        moved = pick(frame, self.protocols, budget=self.budget, split="test-shift")
        if moved.empty:
            raise NotEnough("no results on a shifted test set")
        rows = rows[rows["task"].isin(moved["task"])]
        both = set(rows["encoder"].astype(str)) & set(moved["encoder"].astype(str))
        rows, moved = (r[r["encoder"].astype(str).isin(both)] for r in (rows, moved))
        return centred(tabulate(rows)), centred(tabulate(moved))

    def _profile(self, table: Table, shifted: Table | None, draws=None):
        """Profile z (E, M), or (B, E, M) under resampled columns and seeds, and the names of its M parts."""
        ones = np.ones((1, table.values.shape[1])), np.ones((1, table.values.shape[2]))
        columns, seeds = draws or ones
        if self.of == "modality":
            z, names = _by_modality(table, columns, seeds)
        else:
            z = bootstrap.encoder_means(table.values, weights(table.columns), columns, seeds)[..., None]
            names = [self.of]
        if shifted is not None:
            there = bootstrap.encoder_means(shifted.values, weights(shifted.columns), columns, seeds)
            z = _off_line(there, z[..., 0])[..., None]
        return (z if draws else z[0]), names

    def _interval(self, table, shifted, labels, blocks, onehot, variance, effort):
        rng, b = effort.rng(2), max(200, effort.resamples // 4)
        columns = bootstrap.cluster_counts(table.columns["origin"], _cells(table.columns), b, rng)
        seeds = bootstrap.counts(np.zeros(table.values.shape[2]), b, rng)
        z, _ = self._profile(table, shifted, (columns, seeds))
        drawn = _drawn_rows(labels, b, rng)
        z = np.take_along_axis(z, drawn[:, :, None], axis=1)
        whole = np.isfinite(z).all(axis=(1, 2))
        draws = component(_within(z[whole], blocks[drawn[whole]]), onehot)
        if len(draws) < 100:
            return None, None
        # Resampling adds the within-group noise once more: the draws are moved back to the estimate.
        low, high = bootstrap.expanded(variance, draws - draws.mean() + variance, onehot.sum(1).astype(int).tolist())
        if low is None or high is None:
            return None, None
        return float(np.sqrt(max(0.0, low))), float(np.sqrt(max(0.0, high)))


def component(z: np.ndarray, onehot: np.ndarray) -> np.ndarray:
    """Variance between groups of z (..., E, M), averaged over M, from one-way mean squares: (...,); may be negative."""
    sizes = onehot.sum(axis=1)
    n, g = sizes.sum(), len(sizes)
    means = (onehot @ z) / sizes[:, None]
    ms_between = (sizes[:, None] * (means - z.mean(-2, keepdims=True)) ** 2).sum(-2) / (g - 1)
    ms_within = ((z - onehot.T @ means) ** 2).sum(-2) / (n - g)
    n0 = (n - (sizes**2).sum() / n) / (g - 1)
    return ((ms_between - ms_within) / n0).mean(-1)


def _within(z: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """z (B, E, M) less the mean of its stratum, blocks (B, E), within each resample."""
    out = np.array(z)
    for name in np.unique(blocks):
        here = (blocks == name)[:, :, None]
        count = np.maximum(1, here.sum(1, keepdims=True))
        out = np.where(here, z - (z * here).sum(1, keepdims=True) / count, out)
    return out


def _by_modality(table: Table, columns: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Mean of each encoder in each modality, less its mean over modalities, within kind; then over kinds."""
    parts: dict[str, list[np.ndarray]] = {}
    for kind in sorted(table.columns["kind"].unique()):
        names = sorted(table.columns.loc[table.columns["kind"] == kind, "modality"].unique())
        if len(names) < 2:
            continue
        means = []
        for name in names:
            c = ((table.columns["kind"] == kind) & (table.columns["modality"] == name)).to_numpy()
            here = weights(table.columns[c].reset_index(drop=True))
            means.append(bootstrap.encoder_means(table.values[:, c], here, columns[:, c], seeds))
        middle = np.mean(means, axis=0)
        for name, mean in zip(names, means, strict=True):
            parts.setdefault(name, []).append(mean - middle)
    if len(parts) < 2:
        raise NotEnough("fewer than two modalities")
    names = sorted(parts)
    return np.stack([np.mean(parts[name], axis=0) for name in names], axis=-1), names


def _cells(columns: pd.DataFrame) -> np.ndarray:
    """Resampling stratum of each column: its kind x modality cell, so that no resample empties a modality."""
    return (columns["kind"] + "|" + columns["modality"]).to_numpy()


def _drawn_rows(labels: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    out = np.empty((resamples, len(labels)), int)
    for name in np.unique(labels):
        rows = np.flatnonzero(labels == name)
        out[:, rows] = rows[rng.integers(len(rows), size=(resamples, len(rows)))]
    return out


def _off_line(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """y (B, E) less its least-squares line over x (B, E)."""
    dx, dy = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    slope = (dx * dy).sum(-1) / np.maximum(1e-12, (dx**2).sum(-1))
    return dy - slope[:, None] * dx


def _means(z: np.ndarray, onehot: np.ndarray, paradigms: np.ndarray, names: list[str]) -> list[dict]:
    means = (onehot @ z) / onehot.sum(axis=1)[:, None]
    return [
        {"paradigm": str(p), "part": name, "value": float(means[i, j])}
        for i, p in enumerate(paradigms)
        for j, name in enumerate(names)
    ]


ESTIMAND = Dispersion
