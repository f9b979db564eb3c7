"""The tables of suite results, on a board made by hand."""

from statistics import stdev

import numpy as np
import pytest

from bench.leaderboard.board import Board, BoardRow
from bench.pretrain import standings


def story(objective, seed=0, backbone="vit"):
    name = f"tiny-{backbone}-{objective}" + (f"-seed{seed}" if seed else "")
    return {"objective": objective, "seed": seed, "backbone": backbone, "name": name}


STORIES = [story("random-init"), story("simclr"), story("simclr", 1), story("moco-v3"), story("mae"), story("mae", 1)]
SCORES = [0.20, 0.30, 0.34, 0.36, 0.25, 0.27]


def board(name, shift=0.0):
    """Replicates share all their noise, so that paired differences are exact but for a little of the first's own."""
    noise = np.random.default_rng(0).normal(0, 0.02, 500)
    own = np.random.default_rng(1).normal(0, 0.001, 500)
    rows = tuple(
        BoardRow(encoder=s["name"], paradigm="contrastive", badge="", reference=False, score=v + shift)
        for s, v in zip(STORIES, SCORES, strict=True)
    )
    draws = np.array([v + shift + noise + (own if i == 0 else 0) for i, v in enumerate(SCORES)])
    return Board(name, "", False, (), rows, np.empty((500, 6, 0)), draws)


BOARDS = {"Global": board("Global"), "Dense": board("Dense", 0.1)}


def test_each_encoder_against_its_untrained_network():
    lines = standings.against_random(STORIES, BOARDS).splitlines()[2:]
    assert len(lines) == 6
    assert lines[0].startswith("| tiny-vit-random-init | Reference | 20.0 | - | 30.0 | - |")
    assert lines[1].startswith("| tiny-vit-simclr | Contrastive | 30.0 | +10.0 [+9.8, +10.2] | 40.0 | +10.0 [")


def test_seeds_and_spread_by_hand():
    (simclr, mae) = standings.seeds(STORIES, BOARDS).splitlines()[2:]
    assert simclr == f"| simclr | 2 | 32.00, {stdev([30, 34]):.2f} | 42.00, {stdev([30, 34]):.2f} |"
    assert mae.startswith("| mae | 2 | 26.00, 1.41")
    by_seed, by_objective, by_paradigm = standings.spread(STORIES, BOARDS).splitlines()[2:]
    assert f"| {((8 + 2) / 2) ** 0.5:.2f} |" in by_seed
    assert "4 values, 2 groups" in by_seed
    assert f"| {stdev([30, 36]):.2f} |" in by_objective
    assert f"| {stdev([33, 25]):.2f} |" in by_paradigm
    assert by_paradigm.endswith("2 values, 1 group |")


@pytest.mark.parametrize("table", [standings.against_random, standings.seeds, standings.spread])
def test_nothing_scored_yet(table):
    assert len(table(STORIES, {}).splitlines()) in (2, 5)
