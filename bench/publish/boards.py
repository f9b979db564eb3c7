"""The boards of bench.leaderboard as the pages show them, with the replicates they ship."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.leaderboard import Board, boards_of
from bench.leaderboard.board import Row as BoardRow
from bench.leaderboard.collect import Collection
from bench.leaderboard.evidence import Known, UnitKey, gather
from bench.leaderboard.recipes import RECIPES
from bench.publish.curves import Curves, label_curves
from bench.publish.model import BoardView, Column, Estimate, Pairs, Row, Variant

Replicates = Mapping[UnitKey, np.ndarray]
NAMES = {"Overall": "overall", "Global": "global", "Dense": "dense", "Low-label": "low-label", "Fine-tune": "fine-tune"}


def board_views(collection: Collection, known: Known) -> tuple[BoardView, ...]:
    """Every board that has results, Overall first, each also without contaminated cells."""
    frame, unfinished = collection.frame, collection.unfinished
    of = known.draws.get
    made, clean = (boards_of(frame, of, drop_contaminated=c, unfinished=unfinished) for c in (False, True))
    curves = label_curves(frame, of, unfinished)
    return tuple(
        _view(collection.suite, made[r.name], clean[r.name], curves, " ".join(known.notes(r)))
        for r in RECIPES
        if r.name in made
    )


def _view(suite: str, board: Board, clean: Board, every: Curves, note: str) -> BoardView:
    kinds = tuple(sorted({c.kind for c in board.cells}))
    curves = every.get(kinds, {}) if board.name != "Fine-tune" else {}
    rows = tuple(_row(row, board, curves) for row in board.rows)
    order = {row.encoder: i for i, row in enumerate(clean.rows)}
    places = [order[row.encoder] for row in board.rows]
    return BoardView(
        suite=suite,
        name=NAMES[board.name],
        definition=board.definition,
        columns=tuple(Column(c.key, c.modality, c.kind, c.tasks) for c in board.cells),
        rows=rows,
        replicates=board.replicates,
        clean=Variant(
            cells=np.array([_cells(clean.rows[i], clean) for i in places]).reshape(len(rows), -1),
            replicates=clean.replicates[:, places],
            unranked=tuple(clean.rows[i].why_unranked for i in places),
        ),
        note=note,
    )


def _row(row: BoardRow, board: Board, curves: Mapping[str, tuple]) -> Row:
    states = list(row.contamination.values())
    return Row(
        encoder=row.encoder,
        score=Estimate(_number(row.score), _number(row.low), _number(row.high)),
        rank=row.rank,
        rank_low=row.rank_low,
        rank_high=row.rank_high,
        tier=row.tier,
        cells=tuple(_cells(row, board)),
        weight_low=row.weight_low,
        weight_high=row.weight_high,
        weight_first=row.weight_first,
        loo_low=row.loo_low,
        loo_high=row.loo_high,
        iqm=row.iqm,
        win_rate=row.win_rate,
        curve=curves.get(row.encoder, ()),
        contaminated=(states.count("no"), states.count("unknown"), states.count("yes")),
        unranked=row.why_unranked,
    )


def _cells(row: BoardRow, board: Board) -> list[float]:
    return [row.cells[c.key].value if c.key in row.cells else float("nan") for c in board.cells]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def pairs(collection: Collection, known: Replicates) -> Pairs | None:
    """What the pages that compare encoders need, or None without a frozen result."""
    found = gather(collection.frame, RECIPES[0], known.get, collection.unfinished)
    if found is None:
        return None
    return Pairs(tuple(found.encoders), tuple(found.tasks.names), found.points, found.replicates)
