"""Label curves: the board's own score and interval at each share of labels."""

from __future__ import annotations

import numpy as np
import pytest

from bench.leaderboard import boards_of
from bench.leaderboard.board import make_board
from bench.leaderboard.evidence import gather
from bench.publish.curves import label_curves
from bench.recipes import FROZEN, BoardRecipe
from tests.analysis.planted import SimulationDesign, plant

B = 300


@pytest.fixture(scope="module")
def frame():
    found = plant(
        SimulationDesign(encoders=4, references=1, modalities=2, per_modality=(2, 1), fractions=(0.1, 1.0), seeds=2)
    )
    return found.astype({"encoder": str, "task": str, "protocol": str, "budget": str})


@pytest.fixture(scope="module")
def draws(frame):
    rng = np.random.default_rng(0)
    keys = ["encoder", "task", "protocol", "budget", "seed", "value"]
    primary = frame[frame["primary"] & (frame["split"] == "test")]
    return {tuple(row[:5]): row[5] + rng.normal(0, 0.02, B) for row in primary[keys].itertuples(index=False)}


def test_the_last_point_is_the_board(frame, draws):
    curves = label_curves(frame, draws.get, replicates=B)
    names = {"Overall": ("dense", "global"), "Global": ("global",), "Dense": ("dense",)}
    for name, board in boards_of(frame, draws.get, replicates=B).items():
        for row in board.rows if name in names else ():
            share, last = curves[names[name]][row.encoder][-1]
            assert share == 1.0
            assert (last.value, last.low, last.high) == pytest.approx((row.score, row.low, row.high), abs=1e-6)


def test_a_point_is_the_board_that_share_would_make(frame, draws):
    recipe = BoardRecipe("Tenth", FROZEN, ("10%",), "")
    board = make_board(recipe, gather(frame, recipe, draws.get, (), B))
    curves = label_curves(frame, draws.get, replicates=B)
    for row in board.rows:
        share, first = curves["dense", "global"][row.encoder][0]
        assert share == pytest.approx(0.1)
        assert (first.value, first.low, first.high) == pytest.approx((row.score, row.low, row.high), abs=1e-6)


def test_no_point_without_every_task(frame, draws):
    name, task = frame["encoder"].iloc[0], frame.loc[frame["kind"] == "dense", "task"].iloc[0]
    lost = frame[~((frame["encoder"] == name) & (frame["task"] == task) & (frame["budget"] == "10%"))]
    curves = label_curves(lost, draws.get, replicates=B)
    assert [s for s, _ in curves["dense", "global"][name]] == [1.0]
    assert [s for s, _ in curves["global",][name]] == [0.1, 1.0]


def test_unknown_replicates_leave_the_line_without_a_band(frame):
    point = label_curves(frame, lambda _: None, replicates=B)["global",]
    assert all(np.isfinite(e.value) and np.isnan(e.low) for points in point.values() for _, e in points)
