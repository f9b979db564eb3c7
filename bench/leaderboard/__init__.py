"""From records to ranked boards.

frame       records as one long table
recipes     what feeds each board
evidence    scores and replicates of each encoder x task
weights     origins within cells within kinds
standing    ranks, rank intervals, tiers, sensitivity
board       the ranked table
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from bench.allocator import freed_memory_kept
from bench.leaderboard.board import Board, make_board
from bench.leaderboard.evidence import Evidence, Known, ReplicatesOf, UnitKey, feeds, gather
from bench.metrics.resample import REPLICATES
from bench.recipes import RECIPES, BoardRecipe

if TYPE_CHECKING:
    from bench.leaderboard.collect import SuiteResults

__all__ = ["Board", "boards", "boards_of", "known_replicates", "recipes_of"]


def boards_of(
    frame: pd.DataFrame,
    replicates_of: ReplicatesOf,
    *,
    drop_contaminated: bool = False,
    unfinished: Collection[tuple[str, str, str, str]] = (),
    kinds: Collection[str] | None = None,
    replicates: int = REPLICATES,
) -> dict[str, Board]:
    """Name -> board for each recipe the long table can feed (see `gather` for the arguments).

    kinds: kinds of the suite's tasks, default those in `frame`. An encoder without a patch grid is not first of a
    suite with dense tasks for having no company there.
    """
    found = gathered(frame, replicates_of, unfinished=unfinished, kinds=kinds, replicates=replicates)
    return {g.recipe.name: g.board(drop_contaminated=drop_contaminated) for g in found}


class Gathered(NamedTuple):
    """What a board is made of. kinds: of the suite's tasks that the recipe speaks of."""

    recipe: BoardRecipe
    evidence: Evidence
    kinds: set[str]

    def board(self, *, drop_contaminated: bool) -> Board:
        """The ranked table."""
        return make_board(self.recipe, self.evidence, self.kinds, drop_contaminated=drop_contaminated)


def gathered(
    frame: pd.DataFrame,
    replicates_of: ReplicatesOf,
    *,
    unfinished: Collection[tuple[str, str, str, str]] = (),
    kinds: Collection[str] | None = None,
    replicates: int = REPLICATES,
    recipes: Sequence[BoardRecipe] = RECIPES,
) -> list[Gathered]:
    """The evidence of each of `recipes` the long table can feed (the other arguments as in `boards_of`)."""
    kinds = set(frame["kind"] if kinds is None else kinds)
    found = []
    for recipe in (r for r in recipes if _fits(r, kinds)):
        evidence = gather(frame, recipe, replicates_of, unfinished, replicates)
        if evidence is not None:
            found.append(Gathered(recipe, evidence, kinds & set(recipe.protocols)))
    return found


def recipes_of(collection: SuiteResults) -> list[BoardRecipe]:
    """The recipes for which a suite has results, in their order."""
    return [recipe for recipe in RECIPES if _fits(recipe, collection.kinds) and feeds(collection.frame, recipe)]


def boards(
    collection: SuiteResults,
    recipes: Sequence[BoardRecipe] | None = None,
    *,
    drop_contaminated: bool = False,
    told: Callable[[str], None] = lambda line: None,
) -> dict[str, Board]:
    """The boards of one suite. recipes: those wanted, of `recipes_of` the suite; default: all of them.

    Replicates are recomputed from predictions (cached); where that cannot be done a note says so. told: hears of each
    task.
    """
    recipes = recipes_of(collection) if recipes is None else recipes
    known = known_replicates(collection, recipes, told)
    found = gathered(
        collection.frame,
        known.draws.get,
        unfinished=collection.unfinished,
        kinds=collection.kinds,
        recipes=recipes,
    )
    made = [(g.recipe, g.board(drop_contaminated=drop_contaminated)) for g in found]
    return {r.name: replace(board, notes=(*known.notes(r), *collection.unscored(r))) for r, board in made}


def known_replicates(
    collection: SuiteResults,
    recipes: Sequence[BoardRecipe] = RECIPES,
    told: Callable[[str], None] = lambda line: None,
) -> Known:
    """Replicates of every unit these boards are made of. told: hears of each task, for the first time takes long."""
    from bench.leaderboard.replicates import all_replicates, folder

    if not (kept := folder()).is_dir():
        told(f"the first time here: the cases of every result are drawn again, for minutes; kept in {kept}")
    fed = {(family, budget) for r in recipes for family in r.protocols.values() for budget in r.budgets}
    draws: dict[UnitKey, np.ndarray] = {}
    approximated: frozenset[UnitKey] = frozenset()
    for number, task in enumerate(collection.tasks, 1):
        told(f"{collection.suite}: resampling {task} ({number} of {len(collection.tasks)})")
        with freed_memory_kept():
            for results in collection.results.values():
                found, left = all_replicates(results, collection.at_hand, fed, only=task)
                draws |= found
                approximated |= left
    return Known(draws, approximated)


def _fits(recipe: BoardRecipe, kinds: Collection[str]) -> bool:
    return not recipe.every_kind or set(kinds) == set(recipe.protocols)
