"""The equal tuning budget: every objective gets the same short trials, and its best learning rate goes into the recipe.

Trials are judged by kNN on held-out images of the pretraining corpus, never on an evaluation task.
"""

import json
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from bench.files import write_atomic
from bench.locate import home
from bench.pretrain.corpus import Corpus
from bench.pretrain.job import Job, objectives
from bench.pretrain.recipe import FOLDER, Recipe
from bench.pretrain.trainer import pretrain

Trials = dict[str, dict[str, float]]
"""Objective -> learning rate (as text) -> mean kNN accuracy at the end of the trial."""


def trials_path(recipe: Recipe) -> Path:
    """Where the outcomes of a shipped recipe's trials are kept."""
    return FOLDER / f"{recipe.name}-trials.json"


def read_trials(recipe: Recipe) -> Trials:
    """Outcomes so far; empty when the recipe has not been tuned."""
    path = trials_path(recipe)
    return json.loads(path.read_text()) if path.exists() else {}


def best_rates(trials: Trials) -> dict[str, float]:
    """The learning rate with the best outcome for each objective; the lower one at a tie."""
    return {name: float(min(found, key=lambda r: (-found[r], float(r)))) for name, found in sorted(trials.items())}


def trial_of(objective: str, rate: float, recipe: Recipe, seed: int = 0) -> Job:
    """A short run: the whole schedule, warm-up and decay, in a fraction of the steps."""
    steps = max(1, round(recipe.tuning.fraction * recipe.steps))
    changed = {"steps": steps, "learning_rate": rate, "learning_rates": {}, "evaluations": 1, "checkpoints": 1}
    return Job(objective, recipe.model_copy(update=changed), seed=seed)


def tune_all(
    names: list[str] | None, recipe: Recipe, corpus: Corpus, *, threads: int, say: Callable[[str], None]
) -> Trials:
    """Run the trials of `names` (None: every objective that trains) that are not done, and keep each outcome."""
    chosen = names or sorted(n for n, kind in objectives().items() if kind.trains)
    for name in chosen:
        for rate in recipe.tuning.learning_rates:
            if f"{rate:g}" in read_trials(recipe).get(name, {}):
                continue
            job = trial_of(name, rate, recipe)
            work = home() / "pretrain" / "trials" / job.identity(corpus.sha256)[:16]
            accuracy = pretrain(job, corpus, work, threads=threads).rows[-1].get("knn", 0.0)
            _keep(name, rate, accuracy, recipe)
            say(f"{name} at {rate:g}: kNN {accuracy:.4f}")
    return read_trials(recipe)


def _keep(name: str, rate: float, accuracy: float, recipe: Recipe) -> None:
    path = trials_path(recipe)
    with FileLock(home() / "pretrain" / "trials.lock"):
        trials = read_trials(recipe)
        trials.setdefault(name, {})[f"{rate:g}"] = accuracy
        write_atomic(path, json.dumps(trials, indent=1, sort_keys=True) + "\n")
