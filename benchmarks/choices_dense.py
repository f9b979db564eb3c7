"""The dense parts of `choices.py`."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
from choices_data import Cell, Store, units
from solver_data import table

from bench.metrics.base import Comparison
from bench.metrics.set import metrics_of
from bench.protocols import _dense
from bench.protocols.base import Problem
from bench.protocols.dense_linear import PROTOCOL as LINEAR
from bench.protocols.dense_linear_v1 import PROTOCOL as LINEAR_V1
from bench.protocols.dense_retrieval import PROTOCOL as RETRIEVAL
from bench.protocols.dense_retrieval_v1 import PROTOCOL as RETRIEVAL_V1

PROTOCOLS = (LINEAR_V1, LINEAR, RETRIEVAL_V1, RETRIEVAL)
NAMES = frozenset({"dice", "dice_foreground", "specificity"})
DENSE = [(s, e) for s in ("footulcer", "nuclei", "disccup") for e in ("lite0", "raw", "mae", "cnnrand")]
DENSE = [c for c in DENSE if c not in (("nuclei", "mae"), ("nuclei", "cnnrand"), ("disccup", "cnnrand"))]
DENSE_NEW = [("busiseg", "raw"), ("busiseg", "mae"), ("kvasirseg", "lite0"), ("kvasirseg", "raw")]


def dense(store: Store) -> None:
    """Both dense protocols in both versions, one unit a budget."""
    for name, cells in (("sets seen when the protocols were made", DENSE), ("sets not seen", DENSE_NEW)):
        rows = [r for cell in cells for r in rows_of(store, cell)]
        for title, keys in TABLES.items():
            if kept := [[r[k] for k in keys] for r in rows if r[keys[-1]]]:
                table(f"{title}, {name}", " | ".join(keys), kept)


TABLES = {
    "Dense linear": ["set", "encoder", "labels", "C, v1", "C, v2", "linear Dice, v1", "linear Dice, v2"],
    "Dense retrieval": ["set", "encoder", "labels", "retrieval Dice, v1", "retrieval Dice, v2", "one class everywhere"],
    "Specificity": ["set", "encoder", "labels", *(f"{p.name} specificity" for p in PROTOCOLS)],
}


def rows_of(store: Store, cell: Cell) -> list[dict[str, str]]:
    """The rows of `compared`, computed once."""
    columns = list(dict.fromkeys(c for keys in TABLES.values() for c in keys))
    made = store.kept(
        f"dense-rows-{'-'.join(cell)}", lambda: [np.array([r[c] for c in columns]) for r in compared(store, cell)]
    )
    return [dict(zip(columns, row.tolist(), strict=True)) for row in made]


def compared(store: Store, cell: Cell) -> Iterator[dict[str, str]]:
    """A row for each budget of a cell: every column of `TABLES`, "" where it does not apply."""
    if (found := store.problem("dense", cell)) is None:
        return
    given, truth = found
    full = max(judged(given, truth, np.full_like(truth, c))["dice"] for c in range(1, len(given.task.classes)))
    for budget in ("10%", "100%"):
        done = [next(iter(p.predict(given, units(given, budget, 1)))) for p in PROTOCOLS]
        told = [judged(given, truth, d.outputs["test"]) for d in done]
        row = {"set": cell[0], "encoder": cell[1], "labels": budget, "one class everywhere": f"{full:.3f}"}
        for p, d, t in zip(PROTOCOLS, done, told, strict=True):
            kind, version = p.name.removeprefix("dense-").split("-")
            row |= {f"C, {version}": f"{d.chosen['C']:g}"} if kind == "linear" else {}
            row[f"{kind} Dice, {version}"] = f"{t['dice']:.3f}"
            row[f"{p.name} specificity"] = f"{t['specificity']:.2f}" if "specificity" in t else ""
        yield row


def empty(store: Store) -> None:
    """Foot ulcers, where few images show none: what stricter operating points than the chosen one give and take."""
    rows, best = [], _dense.best_offset
    for encoder in ("lite0", "raw", "mae"):
        if (found := store.problem("dense", ("footulcer", encoder))) is None:
            continue
        given, truth = found
        for stricter in (0.0, 1.0, 2.0, 4.0):
            with patch.object(_dense, "best_offset", lambda curve, by=stricter: (best(curve)[0] + by, best(curve)[1])):
                done = next(iter(LINEAR.predict(given, units(given, "100%"))))
            told = judged(given, truth, done.outputs["test"])
            values = (f"{told[k]:.3f}" for k in ("dice", "dice_foreground", "specificity"))
            rows.append([encoder, f"{done.chosen['offset']:g}", *values])
    if rows:
        shares = ", ".join(
            f"{(y == 0).all((1, 2)).sum()} of {len(y)}" for y in (given.train.labels, given.val.labels, truth)
        )
        title = "dense-linear-v2 on footulcer, 100 %, at the chosen operating point and stricter ones"
        title += f" (images without ulcer in train, val, test: {shares})"
        table(title, "encoder | operating point | Dice | Dice, images with ulcer | specificity", rows)


def judged(given: Problem, truth: np.ndarray, output: np.ndarray) -> dict[str, float]:
    """Dice, with and without false alarms, and specificity where an image lacks a class."""
    asked = Comparison(given.task, output, truth, np.ones((1, len(truth))), 2, NAMES)
    found = {m.name: float(m.value(asked)[0]) for m in metrics_of("mask", 2) if m.name in NAMES}
    return {k: v for k, v in found.items() if not np.isnan(v)}
