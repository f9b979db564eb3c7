"""Recompute units of a submission from its weights."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from bench.encoders.load import load_encoder
from bench.errors import EncoderError, UserError
from bench.features.device import place
from bench.identity import Measure
from bench.runs.journal import kept_probe
from bench.runs.plan import Plan
from bench.runs.run import fingerprint_of
from bench.runs.score_task import Setting, score_task
from bench.submissions.compare import compare
from bench.submissions.folder import Results
from bench.submissions.report import Report

TOLERANCE = 5e-3
"""A score rerun from the same weights on another machine may differ by this much."""

ONLY_RESCORED = "verify it with --rescore: nobody else can tell what its features hold"


def check_rerun(
    folder: Path,
    result: Results,
    plan: Plan,
    report: Report,
    *,
    sample: int | None = None,
    seed: int | None = None,
    trust_code: bool = False,
) -> None:
    """Rerun all units, or `sample` of them drawn with `seed`; the system draws the seed when none is given."""
    wanted = {record.unit.key: record for record in result.records if record.status == "done"}
    if sample:
        keys = random.Random(seed).sample(sorted(wanted), min(sample, len(wanted)))
        wanted = {key: wanted[key] for key in keys}
    try:
        encoder = place(load_encoder(folder, trust_code=trust_code), precision="fp32")
        if encoder.precomputed:
            raise EncoderError("holds features, not the network that made them", fix=ONLY_RESCORED)
        setting = Setting("medssl verify", result.suite, fingerprint_of(plan), scoring=plan.suite.scoring)
        check_identity(result, Measure(encoder, lambda found: kept_probe(result.folder, found) or found), plan, report)
        for name, task in plan.tasks.items():
            units = [unit for unit in plan.units(task) if unit.key in wanted]
            for fresh, _ in score_task(encoder, task, plan.folders[name], units, dict(plan.protocols), (), setting):
                compare(wanted[fresh.unit.key], fresh.metrics, TOLERANCE, report, primary_only=True)
                report.units += 1
    except UserError as error:
        report.problems.append(f"cannot be rerun: {error}")
    report.checked.append(f"{result.suite}: {len(wanted)} units rerun from the weights")


def check_identity(result: Results, measure: Measure, plan: Plan, report: Report) -> None:
    """A problem for each way in which the encoder that is loaded is not the one the records were made with."""
    found = Counter[str]()
    for record in result.records:
        if record.identity is not None:
            here = measure.computed(record.unit.task, plan.protocols[record.unit.protocol].reads_grid)
            found.update(record.identity.encoder.changes(here, executed=False))
    report.problems += [f"{n} units were made with another encoder than is loaded: {why}" for why, n in found.items()]
