"""The order of a controlled comparison: trials first, then balanced paradigms, then the CNN, then seeds."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.pretrain.comparison import comparison_recipe
from bench.pretrain.job import objectives
from bench.pretrain.recipe import read_recipe
from bench.pretrain.schedule import balanced, encoders, schedule, trials

TRACKS = ("open-small-v1", "open-small-cpu-v1")


def outcomes(recipe, score=lambda job: 0.5):
    found: dict = {}
    for item in trials(recipe):
        rate = f"{item.job.recipe.rate(item.job.objective):g}"
        found.setdefault(item.job.objective, {}).setdefault(rate, {})[str(item.job.seed)] = score(item.job)
    return found


@pytest.mark.parametrize("name", TRACKS)
def test_every_objective_has_the_same_trials_of_a_quarter_of_the_schedule(name):
    recipe = comparison_recipe(name)
    found = trials(recipe)
    first = [item.job for item in found if item.job.seed == 0]
    rates = {n: sorted(j.recipe.rate(n) for j in first if j.objective == n) for n in {j.objective for j in first}}
    assert set(rates) == {n for n, kind in objectives().items() if kind.trains}
    assert all(r == sorted(recipe.tuning.learning_rates) for r in rates.values())
    assert {job.steps for job in first} == {recipe.steps // 4}
    repeated = Counter(item.job.objective for item in found if item.job.seed)
    assert {objectives()[n].paradigm for n in repeated} == {"contrastive", "predictive", "generative", "hybrid"}
    assert set(repeated.values()) == {recipe.tuning.noise_seeds * len(recipe.tuning.learning_rates)}


def test_encoders_wait_for_the_trials_and_take_their_rates():
    recipe = comparison_recipe("open-small-v1")
    before = schedule(recipe, {})
    assert {item.job.kind.trains for item in before if not item.trial} == {False}
    known = outcomes(recipe, lambda job: job.recipe.rate("mae") if job.objective == "mae" else -job.recipe.rate("x"))
    after = [item.job for item in schedule(recipe, known) if not item.trial]
    assert {job.recipe.rate(job.objective) for job in after if job.objective == "mae"} == {3e-3}
    assert {job.recipe.rate(job.objective) for job in after if job.objective in ("simclr", "byol")} == {3e-4}
    fixed = recipe.model_copy(update={"learning_rates": {"mae": 1e-3}})
    assert not any(item.trial for item in schedule(fixed, {}))


def test_wherever_it_stops_the_paradigms_are_balanced():
    recipe = comparison_recipe("open-small-v1")
    jobs = encoders(recipe)
    assert len({job.name for job in jobs}) == len(jobs)
    smallest = min(Counter(k.paradigm for k in objectives().values() if k.paradigm != "reference").values())
    once = [j.kind.paradigm for j in jobs if j.backbone == "vit" and j.seed == 0 and j.kind.paradigm != "reference"]
    assert all(len(set(once[4 * turn : 4 * turn + 4])) == 4 for turn in range(smallest))
    order = [(job.seed > 0, job.backbone == "cnn") for job in jobs]
    assert order == sorted(order)
    assert set(balanced(["mae", "simclr"])) == {"mae", "simclr"}


def test_it_promises_a_cnn_for_three_of_each_paradigm_and_three_seeds_for_eight():
    recipe = comparison_recipe("open-small-v1")
    jobs = encoders(recipe)
    cnn = Counter(job.kind.paradigm for job in jobs if job.backbone == "cnn")
    assert min(cnn[p] for p in ("contrastive", "predictive", "generative", "hybrid")) >= 3
    seeds = Counter(job.objective for job in jobs if job.backbone == "vit")
    assert sum(n == 3 for n in seeds.values()) >= 8
    aware = [n for n, kind in objectives().items() if kind.kind == "pathology-aware"]
    assert all(seeds[n] == 3 for n in aware)
    assert recipe.views >= 1_000_000


def test_the_shorter_recipe_differs_in_length_alone():
    long, short = read_recipe("open-small"), read_recipe("open-small-cpu")
    same = ("vit", "cnn", "corpus", "corpus_sha256", "corpus_size", "ema", "weight_decay", "warmup", "clip_norm")
    assert all(getattr(long, key) == getattr(short, key) for key in same)
    assert short.views < long.views / 30
    assert (long.comparison, short.comparison) == TRACKS
