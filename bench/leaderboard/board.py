"""From evidence to one ranked table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.discover import pick
from bench.leaderboard.evidence import Evidence
from bench.leaderboard.standing import random_weightings, rank_range, ranks_of, tiers, win_rate
from bench.leaderboard.weights import task_weights, within_cells
from bench.metrics.interval import Interval
from bench.metrics.resample import percentile_interval
from bench.metrics.uncertainty import Difference, interquartile_mean, paired_difference
from bench.recipes import AGGREGATION, BoardRecipe
from bench.strict import Strict


class Cell(Strict):
    """A column of a board: the tasks of one modality and kind."""

    key: str
    modality: str
    kind: str
    tasks: tuple[str, ...]


class BoardRow(Strict):
    """One encoder on a board. A number that does not exist is None; docs/statistics.md explains each."""

    encoder: str
    paradigm: str
    badge: str
    reference: bool
    score: float | None
    low: float | None = None
    high: float | None = None
    rank: int | None = None
    """None for reference rows and where `why_unranked` says why."""
    rank_low: int | None = None
    rank_high: int | None = None
    tier: int | None = None
    cells: dict[str, Interval] = {}
    tasks: dict[str, float] = {}
    iqm: float | None = None
    win_rate: float | None = None
    weight_first: float | None = None
    weight_low: int | None = None
    weight_high: int | None = None
    loo_low: int | None = None
    """Best rank when any one task is left out."""
    loo_high: int | None = None
    missing: tuple[str, ...] = ()
    """Tasks of the board without a result of this encoder."""
    contamination: dict[str, str] = {}
    """Task -> yes, no, unknown."""
    why_unranked: str = ""

    @property
    def rank_text(self) -> str:
        """Rank with its interval, e.g. "2 [1-4]"; "ref." or "-" for rows without one."""
        if self.rank is None:
            return "ref." if self.reference else "-"
        same = self.rank_low is None or self.rank_low == self.rank == self.rank_high
        return str(self.rank) if same else f"{self.rank} [{self.rank_low}-{self.rank_high}]"


@dataclass(frozen=True)
class Board:
    """A ranked table, best first, rows without a rank at their score.

    replicates: float32 (b, rows, cells), bootstrap replicates of the cells; NaN where unknown.
    """

    name: str
    definition: str
    clean: bool
    """Whether cells that are not known to be free of contamination were left out."""
    cells: tuple[Cell, ...]
    rows: tuple[BoardRow, ...]
    replicates: np.ndarray = field(repr=False, compare=False)
    score_replicates: np.ndarray = field(repr=False, compare=False)
    """float64 (rows, b), replicates of the score; replicate b of all rows is one resample of cases and seeds."""
    notes: tuple[str, ...] = ()

    def against(self, encoder: str) -> dict[str, Difference]:
        """Encoder -> its score less that of `encoder` with the paired 95 % interval, in the order of the rows.

        Encoders without a score are left out. Raises UserError when `encoder` is not on the board.
        """
        rows = {row.encoder: (row, draws) for row, draws in zip(self.rows, self.score_replicates, strict=True)}
        base, base_draws = pick(rows, encoder, what="encoder", where=self.name)
        return {
            name: paired_difference(row.score, base.score, draws, base_draws)
            for name, (row, draws) in rows.items()
            if name != encoder and row.score is not None and base.score is not None
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the same results give the same bytes under `bench.files.canonical_json`."""
        cells, rows = ([x.model_dump(mode="json") for x in xs] for xs in (self.cells, self.rows))
        about = {"name": self.name, "definition": self.definition, "aggregation": AGGREGATION, "clean": self.clean}
        return {**about, "notes": list(self.notes), "cells": cells, "rows": rows}


def make_board(
    recipe: BoardRecipe, evidence: Evidence, kinds: Collection[str] = (), *, drop_contaminated: bool = False
) -> Board:
    """The board of a recipe. While one of `kinds` (global, dense) has no result at all, nobody is ranked; nor is an
    encoder that would be the only one.

    Without contaminated cells, an encoder's score is the lower of its full score and its score on the tasks known
    to be clean, and an encoder with a task of unknown state is listed without a rank: silence never keeps a rank
    that disclosure would lose, and a confession never lifts a score.
    """
    table = _Table(evidence, drop_contaminated, kinds)
    order = sorted(
        range(len(table.names)), key=lambda i: (-np.nan_to_num(table.points[i], nan=-np.inf), table.names[i])
    )
    rows = tuple(BoardRow(**table.row(i)) for i in order)
    draws = table.cell_draws[:, order], table.draws[order]
    return Board(recipe.name, recipe.definition, drop_contaminated, table.cells, rows, *draws)


class _Table:
    """The numbers of one board, encoder by encoder, in the order of the evidence."""

    def __init__(self, evidence: Evidence, clean: bool, kinds: Collection[str]) -> None:
        self.evidence, self.tasks, self.clean = evidence, evidence.tasks, clean
        self.lacking = sorted(set(kinds) - set(self.tasks.kinds.tolist()))
        self.names = evidence.encoders
        self.known = ~np.isnan(evidence.points)
        self.allowed = self.known & (evidence.contaminated == "no") if clean else self.known
        self.used = self._confined() if clean else self.known
        self.points, self.draws = self._means(self.used), self._draws()
        self.cells = self._cells()
        self._by_cell()
        self.reference = np.array(evidence.paradigms) == "reference"
        self.why = [self._why_unranked(i) for i in range(len(self.names))]
        pool = [i for i, why in enumerate(self.why) if not why and not self.reference[i]]
        if len(pool) == 1:
            self.why[pool.pop()] = "no other encoder to rank it among"
        self.pool = np.array(pool, dtype=np.int64)
        self.standing = self._standing() if len(self.pool) else {}

    def _confined(self) -> np.ndarray:
        """The allowed tasks; all tasks where leaving some out would raise the score, for a confession must not pay."""
        full, rest = self._means(self.known), self._means(self.allowed)
        return np.where((rest > full)[:, None], self.known, self.allowed)

    def _means(self, used: np.ndarray) -> np.ndarray:
        pairs = zip(used, self.evidence.points, strict=True)
        return np.array([_dot(task_weights(self.tasks, u)[0], p) if u.any() else np.nan for u, p in pairs])

    def _draws(self) -> np.ndarray:
        draws = self.evidence.replicates
        return np.stack([
            _dot(task_weights(self.tasks, used)[0], d) if used.any() else np.full(d.shape[1], np.nan)
            for used, d in zip(self.used, draws, strict=True)
        ])  # fmt: skip

    def _cells(self) -> tuple[Cell, ...]:
        return tuple(
            Cell(key=str(c), modality=str(c).split("/")[0], kind=str(k), tasks=tuple(self.tasks.names[inside].tolist()))
            for c, k, inside in zip(self.tasks.cells, self.tasks.cell_kinds, self.tasks.in_cell, strict=True)
        )

    def _by_cell(self) -> None:
        e, _, b = self.evidence.replicates.shape
        self.cell_points = np.full((e, len(self.cells)), np.nan)
        self.cell_draws = np.full((b, e, len(self.cells)), np.nan, np.float32)
        for i, used in enumerate(self.used):
            for c, row in enumerate(within_cells(self.tasks, used)):
                if row.any():
                    self.cell_points[i, c] = _dot(row, self.evidence.points[i])
                    self.cell_draws[:, i, c] = _dot(row, self.evidence.replicates[i])

    def _why_unranked(self, i: int) -> str:
        missing, total = int((~self.known[i]).sum()), len(self.tasks.names)
        if missing:
            return f"no result on {missing} of {total} tasks"
        if self.lacking:
            return f"no result on any {' or '.join(self.lacking)} task"
        if self.evidence.repeat_of[i]:
            return f"another pretraining seed of {self.evidence.repeat_of[i]}"
        if self.clean and (unknown := int((self.evidence.contaminated[i] == "unknown").sum())):
            return f"not disclosed whether {unknown} of {total} tasks are clean"
        kinds = self.tasks.kinds
        if lost := sorted(set(kinds) - set(kinds[self.allowed[i]])):
            return f"no clean {' or '.join(lost)} task is left"
        return ""

    def _standing(self) -> dict[str, np.ndarray]:
        points, draws = self.points[self.pool], self.draws[self.pool]
        found = {"rank": ranks_of(points), "tier": tiers(points, draws), "win_rate": self._win_rate()}
        if not np.isnan(draws).any():
            found["rank_low"], found["rank_high"] = rank_range(draws)
        weighted = ranks_of(self._reweighted(random_weightings(len(self.cells))))
        found["weight_first"] = (weighted == 1).mean(axis=1)
        found["weight_low"] = np.quantile(weighted, 0.025, axis=1, method="lower")
        found["weight_high"] = np.quantile(weighted, 0.975, axis=1, method="higher")
        if len(self.tasks.names) > 1:
            left = ranks_of(self._leaving_one_out())
            found["loo_low"], found["loo_high"] = left.min(axis=1), left.max(axis=1)
        return found

    def _win_rate(self) -> np.ndarray:
        return win_rate(self.evidence.points[self.pool])

    def _reweighted(self, weightings: np.ndarray) -> np.ndarray:
        """Scores of the pool under each weighting of the cells, (pool, r)."""
        rows = self.pool
        return np.stack([
            _dot(task_weights(self.tasks, self.used[i], weightings).T, self.evidence.points[i]) for i in rows
        ])  # fmt: skip

    def _leaving_one_out(self) -> np.ndarray:
        """Scores of the pool without each task in turn, (pool, t); a task that is all an encoder has stays."""
        t = len(self.tasks.names)
        scores = np.empty((len(self.pool), t))
        for j in range(t):
            others = self.used & (np.arange(t) != j)
            others = np.where(others.any(axis=1, keepdims=True), others, self.used)
            scores[:, j] = self._means(others)[self.pool]
        return scores

    def row(self, i: int) -> dict[str, Any]:
        """The fields of encoder i's row."""
        evidence, names = self.evidence, self.tasks.names.tolist()
        low, high = percentile_interval(self.draws[i])
        place, known = np.flatnonzero(self.pool == i), ~np.isnan(self.cell_points[i])
        standing = {k: _plain(v[place[0]]) for k, v in self.standing.items()} if len(place) else {}
        return {
            "encoder": self.names[i], "paradigm": evidence.paradigms[i], "badge": evidence.badges[i],
            "reference": bool(self.reference[i]), "score": _plain(self.points[i]), "low": low, "high": high,
            "cells": {c.key: self._interval(i, k) for k, c in enumerate(self.cells) if known[k]},
            "tasks": {t: float(p) for t, p in zip(names, evidence.points[i], strict=True) if not np.isnan(p)},
            "iqm": interquartile_mean(evidence.runs[i]),
            "missing": tuple(self.tasks.names[~self.known[i]].tolist()),
            "contamination": dict(zip(names, evidence.contaminated[i].tolist(), strict=True)),
            "why_unranked": self.why[i],
            **standing,
        }  # fmt: skip

    def _interval(self, i: int, cell: int) -> Interval:
        low, high = percentile_interval(self.cell_draws[:, i, cell].astype(float))
        return Interval(value=float(self.cell_points[i, cell]), low=low, high=high)


def _dot(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """sum over tasks of weights (t, ...) x values (t, ...), leaving out tasks of weight 0 (whose values may be NaN)."""
    if weights.ndim == 1:
        used = weights > 0
        return weights[used] @ values[used].astype(np.float64)
    some = np.any(weights, axis=1)
    return values[some] @ weights[some]


def _plain(value: Any) -> int | float | None:
    if isinstance(value, np.integer):
        return int(value)
    return None if np.isnan(value) else float(value)
