"""From records to ranked boards.

frame       records as one long table
recipes     what feeds each board
evidence    scores and replicates of each encoder x task
weights     origins within cells within kinds
standing    ranks, rank intervals, tiers, sensitivity
board       the ranked table
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from bench.leaderboard.board import Board, make_board
from bench.leaderboard.evidence import Evidence, Known, ReplicatesOf, UnitKey, gather
from bench.metrics.resample import REPLICATES
from bench.recipes import RECIPES, BoardRecipe

if TYPE_CHECKING:
    from bench.leaderboard.collect import SuiteResults

__all__ = ["Board", "boards", "boards_of", "known_replicates"]


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
) -> list[Gathered]:
    """The evidence of each recipe the long table can feed (arguments as in `boards_of`)."""
    kinds = set(frame["kind"] if kinds is None else kinds)
    found = []
    for recipe in RECIPES:
        if recipe.every_kind and kinds != set(recipe.protocols):
            continue
        evidence = gather(frame, recipe, replicates_of, unfinished, replicates)
        if evidence is not None:
            found.append(Gathered(recipe, evidence, kinds & set(recipe.protocols)))
    return found


def boards(
    collection: SuiteResults, *, drop_contaminated: bool = False, told: Callable[[str], None] = lambda line: None
) -> dict[str, Board]:
    """The boards of one suite, of those in `bench.recipes` for which there are results.

    Replicates are recomputed from predictions (cached); where that cannot be done a note says so. told: hears of each
    task.
    """
    known = known_replicates(collection, told)
    made = boards_of(
        collection.frame, known.draws.get, drop_contaminated=drop_contaminated, unfinished=collection.unfinished,
        kinds=collection.kinds,
    )  # fmt: skip
    return {
        r.name: replace(made[r.name], notes=(*known.notes(r), *collection.unscored(r)))
        for r in RECIPES
        if r.name in made
    }


def known_replicates(collection: SuiteResults, told: Callable[[str], None] = lambda line: None) -> Known:
    """Replicates of every unit a board can be made of. told: hears of each task, for the first time takes long."""
    from bench.leaderboard.replicates import all_replicates, folder

    if not (kept := folder()).is_dir():
        told(f"the first time here: the cases of every result are drawn again, for minutes; kept in {kept}")
    protocols = {name for recipe in RECIPES for name in recipe.protocols.values()}
    draws: dict[UnitKey, np.ndarray] = {}
    approximated: frozenset[UnitKey] = frozenset()
    for number, task in enumerate(collection.tasks, 1):
        told(f"{collection.suite}: resampling {task} ({number} of {len(collection.tasks)})")
        for results in collection.results.values():
            found, left = all_replicates(results, collection.at_hand, protocols, only=task)
            draws |= found
            approximated |= left
    return Known(draws, approximated)
