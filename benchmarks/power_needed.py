"""How many encoders and data sets the confirmatory claims need, with the spreads measured on the shipped boards.

Part of `benchmarks/power.py`. For each claim the test of the ledger is run on the board, what it was given is taken
apart into spreads (method of moments, as in `bench.analysis.crossed`), and new boards are drawn from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd

from bench.analysis import crossed
from bench.analysis.claim import Claim, read_ledger
from bench.analysis.crossed import axis, contrast, spread_of_parts
from bench.analysis.estimands import dispersion, gap, label_slope
from bench.analysis.evaluate import estimand_of
from bench.analysis.measurement import NotEnough
from bench.analysis.source import read_results_table
from bench.analysis.table import counted
from bench.analysis.units import Units
from bench.markers import table

SUITES = ("open-v1", "phantom-v1")
EFFECTS = (4.0, 8.0)
SETS = (8, 16, 32, 64)
ENCODERS = (4, 5, 6, 8, 10, 12, 16, 24, 32)
"""Of each group (H4: of each of four paradigms) that are tried, in this order."""
POWER = 0.8
TESTS = {
    "gap": (gap, "contrast"), "label_slope": (label_slope, "contrast"), "dispersion": (dispersion, "spread_of_parts"),
}  # fmt: skip
"""Estimand of the ledger -> its module, and the test that it calls there."""


class Spreads(NamedTuple):
    """Of one test on one board, as standard deviations in its units: points, for H2 points per tenfold labels.

    encoder: between encoders of one group. residual: of encoder x data set. by_set: of the difference of the groups
    from data set to data set, beyond what encoders make of it (H4: of paradigm x data set within a modality).
    seen: the same as it is seen, encoders included (not H4). by_part: of encoder x modality (H4).
    """

    claim: str
    suite: str
    encoders: str
    sets: int
    encoder: float
    residual: float
    by_set: float
    seen: float = 0.0
    by_part: float = 0.0


def measured() -> Iterator[Spreads]:
    """The spreads behind H1 (both parts), H2, H3 and H4 on each board that can say them."""
    for suite in SUITES:
        frame = read_results_table(suite=suite).frame
        frame = counted(frame[frame["primary"] | frame["metric"].str.contains("[", regex=False)])
        for claim in (c for c in read_ledger() if c.family == "confirmatory"):
            for part in claim.asked:
                try:
                    yield spreads(claim, part, frame, suite)
                except NotEnough:
                    continue


def spreads(claim: Claim, part: str, frame: pd.DataFrame, suite: str) -> Spreads:
    """What the test of a claim was given on a board, taken apart. Raises NotEnough."""
    module, function = TESTS[claim.test]
    given: list[tuple[Any, ...]] = []

    def listen(*args: Any) -> Any:
        given.append(args)
        return getattr(crossed, function)(*args)

    with patch.object(module, function, listen):
        found = estimand_of(claim, part).measure(frame)
    apart = _of_parts if function == "spread_of_parts" else _of_groups
    name, groups = f"{claim.id} {part}".strip(), " / ".join(map(str, found.groups.values()))
    return Spreads(name, suite, groups, found.n_tasks, *apart(*given[-1]))


def _of_groups(units: Units, x: np.ndarray, strata: np.ndarray) -> tuple[float, ...]:
    encoders = axis(x[:, None].astype(float), strata)
    width = 1 / (encoders.target[:, 0] @ x) ** 2
    (_, hit), (whole, rest) = (
        (((e.T @ units.outcome) ** 2).mean(), ((e.T @ units.by_set) ** 2).sum() / e.shape[1] * units.correction)
        for e in encoders
    )
    first = units.about["side"] == units.about["side"].iloc[0]
    one = (pd.Series(np.abs(units.weight))[first.to_numpy()].groupby(units.about["origin"][first]).sum() ** 2).sum()
    return _root(whole - rest), _root(rest / one), _root((hit - rest) * width / one), _root(hit * width / one)


def _of_parts(
    units: Units, groups: np.ndarray, strata: np.ndarray, parts: np.ndarray, kinds: np.ndarray
) -> tuple[float, ...]:
    encoders, onehot = axis(groups, strata), (parts[:, None] == np.unique(parts)).astype(float)
    sets = axis(onehot, kinds)
    rest, hit, modal = (
        ((e.T @ units.values @ s) ** 2).mean()
        for e, s in ((encoders.rest, sets.rest), (encoders.target, sets.rest), (encoders.rest, sets.target))
    )
    by_set = (hit - rest) / crossed._mass(encoders.target, groups)
    return 0.0, _root(rest), _root(by_set), 0.0, _root((modal - rest) / crossed._mass(sets.target, onehot))


def _root(variance: float) -> float:
    """A standard deviation; 0 for an estimate that fell below it."""
    return float(np.sqrt(max(0.0, variance)))


def units(values: np.ndarray, strata: np.ndarray) -> Units:
    """Outcomes (E, T), centred within strata, every data set alike."""
    centred, n = np.array(values), values.shape[1]
    for name in np.unique(strata):
        centred[strata == name] -= centred[strata == name].mean(axis=0)
    return Units(centred, pd.DataFrame({"side": "more", "origin": np.arange(n)}), np.full(n, 1 / n))


def interaction(paradigms: int, modalities: int, rng: np.random.Generator) -> np.ndarray:
    """A paradigm x modality table, doubly centred, whose mean square (by degrees of freedom) is 1."""
    lead = rng.normal(size=(paradigms, modalities))
    lead = lead - lead.mean(0) - lead.mean(1, keepdims=True) + lead.mean()
    return lead / np.sqrt((lead**2).sum() / ((paradigms - 1) * (modalities - 1)))


def rejects(found: Spreads, n: int, sets: int, effect: float, rng: np.random.Generator) -> bool:
    """Whether the test of one draw has p < 0.05 and the right sign: n encoders a group (H2: against one reference)."""
    if found.claim == "H4":
        group, modality = np.repeat(np.arange(4), n), np.arange(sets) // 2
        by_set, by_part = (rng.normal(0, s, (k, sets)) for s, k in ((found.by_set, 4), (found.residual, 4 * n)))
        y = by_set[group] + by_part + rng.normal(0, found.by_part, (4 * n, sets // 2))[:, modality]
        y += effect * interaction(4, sets // 2, rng)[group][:, modality]
        one = np.zeros(4 * n)
        return spread_of_parts(units(y, one), np.eye(4)[group], one, modality, np.zeros(sets)).p < 0.05
    x = np.repeat([1.0, 0.0], [n, 1 if found.claim == "H2" else n])
    y = rng.normal(0, found.encoder, (len(x), 1)) + rng.normal(0, found.residual, (len(x), sets))
    y += x[:, None] * (effect + rng.normal(0, found.by_set, sets))
    result = contrast(units(y, np.zeros(len(x))), x, np.zeros(len(x)))
    return result.p < 0.05 and result.effect > 0


def power(found: Spreads, n: int, sets: int, effect: float, replications: int) -> float:
    """Share of the draws that the test rejects."""
    rng = np.random.default_rng([n, sets, int(abs(effect))])
    with patch.object(crossed, "_noncentrality", return_value=0.0):  # intervals are slow and not asked for
        return float(np.mean([rejects(found, n, sets, effect, rng) for _ in range(replications)]))


def needed(found: Spreads, sets: int, effect: float, replications: int) -> str:
    """The fewest encoders a group with 80 % power; beyond those tried, the power that the most of them reach."""
    best = 0.0
    for n in ENCODERS:
        best = power(found, n, sets, effect, replications)
        if best >= POWER:
            return str(n)
    return f"- ({best:.0%})"


def section(replications: int) -> str:
    """Both tables with what they mean, as they stand on the page."""
    known = list(measured())
    parts = [
        "claim", "board", "encoders", "data sets", "encoder", "encoder x data set", "by data set", "as seen",
        "by modality",
    ]  # fmt: skip
    first = [[*s[:4], *(f"{v:.1f}" if v else "" for v in s[4:])] for s in known]
    head = ["claim", "spreads of", "effect", *(f"{n} data sets" for n in SETS)]
    second = [
        [s.claim, s.suite, f"{effect:g}", *(needed(s, n, effect, replications) for n in SETS)]
        for s in known
        for effect in EFFECTS
    ]
    return SECTION.format(
        measured=table(parts, first, right=range(3, 9)), needed=table(head, second, right=range(2, 7)),
        replications=replications, most=ENCODERS[-1],
    )  # fmt: skip


SECTION = """## What the confirmatory claims need

The spreads behind each test, measured on the shipped boards (one pretraining seed an encoder), as standard deviations
in score points (H2: points per tenfold labels). "By data set" is how far the difference between the two groups moves
from data set to data set (H4: paradigm x data set within a modality), beyond what encoders make of it by themselves;
"as seen" is with that. Nothing stands where an estimate falls below 0.

{measured}

From these spreads new boards are drawn, {replications} a cell, and the fewest encoders in each group are sought with
which p < 0.05 and the right sign come in 80 % of the draws (before Holm's correction; H1 needs both of its parts). In
brackets: what {most} encoders a group reach where they do not suffice. H2 is set against one reference of the same
network, H4 has four paradigms and two data sets a modality; its effect is the standard deviation of the interaction.

{needed}
"""
