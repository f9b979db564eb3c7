"""Two groups of encoders on the same tasks, when both encoders and tasks are samples (crossed random effects)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t


@dataclass(frozen=True)
class Contrast:
    """Difference of two group means with its standard error, 95 % interval and two-sided p."""

    effect: float
    error: float
    low: float
    high: float
    p: float
    by_task: np.ndarray
    """Difference on each task, float64 (T,)."""


def crossed_contrast(first: np.ndarray, second: np.ndarray) -> Contrast:
    """Mean of `first` (n, T) less mean of `second` (m, T), encoders x tasks; NaN where missing; n + m > 2, T > 1.

    Var = s_T^2 / T + s_E^2 (1/n + 1/m) - s_R^2 (1/n + 1/m) / T: the spread over tasks of the difference, the spread of
    encoders about their group, and the residual that both of these hold, taken off once. Degrees of freedom after
    Satterthwaite. Encoder spread is pooled over both groups, so that a single reference is enough.
    """
    n, m, tasks = len(first), len(second), first.shape[1]
    by_task = np.nanmean(first, axis=0) - np.nanmean(second, axis=0)
    effect, share = float(np.nanmean(by_task)), 1 / n + 1 / m
    inner = [group - np.nanmean(group, axis=0) for group in (first, second)]
    level = [np.nanmean(group, axis=1) for group in inner]
    free = n + m - 2
    var_encoder = sum((x**2).sum() for x in level) / free
    rest = sum(np.nansum((group - x[:, None]) ** 2) for group, x in zip(inner, level, strict=True))
    var_rest = rest / (free * (tasks - 1))
    from_tasks, from_encoders = float(np.nanvar(by_task, ddof=1)) / tasks, var_encoder * share
    variance = max(from_tasks + from_encoders - var_rest * share / tasks, from_tasks, from_encoders)
    df = (from_tasks + from_encoders) ** 2 / (from_tasks**2 / (tasks - 1) + from_encoders**2 / free)
    error = float(np.sqrt(variance))
    half = float(t.ppf(0.975, df)) * error
    p = float(2 * t.sf(abs(effect) / error, df)) if error > 0 else float(effect == 0)
    return Contrast(effect, error, effect - half, effect + half, p, by_task)
