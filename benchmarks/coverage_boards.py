"""How often the intervals of a board hold the truth: scores, ranks and tiers, on simulated boards whose truth is known.

    python benchmarks/coverage_boards.py [--boards 400] [--write docs/coverage.md]

A world fixes every encoder's true score on six tasks (four by AUROC, one of them with two images a patient, and two by
Dice), at all labels and at 1, 5 and 10 % with five label subsets. Each simulated board draws new test cases and new
subsets, common to all encoders, and is computed with the functions of the leaderboard. The first board of each world is
also made by `bench.leaderboard.boards_of` from a long table, and the script stops unless the two agree.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from bench import markers
from bench.leaderboard import boards_of
from bench.leaderboard.frame import COLUMNS, normalised
from bench.leaderboard.standing import rank_range, tiers
from bench.leaderboard.weights import Tasks, task_weights
from bench.metrics.products import weighted_sums
from bench.metrics.resample import percentile_interval, resample_counts
from bench.metrics.uncertainty import nest_seeds, paired_difference, seed_draws
from bench.recipes import FROZEN, RECIPES, BoardRecipe

CASES, SEEDS, REPLICATES = 150, 5, 500
TASKS = {
    "polyp": ("dense", "endoscopy"), "tumour": ("dense", "mri"), "lung": ("global", "ct"), "brain": ("global", "mri"),
    "knee": ("global", "mri"), "chest": ("global", "xray"),
}  # fmt: skip
TABLE = Tasks(np.array([*TASKS]), *(np.array([t[i] for t in TASKS.values()]) for i in (0, 1)), np.array([*TASKS]))
CHANCE = {"global": 0.5, "dense": 0.0}
PATIENTS = {"chest": np.arange(CASES) // 2}
LESS = {"100%": 1.0, "10%": 0.6, "5%": 0.4, "1%": 0.2}
"""What is left of a score at a label budget."""
SHARED, OWN = 0.7, 0.2
"""Shares of the noise on a case that all encoders have in common, and that an encoder has with every label subset; the
rest is another one for each subset."""
SEED_SD = 0.15
"""Spread of the separation over label subsets, half of its variance common to all encoders."""
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
SIMULATED = [r for r in RECIPES if r.name in ("Overall", "Global", "Dense", "Low-label")]
Estimates = Mapping[tuple[str, str], np.ndarray]
"""(task, budget) -> primary metric, float64 (seeds, 1 + b, e): the point, then the replicates."""


@dataclass(frozen=True)
class World:
    """True scores of the encoders at all labels."""

    name: str
    scores: tuple[float, ...]

    def truth(self, task: str, budget: str) -> np.ndarray:
        """True score of each encoder on a task, (e,): those that are not tied also differ from task to task."""
        order, t = np.arange(len(self.scores)), list(TASKS).index(task)
        shift = 0.02 * np.cos(np.pi * (2 * order / len(order) + t)) * (np.ptp(self.scores) > 0)
        return LESS[budget] * np.maximum(np.array(self.scores) + shift, 0.0)

    def board(self, recipe: BoardRecipe) -> np.ndarray:
        """True score of each encoder on a board, (e,)."""
        mine, weights = part(recipe)
        budgets = [b for b in recipe.budgets if b in LESS]
        return weights @ np.stack([np.mean([self.truth(t, b) for b in budgets], axis=0) for t in mine])


WORLDS = (
    World("weak and strong", (0.0, 0.0, 0.03, 0.1, 0.3, 0.6)),
    World("0.01 apart", (0.38, 0.39, 0.40, 0.41, 0.42, 0.43)),
    World("0.03 apart", (0.34, 0.37, 0.40, 0.43, 0.46, 0.49)),
    World("six tied", (0.4,) * 6),
    World("two tied", (0.4,) * 2),
)


def part(recipe: BoardRecipe) -> tuple[list[str], np.ndarray]:
    """The tasks of a board and their weights."""
    mine = np.isin(TABLE.kinds, list(recipe.protocols))
    weights = task_weights(TABLE, mine)[0]
    return TABLE.names[mine].tolist(), weights[mine]


def separation(score: np.ndarray, seed_sd: float) -> np.ndarray:
    """Distance of positives from negatives at which the expected AUROC, over cases and seeds, is (1 + score) / 2."""
    return np.sqrt(2 + seed_sd**2) * norm.ppf((1 + score) / 2)


@cache
def logit(score: float, sd: float) -> float:
    """m at which sigmoid(m + sd z) has the mean `score` over a normal z, by bisection."""
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        below = expit(middle + sd * NODES) @ NODE_WEIGHTS / NODE_WEIGHTS.sum() < score
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


@cache
def weights_of(task: str) -> np.ndarray:
    """Case weights (1 + b, n) of a task: ones, then its resamples."""
    groups = PATIENTS.get(task)
    counts = resample_counts(task, "test", np.arange(CASES), groups, REPLICATES)
    return np.vstack([np.ones((1, CASES), np.uint8), counts])


def areas(positive: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC of each column of `outputs` (n, e) without ties, as `bench.metrics.ranking.auroc` has it: (r, e). With
    few cases one product of matrices is faster."""
    ours, theirs = (np.ascontiguousarray(weights[:, p], dtype=np.float32) for p in (positive, ~positive))
    beaten = (outputs[positive].T[:, :, None] > outputs[~positive].T[:, None]).astype(np.float32)
    wins = np.stack([((ours @ one) * theirs).sum(axis=1) for one in beaten], axis=1)
    return wins / (ours.sum(axis=1) * theirs.sum(axis=1))[:, None].astype(np.float64)


def simulate(world: World, rng: np.random.Generator) -> dict[tuple[str, str], np.ndarray]:
    """The results of one draw of test cases and label subsets."""
    found = {}
    for task, (kind, _) in TASKS.items():
        group = PATIENTS.get(task, np.arange(CASES))
        case = (rng.normal(size=CASES)[group] + rng.normal(size=CASES))[:, None] / np.sqrt(2)
        positive = rng.permutation(np.arange(group.max() + 1) % 2 == 0)[group]
        own = rng.normal(size=(CASES, len(world.scores)))
        lasting = np.sqrt(SHARED) * case + np.sqrt(OWN) * own
        for budget in LESS:
            sd, seeds = (0.0, 1) if budget == "100%" else (SEED_SD, SEEDS)
            truth = world.truth(task, budget)
            by_seed = []
            for _ in range(seeds):
                noise = lasting + np.sqrt(1 - SHARED - OWN) * rng.normal(size=own.shape)
                subset = sd * (rng.normal() + rng.normal(size=len(truth))) / np.sqrt(2)
                if kind == "global":
                    outputs = noise + positive[:, None] * (separation(truth, sd) + subset)
                    by_seed.append(areas(positive, outputs, weights_of(task)))
                else:
                    centre = np.array([logit(max(float(x), 1e-4), float(np.hypot(1.0, sd))) for x in truth])
                    by_seed.append(weighted_sums(weights_of(task), expit(centre + noise + subset)) / CASES)
            found[task, budget] = np.stack(by_seed)
    return found


def board_of(estimates: Estimates, recipe: BoardRecipe, cut_off: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores (e,) and replicates (e, b) of a board; cut_off: as when scores below chance counted as 0."""
    mine, weights = part(recipe)
    tasks = []
    for task in mine:
        by_budget = [_scores(task, b, estimates[task, b], cut_off) for b in sorted(recipe.budgets)]
        tasks.append(np.mean(by_budget, axis=0))
    total = np.tensordot(weights, np.stack(tasks), axes=1)
    return total[0], total[1:].T


def _scores(task: str, budget: str, by_seed: np.ndarray, cut_off: bool) -> np.ndarray:
    """Scores of one task at one budget, (1 + b, e)."""
    draws = seed_draws(f"{task}\x00{budget}", len(by_seed), REPLICATES)
    nested = [nest_seeds(by_seed[:, 1:, i], draws) for i in range(by_seed.shape[2])]
    values = np.vstack([by_seed[:, 0].mean(axis=0), np.stack(nested, axis=1)])
    scores = normalised(values, CHANCE[TASKS[task][0]])
    return np.maximum(scores, 0.0) if cut_off else scores


def check(estimates: Estimates) -> None:
    """Stop unless the leaderboard makes the same of the results."""
    rows, draws = [], {}
    for (task, budget), by_seed in estimates.items():
        kind, modality = TASKS[task]
        for seed, found in enumerate(by_seed):
            for i in range(found.shape[1]):
                key = (f"e{i}", task, FROZEN[kind], budget, seed)
                draws[key] = found[1:, i]
                rows.append({
                    **dict(zip(("encoder", "task", "protocol", "budget", "seed"), key, strict=True)), "kind": kind,
                    "modality": modality, "origin": task, "paradigm": "hybrid", "badge": "rescored", "split": "test",
                    "primary": True, "value": found[0, i], "chance": CHANCE[kind], "score": 0.0, "contaminated": "no",
                })  # fmt: skip
    made = boards_of(pd.DataFrame(rows, columns=list(COLUMNS)), draws.get, replicates=REPLICATES)
    for recipe in SIMULATED:
        points, replicates = board_of(estimates, recipe, cut_off=False)
        board = made[recipe.name]
        order = [int(row.encoder[1:]) for row in board.rows]
        np.testing.assert_allclose([row.score for row in board.rows], points[order], atol=1e-9)
        np.testing.assert_allclose(board.score_replicates, replicates[order], atol=1e-6)
        places = np.stack([*rank_range(replicates), tiers(points, replicates)])[:, order]
        np.testing.assert_array_equal([[r.rank_low, r.rank_high, r.tier] for r in board.rows], places.T)


@dataclass
class Hits:
    """What held of one board over the simulations."""

    score: list[np.ndarray] = field(default_factory=list)
    rank: list[np.ndarray] = field(default_factory=list)
    difference: list[bool] = field(default_factory=list)
    split: list[bool] = field(default_factory=list)
    """Whether two encoders that are truly tied stand in different tiers, for each such pair."""

    def add(self, points: np.ndarray, draws: np.ndarray, truth: np.ndarray) -> None:
        """Count one board."""
        ends = np.array([percentile_interval(d) for d in draws])
        self.score.append((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
        gap = truth[:, None] - truth
        best, worst = 1 + (gap < -1e-9).sum(axis=1), (gap < 1e-9).sum(axis=1)
        low, high = rank_range(draws)
        self.rank.append((low <= worst) & (best <= high))
        for i in range(1, len(truth)):
            found = paired_difference(points[i], points[0], draws[i], draws[0])
            self.difference.append(bool(found.low <= truth[i] - truth[0] <= found.high))
        tier = tiers(points, draws)
        first, second = np.nonzero(np.tril(np.abs(gap) < 1e-9, -1))
        self.split += (tier[first] != tier[second]).tolist()

    def shares(self) -> Iterator[str]:
        """The columns of the table."""
        score, rank = np.stack(self.score), np.stack(self.rank)
        yield from (f"{100 * found.mean():.1f} %" for found in (
            score, score.mean(axis=0).min(), np.array(self.difference), rank, rank.mean(axis=0).min(), rank.all(axis=1),
        ))  # fmt: skip
        yield f"{100 * np.mean(self.split):.1f} %" if self.split else "-"


def measure(world: World, boards: int, *, cut_off: bool = False) -> dict[str, Hits]:
    """Board -> hits over `boards` simulated boards."""
    rng = np.random.default_rng(11)
    hits: dict[str, Hits] = defaultdict(Hits)
    for n in range(boards):
        estimates = simulate(world, rng)
        if n == 0:
            check(estimates)
        for recipe in SIMULATED:
            hits[recipe.name].add(*board_of(estimates, recipe, cut_off), world.board(recipe))
    return dict(hits)


HEAD = [
    "world", "board", "score", "its worst encoder", "difference to the first", "rank", "its worst encoder",
    "all ranks at once", "tied pair in two tiers",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=400)
    parser.add_argument("--write", type=Path, help="page whose table of boards is replaced")
    arguments = parser.parse_args()
    rows = []
    for world, cut_off in [(WORLDS[0], True), *((w, False) for w in WORLDS)]:
        name = world.name + (", cut off at 0" if cut_off else "")
        for board, hits in measure(world, arguments.boards, cut_off=cut_off).items():
            rows.append([name, board, *hits.shares()])
            print(" | ".join(rows[-1]), flush=True)
    if arguments.write:
        markers.refresh(arguments.write, {"boards": markers.table(HEAD, rows)})


if __name__ == "__main__":
    main()
