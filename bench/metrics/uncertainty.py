"""Statistics on replicates: nested seeds, paired differences, Holm, interquartile mean."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.metrics.resample import percentile_interval, seeded


def seed_draws(name: str, seeds: int, replicates: int) -> np.ndarray:
    """Which of a unit's seeds each replicate draws, with replacement: int64 (replicates, seeds).

    Depends on `name` (task and budget), the number of seeds and nothing else, so it is shared by all encoders.
    """
    return seeded(f"seeds\x00{name}\x00{seeds}").randint(0, seeds, size=(replicates, seeds), dtype=np.int64)


def nest_seeds(by_seed: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Replicates of the mean over seeds when seeds, then cases, are resampled: float64 (b,).

    by_seed: (s, b), the replicates of each seed over the same resampled cases. draws: (b, s) from `seed_draws`.
    Drawing s of s seeds with replacement has (s - 1) / s of the variance of a mean of s seeds, a fifth too little
    at five, so the deviation from the mean of all seeds is scaled by sqrt(s / (s - 1)) (Rao & Wu 1988).
    """
    seeds = len(by_seed)
    centre = by_seed.mean(axis=0)
    if seeds == 1:
        return centre
    drawn = np.take_along_axis(by_seed.T, draws, axis=1).mean(axis=1)
    return centre + np.sqrt(seeds / (seeds - 1)) * (drawn - centre)


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference with its 95 % interval."""

    value: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired_difference(a: float, b: float, replicates_a: np.ndarray, replicates_b: np.ndarray) -> Difference:
    """a - b with the percentile interval of the replicate-wise differences (same resamples on both sides)."""
    return Difference(a - b, *percentile_interval(replicates_a - replicates_b))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the family-wise error of the hypotheses given (Holm 1979), float64 (m,).

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half, a quarter cut from each end (whole values; Agarwal et al. 2021).

    >>> interquartile_mean(np.array([0.0, 0.4, 0.6, 9.0]))
    0.5
    """
    return float(stats.trim_mean(values, 0.25))
