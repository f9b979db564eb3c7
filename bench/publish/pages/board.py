"""Boards: one page a suite and board, and the front page."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np

from bench.leaderboard.board import Row
from bench.publish.anchors import cell_anchors
from bench.publish.cite import view_bibtex
from bench.publish.model import BoardView, SiteView, SuiteView
from bench.publish.writer import Page, Site


def address(suite: str, board: str) -> str:
    """Address of a board within the site."""
    return f"boards/{suite}/{board}.html"


def write(site: Site) -> None:
    """Every board of every suite; the first board of the first suite is the front page too."""
    first = True
    for suite in site.view.suites:
        for board in suite.boards:
            context = _context(site.view, suite, board)
            site.page(address(suite.name, board.name), "pages/board.html", front=False, **context)
            if first:
                site.page("index.html", "pages/board.html", front=True, **context)
                first = False
    if first:
        site.page("index.html", "pages/empty.html")


def _context(view: SiteView, suite: SuiteView, board: BoardView) -> dict:
    low, high = (board_axis(board)[end] for end in ("low", "high"))
    encoders = [view.encoders[r.encoder] for r in board.rows]
    curve_values = [e.value for points in board.curves.values() for _, e in points]
    return {
        "suite": suite,
        "board": board,
        "low": low,
        "high": high,
        "encoders": view.encoders,
        "facets": _facets(encoders),
        "parts": _parts(suite, board),
        "bottom": min([0.0, *curve_values]),
        "top": max(curve_values, default=high),
        "has_curves": any(len(points) > 1 for points in board.curves.values()),
        "tiers": _tier_starts(board.rows),
        "bibtex": view_bibtex(view),
        "anchors": anchor_rows(suite, board),
        "modalities": list(dict.fromkeys(c.modality for c in board.columns)),
    }


@dataclass(frozen=True, slots=True)
class AnchorRow:
    """One anchor in the columns of a board; None where a cell has none. parts: the same on Global and Dense."""

    kind: str
    title: str
    score: float
    cells: tuple[float | None, ...]
    parts: dict[str, float]


def anchor_rows(suite: SuiteView, board: BoardView) -> list[AnchorRow]:
    """Chance and ceilings on the board's scale. An anchor of some cells only has its mean over those: cells without a
    ceiling of their own can reach 1."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for j, column in enumerate(board.columns):
        for key, score in cell_anchors(suite.tasks[t].anchors for t in column.tasks).items():
            found.setdefault(key, {})[j] = score
    if board.name in ("low-label", "fine-tune"):
        found = {key: cells for key, cells in found.items() if key[0] == "chance"}
    rows = [_anchor_row(board, *key, cells) for key, cells in found.items()]
    return sorted(rows, key=lambda r: (-r.score, r.title))


def _anchor_row(board: BoardView, kind: str, title: str, cells: dict[int, float]) -> AnchorRow:
    kinds = [c.kind for c in board.columns]
    default = 1.0 if kind == "ceiling" else 0.0
    values = [cells.get(j, default) for j in range(len(kinds))]
    means = {k: float(np.mean([v for v, mine in zip(values, kinds, strict=True) if mine == k])) for k in set(kinds)}
    shown = tuple(None if j not in cells else round(cells[j], 6) for j in range(len(kinds)))
    return AnchorRow(kind, title, float(np.mean(list(means.values()))), shown, means)


def board_axis(board: BoardView) -> dict[str, float]:
    """Ends of the axis of a board's intervals."""
    low, high = axis([v for r in board.rows for v in (r.low, r.high, r.score) if v is not None])
    return {"low": low, "high": high}


def axis(values: list[float]) -> tuple[float, float]:
    """A round axis that holds every value, within [-1, 1]."""
    if not values:
        return 0.0, 1.0
    low, high = (min(1.0, max(-1.0, end(values))) for end in (min, max))
    return floor(low * 20) / 20, min(1.0, (floor(high * 20) + 1) / 20)


def _parts(suite: SuiteView, board: BoardView) -> dict[str, dict[str, Row]]:
    """On the Overall board, the rows of Global and Dense beside it, by encoder."""
    if board.name != "overall":
        return {}
    return {b.name: {r.encoder: r for r in b.rows} for b in suite.boards if b.name in ("global", "dense")}


def _facets(encoders: list) -> dict[str, list[str]]:
    cards = [e.card for e in encoders]
    corpora = {c.corpus for card in cards for c in card.pretraining or []}
    return {
        "objective": sorted({c.objective for c in cards}),
        "architecture": sorted({c.architecture for c in cards}),
        "licence": sorted({c.licence for c in cards}),
        "corpus": sorted(corpora),
    }


def _tier_starts(rows: tuple[Row, ...]) -> set[str]:
    """Encoders that open a tier: a line is drawn above them."""
    starts, seen = set(), None
    for row in rows:
        if row.tier is not None and row.tier != seen:
            if seen is not None:
                starts.add(row.encoder)
            seen = row.tier
    return starts


PAGE = Page("board", write, "Board", 10, "index.html")
