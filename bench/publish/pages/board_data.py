"""The data behind each board: replicates for the page, tables for everyone."""

import numpy as np

from bench.publish.export import board_table, write_table
from bench.publish.model import BoardView, SiteView, SuiteView
from bench.publish.pages.board import board_axis
from bench.publish.rerank import base64_shorts, shipped_count
from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """Replicates and tables of every board."""
    for suite in site.view.suites:
        for board in suite.boards:
            stem = f"data/boards/{suite.name}/{board.name}"
            site.script(f"{stem}.js", "receive", replicates(site.view, suite, board))
            write_table(site, stem, board_table(site.view, suite, board), latex=True)


def replicates(view: SiteView, suite: SuiteView, board: BoardView) -> dict:
    """What site/scripts/board.js needs to rank again: cells as shown, and quantised replicates of them."""
    r = shipped_count(board)
    ranked = [not row.why_unranked and not view.encoders[row.encoder].reference for row in board.rows]
    variants = {"all": _variant(board.points, board.replicates[:r], ranked)}
    if board.clean is not None:
        left = [
            not why and not view.encoders[row.encoder].reference
            for row, why in zip(board.rows, board.clean.unranked, strict=True)
        ]
        variants["clean"] = _variant(board.clean.cells, board.clean.replicates[:r], left)
    return {
        "name": f"{suite.name}/{board.name}",
        "encoders": [row.encoder for row in board.rows],
        "axis": board_axis(board),
        "replicates": r,
        "columns": [{"key": c.key, "modality": c.modality, "kind": c.kind} for c in board.columns],
        "variants": variants,
        "data": view.fingerprint,
    }


def _variant(cells: np.ndarray, spread: np.ndarray, ranked: list[bool]) -> dict:
    values = [[None if np.isnan(v) else float(v) for v in row] for row in cells]
    return {"cells": values, "shorts": base64_shorts(spread.transpose(1, 2, 0)), "ranked": ranked}


PAGE = Page("board-data", write)
