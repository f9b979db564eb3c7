"""What the suite says of the controlled track: each encoder against its untrained network; seeds beside paradigms."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev, variance
from typing import Any

from scipy.stats import t

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


def against_other_images(stories: list[Story], others: list[Story], boards: Mapping[str, Board]) -> str:
    """Global and Dense of each objective less those of the same objective, backbone, rate and seed on other images, in
    points with the paired 95 % interval; last the mean over objectives that train the transformer, with a t interval
    over these. An untrained network differs by its start alone (the whitening of patches), and is not in the mean."""
    scores, twins = _scores(boards), {_same(s): s["name"] for s in others}
    rows, values = [], []
    for story in stories:
        name, twin = story["name"], twins.get(_same(story))
        if not scores or twin is None or not all({name, twin} <= found.keys() for found in scores.values()):
            continue
        differences = [boards[board].against(twin)[name] for board in scores]
        rows.append([name, _paradigm(story), *map(_difference, differences)])
        if story["backbone"] == "vit" and not story["seed"] and objectives()[story["objective"]].paradigm != REFERENCE:
            values.append([100 * d.value for d in differences])
    if len(values) > 1:
        rows.append([f"mean of {len(values)} objectives", "", *map(_mean, zip(*values, strict=True))])
    return table(
        ["encoder", "paradigm", "Global, less on other images", "Dense, less on other images"], rows, right=(2, 3)
    )


def against_controls(stories: list[Story], boards: Mapping[str, Board]) -> str:
    """Global and Dense of each pathology-aware objective less those of its control at the same backbone, rate and seed,
    in points: the mean over pretraining seeds with its t interval, and each seed's."""
    rows, scores = [], _scores(boards)
    named = {_same(s): s["name"] for s in stories}
    for objective in dict.fromkeys(s["objective"] for s in stories if objectives()[s["objective"]].control and scores):
        control, cells = objectives()[objective].control, []
        mine = [s for s in stories if s["objective"] == objective]
        pairs = [(s["name"], named.get(_same(s | {"objective": control}))) for s in mine]
        for found in scores.values():
            values = [found[a] - found[b] for a, b in pairs if a in found and b in found]
            cells += [_mean(values) if len(values) > 1 else "-", ", ".join(f"{v:+z.1f}" for v in values) or "-"]
        rows.append([objective, control, *cells])
    head = ["objective", "control", "Global, less control", "by seed", "Dense, less control", "by seed"]
    return table(head, rows, right=range(2, 6))


def _same(story: Story) -> tuple[Any, ...]:
    rate = story["learning_rate"] if objectives()[story["objective"]].trains else None
    return story["objective"], story["backbone"], story["seed"], rate


def _mean(values: Sequence[float]) -> str:
    """Mean with its 95 % t interval."""
    mean, half = fmean(values), t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return _bracketed(mean, mean - half, mean + half)


def _bracketed(value: float, low: float, high: float) -> str:
    return f"{value:+z.1f} [{low:+z.1f}, {high:+z.1f}]"


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
    return _bracketed(100 * found.value, 100 * found.low, 100 * found.high)


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
