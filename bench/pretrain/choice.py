"""The choice of learning rates from equal trials, above their own noise.

All objectives take the rate that is best on the whole, but for one whose own best is better by more than chance
explains; a pathology-aware objective takes the rate of its control.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, variance

from bench.pretrain.job import objectives

Outcomes = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Objective -> learning rate (as text) -> seed (as text) -> score of the probe."""
STANDARD_ERRORS = 2.0
"""A margin counts when it is over this many standard errors of a difference of two outcomes."""


@dataclass(frozen=True)
class ChosenRates:
    """What was chosen, and why.

    common: the rate of the best mean over objectives. noise: standard deviation of an outcome between seeds, pooled;
    None when no trial was repeated, and then all take the common rate. rates, best, margins: by objective, the rate
    taken, the one with the best outcome, and by how much that outcome is over the one at the common rate.
    """

    common: float
    noise: float | None
    rates: Mapping[str, float]
    best: Mapping[str, float]
    margins: Mapping[str, float]


def choose(outcomes: Outcomes) -> ChosenRates:
    """The choice from outcomes that hold the same rates for every objective; the lower rate at a tie."""
    means = {
        name: {float(rate): fmean(seeds.values()) for rate, seeds in rates.items()} for name, rates in outcomes.items()
    }
    rates = sorted({rate for found in means.values() for rate in found})
    common = max(rates, key=lambda rate: (fmean(found[rate] for found in means.values()), -rate))
    best = {name: max(found, key=lambda rate: (found[rate], -rate)) for name, found in means.items()}
    margins = {name: found[best[name]] - found[common] for name, found in means.items()}
    noise = seed_noise(outcomes)
    least = float("inf") if noise is None else STANDARD_ERRORS * 2**0.5 * noise
    taken = {name: best[name] if margins[name] > least else common for name in sorted(means)}
    taken |= {name: taken[_control(name)] for name in taken if _control(name) in taken}
    return ChosenRates(common, noise, taken, best, margins)


def seed_noise(outcomes: Outcomes) -> float | None:
    """Standard deviation between seeds of the same trial, pooled over those with several; None without any."""
    groups = [list(seeds.values()) for rates in outcomes.values() for seeds in rates.values() if len(seeds) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    return (sum((len(g) - 1) * variance(g) for g in groups) / freedom) ** 0.5 if freedom else None


def _control(objective: str) -> str:
    return objectives()[objective].control if objective in objectives() else ""
