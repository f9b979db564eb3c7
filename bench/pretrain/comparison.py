"""A controlled comparison in so many minutes: trials, rates, encoders, several at once, each whole or not at all."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import RunError
from bench.pretrain.corpus import open_corpus
from bench.pretrain.crew import JobOutcome, Order, crew, work
from bench.pretrain.job import Job
from bench.pretrain.recipe import Recipe, read_recipe, recipe_names
from bench.pretrain.results import ComparisonFolder
from bench.pretrain.schedule import Item, encoders, schedule
from bench.pretrain.ship import encoder_name, weights_of
from bench.strict import did_you_mean

RESERVE = 10.0
"""Seconds kept for packing, before the minutes are over."""
CAUTION = 1.15
"""A job is begun when this many times the longest of its kind still fits."""


@dataclass(frozen=True)
class Settings:
    """Where and how long. corpus: its name; data: the file it lies in, if it is not under the cache folder."""

    corpus: str
    data: Path | None = None
    device: str = "cpu"
    threads: int = 1
    workers: int = 1
    minutes: float | None = None
    compiled: bool = False


def comparison_recipe(name: str) -> Recipe:
    """The recipe of a comparison by its name. Raises RunError that offers the nearest name."""
    known = {recipe.comparison: recipe for recipe in map(read_recipe, recipe_names()) if recipe.track}
    if name not in known:
        raise RunError(f"unknown track {name[:80]!r}", fix=did_you_mean(name, list(known)))
    return known[name]


@dataclass(frozen=True)
class Summary:
    """What was finished, in gradient `views` and `seconds` of the clock; left: trials and encoders to go."""

    trials: int
    encoders: int
    views: int
    seconds: float
    left: int

    def __str__(self) -> str:
        done = f"{self.trials} trials and {self.encoders} encoders in {self.seconds / 60:.1f} minutes"
        return f"{done}, {self.views / self.seconds:,.0f} gradient views/s; {self.left} to go"


def compare(recipe: Recipe, results: ComparisonFolder, settings: Settings, *, say: Callable[[str], None]) -> Summary:
    """Work through the recipe's comparison until it is done or the minutes are over.

    Finished work is in `results` at once. At an interrupt the workers save their state first.
    """
    started = time.time()
    run = _Run(recipe, results, settings, started + 60 * (settings.minutes or float("inf")) - RESERVE, say)
    with crew(settings.workers) as (executor, flag):
        try:
            run.go(executor)
        except BrokenExecutor:
            raise RunError("a worker was killed, most likely for memory", fix="give fewer --workers") from None
        except KeyboardInterrupt:
            say("Stopping: what is under way is saved first.")
            flag.set()
            raise
    return Summary(run.trials, run.encoders, run.views, time.time() - started, run.left())


@dataclass
class _Run:
    recipe: Recipe
    results: ComparisonFolder
    settings: Settings
    deadline: float
    say: Callable[[str], None]
    longest: dict[tuple[bool, str, bool], float] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    trials: int = 0
    encoders: int = 0
    views: int = 0

    def __post_init__(self) -> None:
        self.corpus = open_corpus(self.settings.corpus, self.recipe, data=self.settings.data)
        backbone = Job("random-init", self.recipe).build(self.corpus).backbone
        self.size = round(1.1 * len(weights_of(backbone)))

    def go(self, executor: Executor) -> None:
        """Keep the workers busy; a failure of one is no failure of the others."""
        running: dict[Future[JobOutcome], Item] = {}
        while True:
            busy = {item.name for item in running.values()}
            for item in (i for i in self.todo() if i.name not in busy):
                if len(running) < self.settings.workers and self._fits(item, running):
                    running[executor.submit(work, self._order(item))] = item
            if not running:
                return
            for future in wait(running, timeout=1.0, return_when=FIRST_COMPLETED).done:
                self._take(running.pop(future), future.result())

    def todo(self) -> list[Item]:
        """What is neither finished nor given up, in order."""
        return [item for item in schedule(self.recipe, self.results.ledger.trials) if not self._done(item)]

    def left(self) -> int:
        """How many trials and encoders are neither finished nor failed, those included whose rates are not settled."""
        self.given_up.clear()
        trials = sum(item.trial for item in self.todo())
        have = {*self.results.ledger.encoders, *self.results.ledger.failed}
        return trials + sum(self._name(job) not in have for job in encoders(self.recipe))

    def _done(self, item: Item) -> bool:
        job, ledger = item.job, self.results.ledger
        if item.name in self.given_up:
            return True
        if item.trial:
            return str(job.seed) in ledger.trials.get(job.objective, {}).get(_rate(job), {})
        finished = ledger.encoders.get(self._name(job))
        return self._name(job) in ledger.failed or (
            finished is not None and finished.run == job.identity(self.corpus.sha256)
        )

    def _fits(self, item: Item, running: dict[Future[JobOutcome], Item]) -> bool:
        """Whether there is time for it, as far as is known, and room."""
        if time.time() + CAUTION * self.longest.get(_kind(item), 0.0) > self.deadline:
            return False
        waiting = sum(not other.trial for other in running.values())
        return item.trial or self.results.has_room((1 + waiting) * self.size)

    def _order(self, item: Item) -> Order:
        s = self.settings
        command = command_of(item.job, s)
        return Order(item, s.corpus, s.data, s.device, s.threads, self.deadline, command, s.compiled)

    def _take(self, item: Item, outcome: JobOutcome) -> None:
        job = item.job
        if outcome.score is None and outcome.folder is None and not outcome.failed:
            self.given_up.add(item.name)  # out of time, or under way in another process
            return
        self.longest[_kind(item)] = max(self.longest.get(_kind(item), 0.0), outcome.seconds)
        if outcome.score is not None:
            self.results.add_trial(job.objective, _rate(job), job.seed, outcome.score)
            self.trials += 1
        elif outcome.folder is not None:
            self.results.add_encoder(self._name(job), job.identity(self.corpus.sha256), outcome.folder)
            self.encoders += 1
        else:
            self.results.add_failure(self._name(job), outcome.failed)
        self.views += job.steps * job.recipe.views_per_step
        said = outcome.failed or (f"probe {outcome.score:.4f}" if outcome.score is not None else "finished")
        self.say(f"{item.name}: {said} ({outcome.seconds:.0f} s)")

    def _name(self, job: Job) -> str:
        return encoder_name(job, self.corpus)


def command_of(job: Job, settings: Settings) -> str:
    """The command that makes this encoder again."""
    return job.command(
        f"--corpus {settings.corpus}", threads=settings.threads, rate=job.rate if job.kind.trains else None,
        device=settings.device.partition(":")[0], compiled=settings.compiled,
    )  # fmt: skip


def _rate(job: Job) -> str:
    return f"{job.rate:g}"


def _kind(item: Item) -> tuple[bool, str, bool]:
    return item.trial, item.job.backbone, item.job.kind.trains
