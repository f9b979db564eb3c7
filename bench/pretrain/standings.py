"""What the suite says of the controlled track: each encoder against its untrained network; seeds beside paradigms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean, stdev, variance
from typing import Any

from bench.leaderboard.board import Board
from bench.markers import table
from bench.metrics.uncertainty import Difference
from bench.pretrain.job import objectives
from bench.words import PARADIGM_TITLES

Story = dict[str, Any]
BOARDS = ("Global", "Dense")
REFERENCE = "reference"


def against_random(stories: list[Story], boards: Mapping[str, Board]) -> str:
    """One row a scored encoder: Global and Dense in points, and each less that of the untrained network of the same
    backbone with the paired 95 % interval."""
    rows, scores = [], _scores(boards)
    untrained = {s["backbone"]: s["name"] for s in stories if s["objective"] == "random-init"}
    differences = {
        (board, backbone): boards[board].against(name)
        for board in scores
        for backbone, name in untrained.items()
        if name in scores[board]
    }
    for story in stories:
        if all(story["name"] in found for found in scores.values()) and scores:
            cells = [
                text
                for board in scores
                for text in (
                    f"{scores[board][story['name']]:.1f}",
                    _difference(differences.get((board, story["backbone"]), {}).get(story["name"])),
                )
            ]
            rows.append([story["name"], _paradigm(story), *cells])
    head = ["encoder", "paradigm", "Global", "less random init", "Dense", "less random init"]
    return table(head, rows, right=range(2, 6))


def spread(stories: list[Story], boards: Mapping[str, Board]) -> str:
    """Standard deviation in points of Global and Dense: between pretraining seeds of one objective, between the
    objectives of one paradigm, and between the means of paradigms (transformers, seed 0 for the last two)."""
    rows, scores = [], _scores(boards)
    vit = [s for s in stories if s["backbone"] == "vit"]
    for words, groups, of_means in (
        ("between pretraining seeds of one objective", _by_seed(vit), False),
        ("between objectives of one paradigm", _by_paradigm(vit), False),
        ("between paradigm means", _by_paradigm(vit), True),
    ):
        by_board = [_values(groups, found, of_means) for found in scores.values()]
        cells = [f"{_pooled(values):.2f}" if values else "-" for values in by_board]
        basis = [f"{sum(map(len, v))} values, {len(v)} group{'s' * (len(v) != 1)}" for v in by_board[:1]]
        rows.append([words, *cells, *basis])
    return table(["spread, points", "Global", "Dense", "from"], rows, right=(1, 2))


def seeds(stories: list[Story], boards: Mapping[str, Board]) -> str:
    """Global and Dense of each objective that was pretrained with several seeds: mean and standard deviation."""
    rows, scores = [], _scores(boards)
    for group in _by_seed([s for s in stories if s["backbone"] == "vit"]):
        values = [[found[s["name"]] for s in group if s["name"] in found] for found in scores.values()]
        if values and all(len(v) > 1 for v in values):
            rows.append([group[0]["objective"], len(values[0]), *(f"{fmean(v):.2f}, {stdev(v):.2f}" for v in values)])
    return table(["objective", "seeds", "Global, mean and sd", "Dense, mean and sd"], rows, right=(1, 2, 3))


def _scores(boards: Mapping[str, Board]) -> dict[str, dict[str, float]]:
    """Global and Dense, as far as they are there -> encoder -> score in points."""
    return {
        name: {row.encoder: 100 * row.score for row in boards[name].rows if row.score is not None}
        for name in BOARDS
        if name in boards
    }


def _difference(found: Difference | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "-"
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _paradigm(story: Story) -> str:
    return PARADIGM_TITLES[objectives()[story["objective"]].paradigm]


def _grouped(stories: list[Story], key: str | None) -> list[list[Story]]:
    groups: dict[str, list[Story]] = defaultdict(list)
    for story in stories:
        kind = objectives()[story["objective"]]
        if kind.paradigm != REFERENCE:
            groups[kind.paradigm if key is None else story[key]].append(story)
    return list(groups.values())


def _by_seed(stories: list[Story]) -> list[list[Story]]:
    return [group for group in _grouped(stories, "objective") if len(group) > 1]


def _by_paradigm(stories: list[Story]) -> list[list[Story]]:
    """The encoders of seed 0, a group a paradigm."""
    return _grouped([s for s in stories if not s["seed"]], None)


def _values(groups: list[list[Story]], scores: dict[str, float], of_means: bool) -> list[list[float]]:
    """The scores of each group with at least two of them; of_means: one group, the means of the groups."""
    values = [[scores[s["name"]] for s in group if s["name"] in scores] for group in groups]
    values = [[fmean(v) for v in values if v]] if of_means else values
    return [v for v in values if len(v) > 1]


def _pooled(groups: list[list[float]]) -> float:
    """Root of the variance within groups, pooled by degrees of freedom."""
    freedom = sum(len(g) - 1 for g in groups)
    return (sum((len(g) - 1) * variance(g) for g in groups) / freedom) ** 0.5
