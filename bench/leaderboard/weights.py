"""The weight of each task in a board: origins within cells within kinds, each level an equal mean."""

from __future__ import annotations

import numpy as np
import pandas as pd


def cell_names(tasks: pd.DataFrame) -> np.ndarray:
    """ "modality/kind" of each task."""
    return (tasks.modality + "/" + tasks.kind).to_numpy()


def within_cells(tasks: pd.DataFrame, present: np.ndarray) -> np.ndarray:
    """Weights (cells, t) of the tasks present, bool (t,), in each cell: equal over origins, then over their tasks.

    Rows in the order of `np.unique(cell_names(tasks))`; a row without a present task is 0.
    """
    names, origins = cell_names(tasks), tasks.origin.to_numpy()
    rows = []
    for cell in np.unique(names):
        row = np.zeros(len(tasks))
        inside = present & (names == cell)
        for origin in np.unique(origins[inside]):
            mine = inside & (origins == origin)
            row[mine] = 1 / mine.sum()
        rows.append(row / max(row.sum(), 1.0))
    return np.array(rows)


def over_cells(tasks: pd.DataFrame, present: np.ndarray, cell_weights: np.ndarray) -> np.ndarray:
    """Weights (r, cells): each row of `cell_weights` (r, cells), less empty cells, normalised within each kind; kinds
    that have a cell weigh the same."""
    names = np.unique(cell_names(tasks))
    kinds = np.array([name.split("/")[1] for name in names])
    alive = cell_weights * np.isin(names, cell_names(tasks)[present])
    shares = np.zeros_like(alive)
    for kind in np.unique(kinds):
        total = alive[:, kinds == kind].sum(axis=1, keepdims=True)
        shares[:, kinds == kind] = alive[:, kinds == kind] / np.where(total > 0, total, 1)
    return shares / np.maximum(shares.sum(axis=1, keepdims=True).round(), 1)


def task_weights(tasks: pd.DataFrame, present: np.ndarray, cell_weights: np.ndarray | None = None) -> np.ndarray:
    """Weight of each task in the board's score, (r, t); each row sums to 1 where a task is present.

    cell_weights: (r, cells), default one row of equal weights.
    """
    inside = within_cells(tasks, present)
    equal = np.ones((1, len(inside)))
    return over_cells(tasks, present, equal if cell_weights is None else cell_weights) @ inside
