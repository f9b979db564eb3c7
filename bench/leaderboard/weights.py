"""The weight of each task in a board: origins within cells within kinds, each level an equal mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Tasks:
    """The tasks of a board, (t,) words each, ordered by kind, modality and name."""

    names: np.ndarray
    kinds: np.ndarray
    modalities: np.ndarray
    origins: np.ndarray

    @cached_property
    def cell_of(self) -> np.ndarray:
        """ "modality/kind" of each task."""
        return np.array([f"{m}/{k}" for m, k in zip(self.modalities, self.kinds, strict=True)])

    @cached_property
    def cells(self) -> np.ndarray:
        """The cells, sorted."""
        return np.unique(self.cell_of)

    @cached_property
    def cell_kinds(self) -> np.ndarray:
        """Kind of each cell."""
        return np.array([cell.split("/")[1] for cell in self.cells])

    @cached_property
    def in_cell(self) -> np.ndarray:
        """bool (cells, t)."""
        return self.cells[:, None] == self.cell_of

    @cached_property
    def siblings(self) -> np.ndarray:
        """Whether two tasks share cell and origin, float64 (t, t)."""
        same = (self.cell_of[:, None] == self.cell_of) & (self.origins[:, None] == self.origins)
        return same.astype(np.float64)


def within_cells(tasks: Tasks, present: np.ndarray) -> np.ndarray:
    """Weights (cells, t) of the tasks present, bool (t,), in each cell: equal over origins, then over their tasks.

    Rows in the order of `tasks.cells`; a row without a present task is 0.
    """
    share = np.where(present, 1 / np.maximum(tasks.siblings @ present, 1), 0.0)
    rows = tasks.in_cell * share
    return rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)  # the sum is the number of origins


def over_cells(tasks: Tasks, present: np.ndarray, cell_weights: np.ndarray) -> np.ndarray:
    """Weights (r, cells): each row of `cell_weights` (r, cells), less empty cells, normalised within each kind; kinds
    that have a cell weigh the same."""
    alive = cell_weights * (tasks.in_cell @ present)
    shares = np.zeros_like(alive)
    for kind in np.unique(tasks.cell_kinds):
        mine = tasks.cell_kinds == kind
        total = alive[:, mine].sum(axis=1, keepdims=True)
        shares[:, mine] = alive[:, mine] / np.where(total > 0, total, 1)
    return shares / np.maximum(shares.sum(axis=1, keepdims=True).round(), 1)


def task_weights(tasks: Tasks, present: np.ndarray, cell_weights: np.ndarray | None = None) -> np.ndarray:
    """Weight of each task in the board's score, (r, t); each row sums to 1 where a task is present.

    cell_weights: (r, cells), default one row of equal weights.
    """
    inside = within_cells(tasks, present)
    equal = np.ones((1, len(inside)))
    return over_cells(tasks, present, equal if cell_weights is None else cell_weights) @ inside
