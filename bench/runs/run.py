"""A run: an encoder through a plan, task by task, journalled unit by unit."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from bench.discover import members, pick
from bench.encoders.base import Encoder
from bench.encoders.load import load_encoder
from bench.errors import CardError
from bench.features.cache import FeatureCache
from bench.features.device import place
from bench.files import write_atomic
from bench.identity import Measure
from bench.runs.fingerprint import fingerprint_of
from bench.runs.holding import Holding, leave_behind
from bench.runs.journal import Journal
from bench.runs.kept import keep_plan, kept_plan
from bench.runs.options import RunSpec
from bench.runs.plan import Plan, make_plan
from bench.runs.records import Record
from bench.runs.score_task import Setting, score_task
from bench.runs.watching import Report, watching

Say = Callable[[str], None]
"""Called with a line that whoever started the run has to know."""


@dataclass(frozen=True)
class TaskJob:
    """One encoder x task of a run, as sent to a worker."""

    spec: RunSpec
    task: str


def aloud(line: str) -> None:
    """Print to standard error."""
    print(line, file=sys.stderr)


def run(spec: RunSpec, report: Report = lambda message, record: None, say: Say = aloud) -> list[Record]:
    """Run every unit of `spec` that is not yet in the run folder, or does not hold now; returns all its records.

    say: called with one line for each reason why results that are there are not kept.
    Raises UserError (bad input, unwritable output); interrupted, it resumes when called again.
    """
    encoder, plan = session(spec)
    return run_plan(encoder, plan, spec, report, say)


def run_plan(encoder: Encoder, plan: Plan, spec: RunSpec, report: Report, say: Say = aloud) -> list[Record]:
    """As `run`, with an encoder and a plan already in hand."""
    executor = pick(members("bench.runs.executors", "EXECUTOR"), spec.where.executor, what="executor")
    spec = replace(spec, fingerprint=spec.fingerprint or fingerprint_of(plan))
    with (
        Journal(run_folder(spec.what.out, encoder, plan)) as journal,
        watching(spec.where.watches, encoder.card, plan.suite.name, spec.fingerprint, report) as watched,
    ):
        measure = Measure(encoder, journal.adopt)
        begin(journal, measure, plan, spec, say)  # after a wrong --watch was refused: that leaves no run behind
        if executor.name == "serial":
            for name in plan.selected:
                run_task(measure, plan, name, spec, journal, watched)
        else:
            jobs = [TaskJob(spec, name) for name in plan.selected]
            known = journal.records()
            executor.run(work, jobs, lambda job, n: _tell(journal, job.task, known, watched), spec.where.asked)
        return watched.finish(journal.seal())


def _tell(journal: Journal, task: str, known: dict[str, Record], report: Report) -> None:
    """Report the records that workers have written for one task, each once."""
    for key, record in journal.records(task).items():
        if known.get(key) != record:
            known[key] = record
            report("", record)


def work(job: TaskJob) -> int:
    """What a worker does with a job: the missing units of one task, written straight to the run folder."""
    measure, plan, folder = _measured(job.spec)
    return run_task(measure, plan, job.task, job.spec, Journal(folder), lambda message, record: None)


@lru_cache(maxsize=1)
def _measured(spec: RunSpec) -> tuple[Measure, Plan, Path]:
    """The session of a worker and its run folder, kept for the next task; nobody trains the encoder between two."""
    encoder, plan = session(spec)
    folder = run_folder(spec.what.out, encoder, plan)
    return Measure(encoder, Journal(folder).adopt), plan, folder


def begin(journal: Journal, measure: Measure, plan: Plan, spec: RunSpec, say: Say) -> None:
    """Sort out which results of the folder hold, and keep card and suite beside them."""
    try:
        kept_plan(journal.folder)
    except CardError as error:
        say(f"damaged: {error.where}: {error.what}; written anew")
    holding = Holding(journal, measure, plan, spec.fingerprint, spec.trust.accept_checksum)
    for line in (*holding.sort_out(), *leave_behind(journal, measure, members("bench.protocols", "PROTOCOL"))):
        say(line)
    keep_plan(journal.folder, plan.kept())
    of = {"suite_fingerprint": spec.fingerprint, "units": len(plan.keys)}
    journal.claim({"execution": measure.encoder.execution, **of})
    kept, text = journal.folder.parent / "encoder.toml", measure.encoder.card.to_toml()
    if not kept.is_file() or kept.read_bytes() != text.encode():
        write_atomic(kept, text, through=journal.folder)


def run_task(measure: Measure, plan: Plan, name: str, spec: RunSpec, journal: Journal, report: Report) -> int:
    """Run the missing units of one task; returns how many records were written."""
    encoder = measure.encoder
    setting = Setting(
        command=spec.command,
        suite=plan.suite.name,
        fingerprint=spec.fingerprint,
        scoring=plan.suite.scoring,
        accept_checksum=spec.trust.accept_checksum,
        precision=encoder.precision,
        batch_size=spec.where.batch_size,
        cache=FeatureCache() if spec.where.cache else None,
        measure=measure,
        progress=lambda message: report(message, None),
    )
    task, done = plan.tasks[name], journal.done(name)
    written = 0
    for record, outputs in score_task(
        encoder, task, plan.folders[name], plan.units(task), plan.protocols, done, setting
    ):
        journal.write(record, outputs)
        report("", record)
        written += 1
    return written


def session(spec: RunSpec, encoder: Encoder | None = None) -> tuple[Encoder, Plan]:
    """The encoder on its device and the plan of a spec, as card, weights and tasks are now; encoder: one in hand."""
    what, where, trust = spec.what, spec.where, spec.trust
    if where.threads:
        torch.set_num_threads(where.threads)
    plan = make_plan(what.suite, Path(what.tasks) if what.tasks else None, what.only, out=Path(what.out))
    encoder = encoder or load_encoder(
        what.encoder, model=what.model, trust_code=trust.trust_code, allow_outside=trust.allow_outside
    )
    placed = place(
        encoder, where.device, precision=where.precision, compiled=where.compiled, deterministic=where.deterministic
    )
    return placed, plan


def run_folder(out: str, encoder: Encoder, plan: Plan) -> Path:
    """`out`/<encoder>/<suite>."""
    return Path(out) / encoder.card.name / plan.suite.name
