"""The tables of docs/controlled-track.md, written from what the runs recorded."""

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from bench import markers
from bench.errors import SubmissionError
from bench.leaderboard import Board, boards
from bench.leaderboard.collect import collect
from bench.markers import table
from bench.pretrain import standings
from bench.pretrain.choice import Outcomes, choose
from bench.pretrain.corpus import PHANTOM
from bench.pretrain.job import objectives
from bench.pretrain.pack import read_collection
from bench.pretrain.recipe import Recipe, read_recipe
from bench.pretrain.tuning import best_rates, read_trials
from bench.words import PARADIGM_TITLES, PARADIGMS

Story = dict[str, Any]
ON_PHANTOMS = "tiny"
"""Recipe of the same network, length and views whose images are phantoms."""


def refresh(document: Path, recipe: Recipe, submissions: Path) -> None:
    """Replace each table of the page (see `bench.markers`): on phantoms, or, named after its recipe, of a track on real
    images, beside the same objectives on phantoms."""
    stories = stories_in(submissions, recipe)
    if recipe.corpus == PHANTOM:
        boards = boards_in(submissions, PHANTOM)
        tables = {
            "runs": runs_table(stories),
            "seeds": seeds_table(stories),
            "tuning": tuning_table(recipe),
            "suite": standings.against_random(stories, boards),
            "suite-seeds": standings.seeds(stories, boards),
            "spread": standings.spread(stories, boards),
        }
    else:
        boards = boards_in(submissions, read_collection(recipe.corpus).suite)
        phantoms = stories_in(submissions, read_recipe(ON_PHANTOMS))
        tables = {
            f"{recipe.name}-runs": runs_table(stories),
            f"{recipe.name}-suite": standings.against_random(stories, boards),
            f"{recipe.name}-images": standings.against_other_images(stories, phantoms, boards),
            f"{recipe.name}-controls": standings.against_controls(stories, boards),
            f"{recipe.name}-seeds": standings.seeds(stories, boards),
            f"{recipe.name}-spread": standings.spread(stories, boards),
        }
    markers.refresh(document, tables)


def boards_in(submissions: Path, suite: str) -> dict[str, Board]:
    """The boards of a suite over everything in `submissions`; none without results."""
    found = collect([submissions], suites=[suite])
    for folder, why in found.left_out.items():
        raise SubmissionError(why, where=folder)
    return boards(found[suite]) if suite in found else {}


def stories_in(submissions: Path, recipe: Recipe) -> list[Story]:
    """training.json of every encoder of the recipe's track with its folder's name, references first, then by paradigm,
    name and seed."""
    paths = sorted(submissions.glob("*/training.json"))
    found = [json.loads(path.read_text()) | {"name": path.parent.name} for path in paths]
    kinds = objectives()
    of_recipe = [s for s in found if s["recipe"] == recipe.name and s["objective"] in kinds]
    order = ("reference", *PARADIGMS[:4])
    key = lambda s: (order.index(kinds[s["objective"]].paradigm), s["objective"], s["backbone"] != "vit", s["seed"])  # noqa: E731
    return sorted(of_recipe, key=key)


def runs_table(stories: list[Story]) -> str:
    """One row a run: compute, loss, diagnostics and whether it collapsed."""
    head = [
        "encoder", "paradigm", "gradient views", "teacher views", "PFLOP", "parameters", "loss, first to last tenth",
        "RankMe", "centred rank", "feature std", "kNN", "linear", "state",
    ]  # fmt: skip
    return table(head, map(_run_row, stories), right=range(2, 12))


def _run_row(story: Story) -> list[str]:
    compute, final = story["compute"], story["final"]
    kind = objectives()[story["objective"]]
    loss = [row["loss"] for row in story["loss"]]
    tenth = max(1, len(loss) // 10)
    change = f"{sum(loss[:tenth]) / tenth:.3f} to {sum(loss[-tenth:]) / tenth:.3f}" if loss else "-"
    state = "**collapsed**" if story["collapsed"] else "untrained" if not kind.trains else "trained"
    numbers = [_shown(final.get(name), digits) for name, digits in _SHOWN]
    return [
        _label(story), PARADIGM_TITLES[kind.paradigm],
        f"{compute['gradient_views']:,}", f"{compute['teacher_views']:,}",
        f"{compute['flops'] / 1e15:.4f}", f"{compute['parameters']:,}", change, *numbers, state,
    ]  # fmt: skip


_SHOWN = (("rankme", 1), ("centred_rank", 1), ("feature_std", 3), ("knn", 3), ("linear", 3))


def seeds_table(stories: list[Story]) -> str:
    """kNN of each pretraining seed beside its spread, and the spread between the objectives at seed 0."""
    rows = []
    vit = [s for s in stories if s["backbone"] == "vit" and "knn" in s["final"]]
    for name in dict.fromkeys(s["objective"] for s in vit):
        values = [s["final"]["knn"] for s in vit if s["objective"] == name]
        if len(values) > 1:
            rows.append([name, len(values), f"{fmean(values):.4f}", f"{stdev(values):.4f}"])
    first = [s["final"]["knn"] for s in vit if s["seed"] == 0 and objectives()[s["objective"]].paradigm != "reference"]
    if len(first) > 1:
        rows.append(["between objectives, seed 0", len(first), f"{fmean(first):.4f}", f"{stdev(first):.4f}"])
    return table(["objective", "seeds", "kNN, mean", "kNN, standard deviation"], rows, right=(1, 2, 3))


def tuning_table(recipe: Recipe) -> str:
    """kNN of each trial, and the learning rate that was taken."""
    rates = [f"{rate:g}" for rate in recipe.tuning.learning_rates]
    best, trials = best_rates(read_trials(recipe)), read_trials(recipe)
    rows = [
        [name, *(_shown(found.get(rate), 4) for rate in rates), f"{best[name]:g}"]
        for name, found in sorted(trials.items())
    ]
    head = ["objective", *(f"kNN at {rate}" for rate in rates), "taken"]
    return table(head, rows, right=range(1, len(head)))


def choice_table(outcomes: Outcomes) -> str:
    """Probe of each trial (mean over its seeds), the best rate with its margin over the common one, and the rate taken;
    the last row is the noise."""
    chosen = choose(outcomes)
    rates = sorted({rate for found in outcomes.values() for rate in found}, key=float)
    rows = [
        [name, *(_shown(fmean(found[r].values()), 4) for r in rates), f"{chosen.best[name]:g}",
         f"{chosen.margins[name]:.4f}", f"{chosen.rates[name]:g}"]
        for name, found in sorted(outcomes.items())
    ]  # fmt: skip
    noise = "not measured" if chosen.noise is None else f"{chosen.noise:.4f}"
    rows.append(["standard deviation between seeds", *("" for _ in rates), "", noise, ""])
    head = ["objective", *(f"probe at {rate}" for rate in rates), "best", f"over {chosen.common:g} by", "taken"]
    return table(head, rows, right=range(1, len(head)))


def _label(story: Story) -> str:
    return f"{story['objective']}, {story['backbone']}" + (f", seed {story['seed']}" if story["seed"] else "")


def _shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
