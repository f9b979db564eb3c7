"""The page's arithmetic against Python's, and Python's against plain definitions."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.publish.pages.board_data import replicates
from bench.publish.rerank import MISSING, SCALE, quantise, standings, totals

SCRIPTS = Path(__file__).parents[2] / "site" / "scripts"


def restored(shorts):
    """Inverse of `quantise`, as the page has it."""
    return np.where(shorts == MISSING, np.nan, shorts / SCALE - 1)


def shipped(view, board):
    """(kinds, cells, replicates) as a page receives them."""
    data = replicates(view, view.suites[0], board)
    variant = data["variants"]["all"]
    cells = np.array(variant["cells"], float)
    shorts = np.frombuffer(base64.b64decode(variant["shorts"]), "<u2")
    spread = restored(shorts).reshape(*cells.shape, data["replicates"])
    return data, [c["kind"] for c in data["columns"]], cells, spread


def moved(board, shift):
    """A board with every cell moved by `shift`, replicates too."""
    cells = [{k: c.model_copy(update={"value": c.value + shift}) for k, c in r.cells.items()} for r in board.rows]
    rows = tuple(r.model_copy(update={"cells": c}) for r, c in zip(board.rows, cells, strict=True))
    return replace(board, rows=rows, replicates=board.replicates + np.float32(shift))


def test_quantising_keeps_four_digits_and_missing_values():
    values = np.array([0.0, 1.0, -1.0, 0.123456, -0.98765, np.nan])
    shorts = quantise(values)
    assert shorts[-1] == MISSING
    np.testing.assert_allclose(restored(shorts), values, atol=1.6e-5)


def test_mean_of_cells_then_kinds_by_hand():
    cells = np.array([[0.2, 0.4, 0.9], [0.2, np.nan, 0.9], [np.nan, np.nan, np.nan]])
    points, spread = totals(cells, cells[:, :, None], ["global", "global", "dense"], [1, 3, 1])
    np.testing.assert_allclose(points, [((0.2 + 3 * 0.4) / 4 + 0.9) / 2, (0.2 + 0.9) / 2, np.nan])
    np.testing.assert_allclose(spread[:, 0], points)


def test_a_kind_without_weight_does_not_count():
    points, _ = totals(np.array([[0.2, 0.9]]), np.zeros((1, 2, 1)), ["global", "dense"], [1, 0])
    assert points[0] == pytest.approx(0.2)


def test_default_view_is_the_board(view):
    for board in view.suites[0].boards:
        _, kinds, cells, spread = shipped(view, board)
        points, draws = totals(cells, spread, kinds, np.ones(len(kinds)))
        np.testing.assert_allclose(points, [r.score for r in board.rows], atol=1e-9)
        pool = [i for i, r in enumerate(board.rows) if r.rank is not None]
        for place in standings(points, draws, pool):
            row = board.rows[place.encoder]
            assert (place.rank, place.tier) == (row.rank, row.tier)


@pytest.mark.parametrize("weights", ["ones", "some", "one kind"])
@pytest.mark.parametrize("pool", ["all", "odd", "one"])
@pytest.mark.parametrize("shift", [0.0, -0.7])
def test_page_and_python_agree(page, view, weights, pool, shift):
    board = view.suites[0].boards[0]
    board = moved(board, shift)
    data, kinds, cells, spread = shipped(view, board)
    assert (cells.min() < 0) == (shift < 0)
    rng = np.random.default_rng(1)
    chosen = {
        "ones": np.ones(len(kinds)), "some": rng.integers(0, 5, len(kinds)) / 2,
        "one kind": np.array([float(k == "dense") for k in kinds]),
    }[weights]  # fmt: skip
    members = list(range(len(cells)))[:: {"all": 1, "odd": 2, "one": len(cells)}[pool]]
    points, draws = totals(cells, spread, kinds, chosen)
    expected = standings(points, draws, members)
    page.goto("about:blank")
    page.evaluate("window.medssl = {}")
    for name in ("state", "rank"):
        page.evaluate((SCRIPTS / f"{name}.js").read_text(encoding="utf-8"))
    found = page.evaluate(
        """([data, weights, pool]) => {
          const kinds = [...new Set(data.columns.map(c => c.kind))]
            .map(k => data.columns.map((c, i) => c.kind === k ? i : -1).filter(i => i >= 0));
          const v = data.variants.all;
          const totals = medssl.rank.totals(
            {cells: v.cells, shorts: medssl.state.shorts(v.shorts), kinds, replicates: data.replicates}, weights);
          return {points: [...totals.points], places: medssl.rank.standings(totals, pool, data.replicates),
                  intervals: pool.map(e => medssl.rank.interval(totals.spread, e, data.replicates))};
        }""",
        [json.loads(json.dumps(data)), chosen.tolist(), members],
    )
    np.testing.assert_allclose(found["points"], points, atol=1e-12)
    np.testing.assert_allclose(found["intervals"], [np.quantile(draws[e], (0.025, 0.975)) for e in members], atol=1e-12)
    assert [tuple(p[k] for k in ("encoder", "rank", "low", "high", "tier")) for p in found["places"]] == [
        (p.encoder, p.rank, p.low, p.high, p.tier) for p in expected
    ]


def test_pages_write_no_sign_before_what_rounds_to_zero(page):
    page.goto("about:blank")
    page.evaluate((SCRIPTS / "theme.js").read_text(encoding="utf-8"))
    shown = page.evaluate("[-0.0004, 0.0004, -0.5, 0, 0.25].map(v => medssl.fixed(v, 3))")
    assert shown == ["0.000", "0.000", "−0.500", "0.000", "0.250"]
