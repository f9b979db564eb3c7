"""The table of subgroups: whom an encoder serves worst, and by how much."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.budget import FULL
from bench.metrics.names import MetricName
from bench.words import TRAITS, Kind


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The score of one subgroup with its ends."""

    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Served:
    """One encoder x task x trait: its groups, the worst served first, and the gap between worst and best with its ends.

    overall: the score on all of the images, NaN where it is not known.
    """

    encoder: str
    task: str
    trait: str
    groups: tuple[Subgroup, ...]
    overall: float
    gap: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Leak:
    """Site leakage of an encoder on a task, with its ends; `name` is that of the one or the other."""

    name: str
    value: float
    low: float | None
    high: float | None


def served(numbers: pd.DataFrame, main: Mapping[Kind, str]) -> list[Served]:
    """Every gap of the main protocols at all labels on the test split, the widest first.

    numbers: rows of `bench.publish.results.mean_over_seeds`. main: kind of task -> its main protocol.
    """
    rows = numbers[(numbers["split"] == "test") & (numbers["budget"] == FULL)]
    rows = rows[rows["protocol"].isin(main.values())]
    told = rows.loc[rows["metric"].str.endswith(" gap]"), ["encoder", "task"]].drop_duplicates()
    rows = rows.merge(told, on=["encoder", "task"])
    found = [s for (e, t), part in rows.groupby(["encoder", "task"], sort=True) for s in _of(e, t, part)]
    return sorted(found, key=lambda s: -s.gap)


def leaks(numbers: pd.DataFrame, by: Literal["encoder", "task"]) -> list[Leak]:
    """How well the site is told from features (`bench.runs.leakage`), the most first, of each encoder or task."""
    rows = numbers[numbers["metric"] == "site_leakage"].drop_duplicates(by).sort_values("value", ascending=False)
    return [Leak(getattr(r, by), r.value, *_ends(r.low, r.high)) for r in rows.itertuples(index=False)]


def _of(encoder: str, task: str, rows: pd.DataFrame) -> Iterator[Served]:
    ends = {MetricName.read(r.metric): (r.value, r.low, r.high) for r in rows.itertuples(index=False)}
    for trait in TRAITS:
        if (name := next((m for m in ends if m.stratum == f"{trait} gap"), None)) is None:
            continue
        mine = {m.stratum: e for m, e in ends.items() if m.metric == name.metric and m.stratum.startswith(f"{trait}=")}
        groups = [Subgroup(stratum.partition("=")[2], v, *_ends(*e)) for stratum, (v, *e) in mine.items()]
        worst_first = tuple(sorted(groups, key=lambda g: (g.value, g.name)))
        value, low, high = ends[name]
        overall = ends.get(MetricName(name.metric), (float("nan"),))[0]
        yield Served(encoder, task, trait, worst_first, overall, value, *_ends(low, high))


def _ends(low: float, high: float) -> tuple[float | None, float | None]:
    return (None, None) if pd.isna(low) else (float(low), float(high))
