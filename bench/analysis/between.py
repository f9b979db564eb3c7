"""Whether the tasks of one suite order encoders as those of another: Kendall's tau over the encoders measured on both.

Scores are those at all labels under the linear probes, seeds averaged. Repeat seeds and references that are no network
do not count. An interval is a percentile bootstrap over the encoders and says nothing about encoders of other kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bench.analysis.agreement import tau_with_interval
from bench.analysis.table import counted, pick, weights

LINEAR = ["linear", "dense-linear"]
NO_NETWORK = ("raw-pixels", "colour-histogram")
RESAMPLES, FEWEST = 2000, 8
"""Resamples of encoders; encoders below which no tau is given."""
ABOUT = ["encoder", "task", "kind", "modality", "origin", "paradigm", "chance"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike some tasks of two suites order encoders.

    part: column -> word that the tasks have in common, "kind" and "modality"; empty for all of them. tasks, others:
    how many tasks, here and in the suite compared with. tau: in [-1, 1], low and high its 95 % interval; None below
    eight encoders. first: the first encoder on the other suite's tasks, and place its rank on these.
    """

    encoders: int
    tau: float | None = None
    low: float = np.nan
    high: float = np.nan
    first: str = ""
    place: int = 0
    tasks: int = 0
    others: int = 0
    part: Mapping[str, str] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        """Whether the tasks were seen to order encoders alike: the interval lies above 0."""
        return self.tau is not None and self.low > 0


@dataclass(frozen=True, slots=True)
class Between:
    """One suite beside another. parts: all tasks, by kind, by modality and kind. by_task: its tasks, one by one."""

    other: str
    parts: tuple[Agreement, ...]
    by_task: Mapping[str, Agreement]

    def of(self, kind: str | None = None) -> Agreement:
        """That of all tasks, or of one kind."""
        part = {} if kind is None else {"kind": kind}
        return next((a for a in self.parts if a.part == part), Agreement(0))


def between(frame: pd.DataFrame, other: pd.DataFrame, name: str) -> Between:
    """The suite of `frame` beside that of `other`, called `name`; both as `bench.leaderboard.frame` makes them."""
    here, there = full_label_scores(frame), full_label_scores(other)
    shared = sorted(set(_cells(here)) & set(_cells(there)))
    parts: list[dict[str, str]] = [{}, {"kind": "global"}, {"kind": "dense"}]
    parts += [{"modality": modality, "kind": kind} for modality, kind in shared]
    tasks = {str(task): found for task, found in here.groupby("task")}
    return Between(
        name,
        tuple(_agreement(_within(here, part), there, part) for part in parts),
        {task: _agreement(found, there, _nearest(found, there)) for task, found in tasks.items()},
    )


def full_label_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Primary metric and score of every encoder and task at all labels under the linear probes, a row each."""
    rows = pick(counted(frame), LINEAR, ssl=False)
    return rows.groupby(ABOUT, observed=True)[["value", "score"]].mean().reset_index().astype({"task": str})


def _nearest(task: pd.DataFrame, other: pd.DataFrame) -> dict[str, str]:
    """The modality and kind of a task, or its kind alone where the other suite has no such task."""
    modality, kind = next(iter(_cells(task)))
    found = (modality, kind) in _cells(other)
    return {"modality": modality, "kind": kind} if found else {"kind": kind}


def _cells(scores: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(scores["modality"].astype(str), scores["kind"].astype(str), strict=True))


def _within(scores: pd.DataFrame, part: Mapping[str, str]) -> pd.DataFrame:
    for column, value in part.items():
        scores = scores[scores[column] == value]
    return scores


def _means(scores: pd.DataFrame) -> pd.Series:
    """Board score of each encoder that has every task: cells alike, origins alike within a cell."""
    table = scores.pivot_table(index="encoder", columns="task", values="score", observed=True).dropna()
    columns = scores.drop_duplicates("task").set_index("task").loc[table.columns].reset_index().assign(side="")
    mean = table.to_numpy() @ weights(columns[["task", "modality", "kind", "side", "origin"]].astype(str))
    return pd.Series(mean, table.index.astype(str))


def _agreement(here: pd.DataFrame, other: pd.DataFrame, part: Mapping[str, str]) -> Agreement:
    """Of all tasks of `here` with those of `other` that are of the part."""
    there = _within(other, part)
    count = {"tasks": here["task"].nunique(), "others": there["task"].nunique(), "part": part}
    if not (count["tasks"] and count["others"]):
        return Agreement(0, **count)
    both = (
        pd.DataFrame({"here": _means(here), "there": _means(there)}).dropna().drop(index=[*NO_NETWORK], errors="ignore")
    )
    if len(both) < FEWEST:
        return Agreement(len(both), **count)
    found = tau_with_interval(both["here"].to_numpy(), both["there"].to_numpy(), RESAMPLES)
    first = str(both["there"].idxmax())
    place = int(both["here"].rank(ascending=False)[first])
    return Agreement(len(both), *found, first, place, **count)
