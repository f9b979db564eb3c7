"""Effects over encoders and data sets when both are samples: crossed random effects, each pair with its own residual.

Whoever says something about paradigms speaks of other encoders and other data sets than those at hand. So an effect is
set against the spread of encoders about their group, plus the spread of the effect from data set to data set, less the
residual that both hold: the quasi-F ratio (Clark 1973, J. Verbal Learn. Verbal Behav. 12:335), with the degrees of
freedom of Satterthwaite (1946, Biometrics Bull. 2:110).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space, orth
from scipy.optimize import brentq
from scipy.stats import chi2, ncf, t
from scipy.stats import f as f_distribution

from bench.analysis.measurement import NotEnough
from bench.analysis.units import Units


class Axis(NamedTuple):
    """Orthonormal columns of one side of the table: what is asked about, and the spread it is judged against."""

    target: np.ndarray
    rest: np.ndarray


class Term(NamedTuple):
    """A mean square and its degrees of freedom."""

    square: float
    df: float


@dataclass(frozen=True)
class Contrast:
    """A difference with its standard error, 95 % interval and two-sided p."""

    effect: float
    error: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Spread:
    """A standard deviation with its 95 % interval (low may be 0) and the one-sided p of 0."""

    effect: float
    low: float
    high: float
    p: float


def axis(target: np.ndarray, strata: np.ndarray) -> Axis:
    """Axis of `target` (N, k) within strata (N,): all strata keep their own level. Raises NotEnough."""
    levels = (strata[:, None] == np.unique(strata)).astype(float)
    levels = levels / np.sqrt(levels.sum(axis=0))
    inside = target - levels @ (levels.T @ target)
    basis = orth(inside, rcond=1e-9) if np.abs(inside).max(initial=0.0) > 1e-12 else inside[:, :0]
    rest = null_space(np.hstack([levels, basis]).T) if basis.size else basis
    if not basis.shape[1] or not rest.shape[1]:
        raise NotEnough("no stratum of network and size holds more encoders than groups")
    return Axis(basis, rest)


def contrast(units: Units, x: np.ndarray, strata: np.ndarray) -> Contrast:
    """Change of the weighted outcome when x (E,) rises by 1, within strata; for x in {0, 1} a difference of means."""
    encoders = axis(x[:, None].astype(float), strata)
    direction = encoders.target[:, 0] / (encoders.target[:, 0] @ x)
    effect = float(direction @ units.outcome)
    _, noise = _mean_terms(units, encoders)
    error = float(np.linalg.norm(direction) * np.sqrt(noise.square))
    half = float(t.ppf(0.975, noise.df)) * error
    p = float(2 * t.sf(abs(effect) / error, noise.df)) if error > 0 else float(effect == 0)
    return Contrast(effect, error, effect - half, effect + half, p)


def spread_of_means(units: Units, groups: np.ndarray, strata: np.ndarray) -> Spread:
    """Standard deviation between groups (E, G) of the weighted outcome, within strata."""
    encoders = axis(groups, strata)
    signal, noise = _mean_terms(units, encoders)
    return _spread(signal, noise, _mass(encoders.target, groups))


def spread_of_parts(units: Units, groups: np.ndarray, strata: np.ndarray, parts: np.ndarray, kinds: np.ndarray):
    """Standard deviation of the groups x parts interaction (parts: (U,), e.g. modalities) within strata and kinds.

    It is set against encoder x part and group x data set; so some part must hold two data sets of one kind, or parts
    must overlap between kinds. Raises NotEnough.
    """
    encoders = axis(groups, strata)
    onehot = (parts[:, None] == np.unique(parts)).astype(float)
    try:
        sets = axis(onehot, kinds)
    except NotEnough:
        raise NotEnough("every modality has a single data set: the two cannot be told apart") from None
    term = {
        (a, b): Term(float(((e.T @ units.values @ s) ** 2).mean()), e.shape[1] * s.shape[1])
        for a, e in zip("tr", encoders, strict=True)
        for b, s in zip("tr", sets, strict=True)
    }
    noise = _noise(term["r", "t"], term["t", "r"], term["r", "r"])
    return _spread(term["t", "t"], noise, _mass(encoders.target, groups) * _mass(sets.target, onehot))


def _mean_terms(units: Units, encoders: Axis) -> tuple[Term, Term]:
    """Mean squares of the outcome along the target, and of the noise it is judged against."""
    free = units.df_sets
    (hit, hit_set), (rest, rest_set) = (
        (Term(float(((e.T @ units.outcome) ** 2).mean()), e.shape[1]),
         Term(float(((e.T @ units.by_set) ** 2).sum() / e.shape[1] * units.correction), e.shape[1] * free))
        for e in encoders
    )  # fmt: skip
    return hit, _noise(rest, hit_set, rest_set)


def _noise(encoders: Term, sets: Term, both: Term) -> Term:
    """Encoders plus data sets less what both hold; never below the larger of the two."""
    total = encoders.square + sets.square - both.square
    larger = max(encoders, sets)
    if total <= larger.square:
        return larger
    return Term(total, max(1.0, total**2 / sum(m.square**2 / m.df for m in (encoders, sets, both))))


def _mass(basis: np.ndarray, members: np.ndarray) -> float:
    """How much of a variance of 1 between members reaches each direction of a basis, on average."""
    return float(((basis.T @ members) ** 2).sum() / basis.shape[1])


def _spread(signal: Term, noise: Term, mass: float) -> Spread:
    """From the ratio of mean squares; the interval inverts the noncentral F distribution (Steiger 2004)."""
    if noise.square <= 0:
        size = float(np.sqrt(signal.square / mass))
        return Spread(size, size, size, 0.0 if size > 0 else 1.0)
    ratio, scale = signal.square / noise.square, noise.square / (signal.df * mass)
    low, high = (_noncentrality(ratio, signal.df, noise.df, q) for q in (0.975, 0.025))
    variance = max(0.0, signal.square - noise.square) / mass
    p = float(f_distribution.sf(ratio, signal.df, noise.df))
    return Spread(float(np.sqrt(variance)), float(np.sqrt(low * scale)), float(np.sqrt(high * scale)), p)


def _noncentrality(ratio: float, df1: float, df2: float, quantile: float) -> float:
    """The noncentrality under which `ratio` is this quantile of F; 0 where none is."""
    if f_distribution.cdf(ratio, df1, df2) <= quantile:
        return 0.0
    if ratio > 1000:  # the signal is known: what is left is the spread of the noise, and ncf would take for ever
        return float(ratio * df1 * chi2.ppf(1 - quantile, df2) / df2)
    top = 1.0
    while ncf.cdf(ratio, df1, df2, top) > quantile:
        top *= 2
    return float(brentq(lambda x: ncf.cdf(ratio, df1, df2, x) - quantile, 0, top))
