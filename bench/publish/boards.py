"""The boards of bench.leaderboard as the pages show them, with the replicates they ship."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench.leaderboard import Board, gathered
from bench.leaderboard.collect import SuiteResults
from bench.leaderboard.evidence import Known, UnitKey, counting, gather
from bench.leaderboard.volumes import volume_costs
from bench.publish.curves import Curves, label_curves
from bench.publish.model import BoardView, Pairs, UncontaminatedBoard, cell_points
from bench.recipes import RECIPES

Replicates = Mapping[UnitKey, np.ndarray]
BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def board_views(collection: SuiteResults, known: Known) -> tuple[BoardView, ...]:
    """Every board that has results, Overall first, each also without contaminated cells."""
    frame, of = counting(collection.frame), known.draws.get
    found = gathered(frame, of, unfinished=collection.unfinished, kinds=collection.kinds)
    curves = label_curves(frame, of, collection.unfinished)
    views = (
        board_view(
            collection.suite,
            g.board(drop_contaminated=False),
            g.board(drop_contaminated=True),
            curves,
            " ".join((*known.notes(g.recipe), *collection.unscored(g.recipe))),
        )
        for g in found
    )
    return tuple(
        replace(v, volumes=volume_costs(collection.results, {t for c in v.columns for t in c.tasks})) for v in views
    )


def board_view(suite: str, board: Board, clean: Board, every: Curves, note: str) -> BoardView:
    """A board beside the same board without contaminated cells, with its label curves."""
    kinds = tuple(sorted({c.kind for c in board.cells}))
    recipe = BY_NAME[board.name]
    curves = every.get(kinds, {}) if recipe.frozen else {}
    order = {row.encoder: i for i, row in enumerate(clean.rows)}
    places = [order[row.encoder] for row in board.rows]
    points = cell_points([clean.rows[i] for i in places], clean.cells)
    same = clean.cells == board.cells and np.array_equal(points, cell_points(board.rows, board.cells), equal_nan=True)
    unranked = tuple(clean.rows[i].why_unranked for i in places)
    same = same and unranked == tuple(row.why_unranked for row in board.rows)
    return BoardView(
        suite=suite,
        name=recipe.slug,
        definition=board.definition,
        columns=board.cells,
        rows=board.rows,
        replicates=board.replicates,
        clean=None if same else UncontaminatedBoard(points, clean.replicates[:, places], unranked),
        curves=curves,
        note=note,
    )


def pairs(collection: SuiteResults, known: Replicates) -> Pairs | None:
    """What the pages that compare encoders need, or None without a frozen result."""
    found = gather(counting(collection.frame), RECIPES[0], known.get, collection.unfinished)
    if found is None:
        return None
    return Pairs(tuple(found.encoders), tuple(found.tasks.names), found.points, found.replicates)
