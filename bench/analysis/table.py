"""Results as an array: encoders x columns x seeds, where a column is a task (or a task under one condition)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bench.budget import FULL, Budget
from bench.errors import UserError
from bench.leaderboard.weights import Tasks, task_weights
from bench.words import SSL_PARADIGMS, family, size_class

ENCODER_FIELDS = [
    *("paradigm", "objective", "method", "architecture", "controlled_track", "comparable"),
    *("parameters", "flops", "in_domain"),
]
TASK_FIELDS = ["origin", "kind", "modality", "extent"]
WORDS = {"encoder", "task", "protocol", "budget", "split", "metric", "paradigm", "kind", "modality", "origin"}
"""Columns of words, however they are stored."""


@dataclass(frozen=True)
class ScoreTable:
    """Scores of encoders.

    values: float64 (E, C, S), encoders x columns x seeds, in score points (0-100); NaN where there is no result.
    encoders: E rows indexed by name (ENCODER_FIELDS). columns: C rows: task, side, TASK_FIELDS.
    """

    values: np.ndarray
    encoders: pd.DataFrame
    columns: pd.DataFrame

    def keep(self, encoders: np.ndarray) -> ScoreTable:
        """The table of some encoders (bool (E,) or row numbers)."""
        return replace(self, values=self.values[encoders], encoders=self.encoders[encoders])

    def columns_kept(self, chosen: np.ndarray) -> ScoreTable:
        """The table of some columns (bool (C,))."""
        return replace(self, values=self.values[:, chosen], columns=self.columns[chosen].reset_index(drop=True))

    @property
    def means(self) -> np.ndarray:
        """Mean over seeds, float64 (E, C); NaN where there is no result."""
        there = np.isfinite(self.values)
        with np.errstate(invalid="ignore"):
            return np.where(there, self.values, 0).sum(axis=2) / there.sum(axis=2)

    def weighted(self, weight: np.ndarray) -> np.ndarray:
        """Mean of each encoder over the columns and seeds it has, columns weighted (C,); float64 (E,), NaN for none."""
        there = np.isfinite(self.values)
        with np.errstate(invalid="ignore"):
            return np.where(there, self.values, 0).sum(axis=2) @ weight / (there.sum(axis=2) @ weight)

    @property
    def n_origins(self) -> int:
        """Source data sets in the columns (tasks sharing an origin count once)."""
        return int(self.columns["origin"].nunique())


def counted(frame: pd.DataFrame, *, repeats: bool = False) -> pd.DataFrame:
    """Rows that enter averages: tasks not left out, one pretraining seed an encoder (or all); words as categories."""
    frame = frame[frame["left_out"].isna()] if repeats else frame[frame["left_out"].isna() & frame["repeat_of"].isna()]
    words = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.StringDtype) or name in WORDS]
    return frame.astype(dict.fromkeys(words, "category"))


def pick(
    frame: pd.DataFrame,
    protocols: Sequence[str],
    *,
    budget: Budget | None = FULL,
    split: str = "test",
    primary: bool = True,
    ssl: bool = True,
) -> pd.DataFrame:
    """Rows of some protocols, in the version that was run, at one budget (None: any) and split.

    ssl: self-supervised encoders only. Raises UserError where two versions of a protocol were run: they do not compare.
    """
    wanted = frame["protocol"].isin(versions(frame, protocols)) & (frame["split"] == split)
    if budget is not None:
        wanted &= frame["budget"] == budget
    if primary:
        wanted &= frame["primary"]
    if ssl:
        wanted &= frame["paradigm"].isin(SSL_PARADIGMS)
    return frame[wanted]


def versions(frame: pd.DataFrame, protocols: Sequence[str]) -> list[str]:
    """Names of the protocols of a table that are of the families of `protocols`, whatever their version."""
    wanted = {family(name) for name in protocols}
    found = sorted(name for name in frame["protocol"].unique() if family(name) in wanted)
    if len({family(name) for name in found}) < len(found):
        raise UserError(f"results of {' and '.join(found)} do not compare", fix="take one suite")
    return found


def tabulate(rows: pd.DataFrame, side: pd.Series | str = "", value: str = "score") -> ScoreTable:
    """Rows as a table, in points; `side` names the condition of each row."""
    rows = rows.assign(side=side)
    rows = rows[rows[value].notna()]
    encoder, encoder_names = pd.factorize(rows["encoder"].astype(str), sort=True)
    column_key = rows["task"].astype(str) + "|" + rows["side"].astype(str)
    column, column_names = pd.factorize(column_key, sort=True)
    seed, seeds = pd.factorize(rows["seed"], sort=True)
    shape = (len(encoder_names), len(column_names), max(1, len(seeds)))
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (encoder, column, seed), 100 * rows[value].to_numpy(float))
    np.add.at(count, (encoder, column, seed), 1.0)
    with np.errstate(invalid="ignore"):
        values = np.where(count > 0, total / count, np.nan)
    about = rows.drop_duplicates("encoder").set_index("encoder")[ENCODER_FIELDS]
    about.index = about.index.astype(str)
    columns = rows.assign(key=column_key).drop_duplicates("key").set_index("key").loc[list(column_names)]
    columns = columns[["task", "side", *TASK_FIELDS]].astype(str).reset_index(drop=True)
    return ScoreTable(values, about.loc[list(encoder_names)], columns)


def weights(columns: pd.DataFrame) -> np.ndarray:
    """Weight of each column, float64 (C,), sum 1: sides alike, and within a side as a board weighs tasks."""
    weight = np.zeros(len(columns))
    sides = columns.groupby("side", observed=True).indices
    for rows in sides.values():
        words = (columns[name].to_numpy(str)[rows] for name in ("task", "kind", "modality", "origin"))
        weight[rows] = task_weights(Tasks(*words), np.ones(len(rows), bool))[0] / len(sides)
    return weight


def centred(table: ScoreTable) -> ScoreTable:
    """The table less each column's mean over encoders, so that a missing result moves no contrast."""
    with np.errstate(invalid="ignore"):
        mean = np.nanmean(table.values.reshape(len(table.values), table.values.shape[1], -1), axis=(0, 2))
    return replace(table, values=table.values - mean[None, :, None])


def covered(table: ScoreTable, share: float = 0.5) -> ScoreTable:
    """The encoders that have a result in at least this share of the columns of every side and kind."""
    there = np.isfinite(table.values).any(axis=2)
    enough = np.ones(len(there), bool)
    for _, rows in table.columns.groupby(["side", "kind"]):
        enough &= there[:, rows.index].mean(axis=1) >= share
    return table.keep(enough)


def strata(encoders: pd.DataFrame) -> np.ndarray:
    """Stratum of each encoder, str (E,): its network, size class and controlled track, as far as it has them.

    What differs between strata is no paradigm's.
    """
    sizes = [size_class(n) for n in encoders["parameters"]]
    tracks = encoders["controlled_track"].astype(object).fillna("").astype(str)
    return np.array(
        [" ".join(filter(None, words)) for words in zip(encoders["architecture"], sizes, tracks, strict=True)]
    )


def without_succeeded(frame: pd.DataFrame, successor: Mapping[str, str]) -> pd.DataFrame:
    """Rows without a track's encoders of a network whose successor (track -> track) is there: both hold the same
    objectives, and one objective counts once."""
    track, network = frame["controlled_track"].astype(object), frame["architecture"].astype(str)
    gone = pd.Series(False, index=frame.index)
    for old, new in successor.items():
        gone |= (track == old) & network.isin(network[track == new].unique())
    return frame[~gone]
