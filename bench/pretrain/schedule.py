"""What a controlled comparison still needs, in the order of what the analysis needs most.

First the trials that settle the learning rates; then the references and every objective once, the paradigms in turn, so
that wherever it stops they are balanced; then the CNN; then further seeds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, zip_longest

from bench.pretrain.choice import Outcomes, choose
from bench.pretrain.job import Job, objectives
from bench.pretrain.recipe import Recipe
from bench.pretrain.tuning import trial_of

SEEDS = (1, 2)
"""Pretraining seeds beside 0 of the objectives that are repeated."""
REFERENCE = "reference"


@dataclass(frozen=True)
class Item:
    """A trial, whose outcome is a number, or an encoder."""

    job: Job
    trial: bool = False

    @property
    def name(self) -> str:
        """What it is called where it is shown."""
        job = self.job
        return f"trial {job.objective} at {job.rate:g}, seed {job.seed}" if self.trial else job.name


def schedule(recipe: Recipe, outcomes: Outcomes) -> list[Item]:
    """Everything of the comparison whose settings are known: untrained references and trials as long as one of these is
    missing, then all encoders."""
    wanted = [] if recipe.learning_rates else trials(recipe)
    untrained = [Item(job) for job in encoders(recipe) if not job.kind.trains]
    if any(not _known(item.job, outcomes) for item in wanted):
        return [*untrained, *wanted]
    rates = recipe.learning_rates or dict(choose(outcomes).rates)
    settled = recipe.model_copy(update={"learning_rates": rates})
    return [*wanted, *(Item(job) for job in encoders(settled))]


def trials(recipe: Recipe) -> list[Item]:
    """The same trials for every objective that trains; then the repetitions that measure their noise."""
    tuning = recipe.tuning
    names = balanced(name for name, kind in objectives().items() if kind.trains)
    first = [trial_of(name, rate, recipe) for name in names for rate in tuning.learning_rates]
    again = [
        trial_of(name, rate, recipe, seed)
        for seed in range(1, tuning.noise_seeds + 1)
        for name in tuning.noise_objectives
        for rate in tuning.learning_rates
    ]
    return [Item(job, trial=True) for job in [*first, *again]]


def encoders(recipe: Recipe) -> list[Job]:
    """Every encoder of the comparison, in the order of worth."""
    kinds = objectives()
    cnn = balanced(recipe.cnn_objectives)
    aware = [n for name, kind in sorted(kinds.items()) if kind.control for n in (name, kind.control)]
    seeded = balanced({*recipe.seeded, *aware})
    return [
        *(Job(name, recipe) for name in balanced(kinds)),
        *(Job(name, recipe, "cnn") for name in cnn),
        *(Job(name, recipe, "vit", seed) for seed in SEEDS for name in seeded),
    ]


def balanced(names: Iterable[str]) -> list[str]:
    """References first, then one objective of each paradigm in turn, by name."""
    kinds = objectives()
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(kinds[name].paradigm, []).append(name)
    references = groups.pop(REFERENCE, [])
    turns = zip_longest(*(groups[paradigm] for paradigm in sorted(groups)))
    return [*references, *(name for name in chain.from_iterable(turns) if name is not None)]


def _known(job: Job, outcomes: Outcomes) -> bool:
    rate = f"{job.rate:g}"
    return str(job.seed) in outcomes.get(job.objective, {}).get(rate, {})
