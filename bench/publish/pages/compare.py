"""Compare: paired differences between encoders, task by task."""

from __future__ import annotations

import numpy as np

from bench.publish.model import BoardView, Estimate, Pairs, SuiteView
from bench.publish.rerank import LEVEL, base64_shorts, totals
from bench.publish.text import modality
from bench.publish.writer import Page, Site

BUDGET = 40_000
"""Replicate values shipped for each encoder."""
FEWEST, MOST, TOP = 200, 2000, 8


def write(site: Site) -> None:
    """The page, one data file an encoder, and a table of the leaders against each other."""
    suites = [s for s in site.view.suites if s.pairs is not None]
    for suite in suites:
        _write_data(site, suite, suite.pairs)
    site.page(
        "compare.html", "pages/compare.html", suites=suites, encoders=site.view.encoders,
        leaders=[(s, s.boards[0], leaders(s.boards[0])) for s in suites if s.boards],
    )  # fmt: skip


def _write_data(site: Site, suite: SuiteView, pairs: Pairs) -> None:
    r = min(pairs.replicates.shape[2], MOST, max(FEWEST, BUDGET // max(1, len(pairs.tasks))))
    cards = [suite.tasks[n].task for n in pairs.tasks]
    tasks = [{"name": t.name, "title": t.title, "modality": modality(t.modality), "kind": t.kind} for t in cards]
    titles = [{"name": n, "title": site.view.encoders[n].title} for n in pairs.encoders]
    name = f"pairs/{suite.name}"
    site.script(f"data/{name}.js", "receive", {"name": name, "tasks": tasks, "encoders": titles, "replicates": r})
    for encoder, points, draws in zip(pairs.encoders, pairs.points, pairs.replicates, strict=True):
        values = [None if np.isnan(v) else float(v) for v in points]
        data = {"name": f"{name}/{encoder}", "values": values, "shorts": base64_shorts(draws[:, :r])}
        site.script(f"data/{name}/{encoder}.js", "receive", data)


def leaders(board: BoardView) -> tuple[list[str], list[list[Estimate | None]]]:
    """The first encoders of a board against each other: row less column, with the paired 95 % interval."""
    rows = [i for i, row in enumerate(board.rows) if row.rank is not None][:TOP]
    spread = board.replicates[:, rows].transpose(1, 2, 0)
    _, draws = totals(board.points[rows], spread, [c.kind for c in board.columns], np.ones(len(board.columns)))
    table = [
        [None if i == j else _difference(board, rows, draws, i, j) for j in range(len(rows))] for i in range(len(rows))
    ]
    return [board.rows[i].encoder for i in rows], table


def _difference(board: BoardView, rows: list[int], draws: np.ndarray, i: int, j: int) -> Estimate:
    value = board.rows[rows[i]].score - board.rows[rows[j]].score
    low, high = np.quantile(draws[i] - draws[j], LEVEL)  # NaN where replicates are unknown
    return Estimate(value, float(low), float(high))


PAGE = Page("compare", write, "Compare", 30, "compare.html")
