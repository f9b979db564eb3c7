"""The tables of suite results, on a board made by hand."""

from statistics import stdev

import numpy as np
import pytest

from bench.leaderboard.board import Board, BoardRow
from bench.pretrain import standings


def story(objective, seed=0, backbone="vit"):
    name = f"tiny-{backbone}-{objective}" + (f"-seed{seed}" if seed else "")
    return {"objective": objective, "seed": seed, "backbone": backbone, "name": name, "learning_rate": 0.1}


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


NAMES = ("tiny-vit-simclr", "tiny-vit-mae", "tiny-vit-mae-seed1")
BOARDS = {"Global": board("Global"), "Dense": board("Dense", 0.1)}


def test_each_encoder_against_its_untrained_network():
    lines = standings.against_random(STORIES, BOARDS).splitlines()[2:]
    assert len(lines) == 6
    assert lines[0].startswith("| tiny-vit-random-init | Reference | 20.0 | - | 30.0 | - |")
    assert lines[1].startswith("| tiny-vit-simclr | Contrastive | 30.0 | +10.0 [+9.8, +10.2] | 40.0 | +10.0 [")


def test_each_objective_against_the_same_on_other_images():
    rates = {"simclr": 0.3, "mae": 0.1, "random-init": 0.1, "moco-v3": 0.1}
    real = [s | {"learning_rate": rates[s["objective"]]} for s in STORIES[:1] + STORIES[2:4]]
    other = [s | {"learning_rate": 0.1, "name": n} for s, n in zip(STORIES[:1] + STORIES[3:4] * 2, NAMES, strict=True)]
    other[0] |= {"learning_rate": 0.7}
    other[1] |= {"learning_rate": 0.3, "objective": "simclr", "seed": 1}
    other[2] |= {"objective": "moco-v3"}
    table = standings.against_other_images(real, other, BOARDS).splitlines()[2:]
    # 0.20 against 0.30, 0.34 against 0.25, 0.36 against 0.27: a repeated seed and the untrained network are in no mean.
    assert [row.split(" | ")[2].split()[0] for row in table] == ["-10.0", "+9.0", "+9.0"]
    real.append(real[2] | {"objective": "mae", "name": "tiny-vit-mae"})
    other.append(other[2] | {"objective": "mae", "name": "tiny-vit-mae-seed1"})
    last = standings.against_other_images(real, other, BOARDS).splitlines()[-1]
    # Of +9 and -2: 3.5, and 12.706 (t of one degree of freedom) times 5.5.
    assert last == "| mean of 2 objectives |  | +3.5 [-66.4, +73.4] | +3.5 [-66.4, +73.4] |"
    slower = [s | {"learning_rate": 0.5} for s in real]
    assert len(standings.against_other_images(slower, other, BOARDS).splitlines()) == 3, (
        "the untrained network has no rate"
    )


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


def test_a_pathology_aware_objective_against_its_control_at_one_seed_and_rate():
    aware = {"random-init": "supervised", "moco-v3": "anomaly-contrast", "mae": "anomaly-mim"}
    made = [s | {"objective": aware.get(s["objective"], s["objective"])} for s in STORIES]
    made[4] |= {"objective": "anomaly-contrast", "seed": 1}
    first, second = standings.against_controls(made, BOARDS).splitlines()[2:]
    # .36 less .30 at seed 0 and .25 less .34 at seed 1: -1.5, and 12.706 (t of one degree of freedom) times 7.5.
    shown = "-1.5 [-96.8, +93.8] | +6.0, -9.0"
    assert first == f"| anomaly-contrast | simclr | {shown} | {shown} |"
    assert second == "| anomaly-mim | simmim | - | - | - | - |"
    made[2] |= {"learning_rate": 0.2}
    assert "| - | +6.0 | - | +6.0 |" in standings.against_controls(made, BOARDS)


TABLES = [standings.against_random, standings.against_controls, standings.seeds, standings.spread]


@pytest.mark.parametrize("table", TABLES)
def test_nothing_scored_yet(table):
    assert len(table(STORIES, {}).splitlines()) in (2, 5)
