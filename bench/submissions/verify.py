"""What a maintainer checks before a submission's numbers go on a board. Nothing that arrives is executed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench import __version__
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.errors import SubmissionError, UserError
from bench.metrics import score
from bench.metrics.resample import resample_counts
from bench.runs.journal import read_outputs
from bench.runs.plan import Plan, make_plan
from bench.runs.records import Interval, Record
from bench.runs.run import RunSpec, fingerprint_of, session
from bench.runs.score_task import Setting, score_task
from bench.submissions.badge import BadgeFile, contents_sha256, write_badge
from bench.submissions.bundle import missing_units
from bench.submissions.folder import Results, read_results
from bench.words import Badge

RESCORE_TOLERANCE = 1e-9
"""A metric recomputed from the same predictions differs by rounding only."""
RERUN_TOLERANCE = 5e-3
"""A score rerun from weights on another machine may differ by this much."""


@dataclass
class Report:
    """Outcome of a verification: `problems` is empty when the submission is accepted."""

    folder: Path
    badge: Badge = "declared"
    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    units: int = 0
    largest_difference: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems


def verify(
    folder: Path,
    *,
    rescore: bool = False,
    rerun: bool = False,
    sample: int | None = None,
    seed: int | None = None,
    tasks: Path | None = None,
    trust_code: bool = False,
) -> Report:
    """Check a submission; write its badge when nothing is wrong.

    rescore: recompute every metric and interval from the predictions. rerun: recompute from the weights, all
    units or `sample` random ones drawn with `seed` (by default from the operating system, so that an author
    cannot know it). Problems are gathered in the report; only an unreadable submission raises SubmissionError.
    """
    report = Report(folder)
    results = list(read_results(folder))
    if not results:
        raise SubmissionError("holds no results (<suite>/records.jsonl)", where=folder)
    for result in results:
        plan = make_plan(_suite_of(result, tasks), tasks)
        _check_structure(result, plan, report)
        if rescore and report.accepted:
            _rescore(result, plan, report)
        if (rerun or sample) and report.accepted:
            _rerun(folder, result, plan, report, sample, seed, trust_code, tasks)
    if report.accepted:
        report.badge = "reproduced" if rerun or sample else "rescored" if rescore else "declared"
        if report.badge != "declared":
            _sign(report, RERUN_TOLERANCE if report.badge == "reproduced" else RESCORE_TOLERANCE)
    return report


def _suite_of(result: Results, tasks: Path | None) -> str | None:
    return None if tasks is not None and result.suite == "local" else result.suite


def _check_structure(result: Results, plan: Plan, report: Report) -> None:
    """Suite fingerprint, protocol versions, data hashes, and no unit missing, foreign or failed."""
    fingerprint = fingerprint_of(plan)
    planned = {unit.key for task in plan.tasks.values() for unit in plan.units(task)}
    for record in result.records:
        key = record.unit.key
        if record.made_by.suite_fingerprint != fingerprint:
            report.problems.append(f"{key}: made with another version of the suite (fingerprint differs)")
            break
        if key not in planned:
            report.problems.append(f"{key}: not a unit of {result.suite}")
        elif record.protocol_sha256 != plan.protocols[record.unit.protocol].sha256:
            report.problems.append(f"{key}: made with another version of {record.unit.protocol}")
        elif record.status == "failed":
            report.problems.append(f"{key}: failed ({record.reason[:80]})")
    missing = missing_units(result.suite, {r.unit.key for r in result.records})
    if missing:
        report.problems.append(f"{len(missing)} units of {result.suite} are missing, e.g. {missing[0]}")
    try:
        for _ in read_outputs(result.folder, result.records):
            pass
    except UserError as error:
        report.problems.append(str(error))
    report.checked.append(f"{result.suite}: {len(result.records)} records, schema, fingerprint, ids, hashes")


def _rescore(result: Results, plan: Plan, report: Report) -> None:
    data: TaskData | None = None
    counts: dict[str, np.ndarray] = {}
    for record, outputs in read_outputs(result.folder, result.records):
        if data is None or data.task.name != record.unit.task:
            data = load_task(plan.tasks[record.unit.task], folder=plan.folders[record.unit.task])
            counts = {n: resample_counts(data.task.name, n, s.ids, s.groups) for n, s in data.tests.items()}
        if record.data_sha256 != data.sha256:
            report.problems.append(f"{record.unit.key}: made on other data")
            continue
        fresh = {n: score(data.task, out, data.tests[n], resamples=counts[n]) for n, out in outputs.items()}
        _compare(record, fresh, RESCORE_TOLERANCE, report)
        report.units += 1
    report.checked.append(f"{result.suite}: every metric and interval recomputed from predictions")


def _rerun(
    folder: Path,
    result: Results,
    plan: Plan,
    report: Report,
    sample: int | None,
    seed: int | None,
    trust_code: bool,
    tasks: Path | None,
) -> None:
    spec = RunSpec(
        encoder=str(folder), suite=_suite_of(result, tasks), tasks=str(tasks) if tasks else None, trust_code=trust_code
    )
    encoder, _ = session(spec)
    chosen = [r for r in result.records if r.status == "done"]
    if sample:
        chosen = random.Random(seed).sample(chosen, min(sample, len(chosen)))
    wanted = {record.unit.key: record for record in chosen}
    setting = Setting(command="medssl verify", suite=result.suite, fingerprint=fingerprint_of(plan))
    for name, task in plan.tasks.items():
        units = [unit for unit in plan.units(task) if unit.key in wanted]
        for fresh, _ in score_task(encoder, task, plan.folders[name], units, dict(plan.protocols), (), setting):
            _compare(wanted[fresh.unit.key], fresh.metrics, RERUN_TOLERANCE, report, primary_only=True)
            report.units += 1
    report.checked.append(f"{result.suite}: {len(wanted)} units rerun from the weights")


def _compare(
    record: Record, fresh: dict[str, dict[str, Interval]], tolerance: float, report: Report, primary_only: bool = False
) -> None:
    for split, name, ours, theirs in _pairs(record, fresh):
        if primary_only and name != record.metric:
            continue
        if ours is None or theirs is None or (difference := _distance(ours, theirs)) is None:
            report.problems.append(f"{record.unit.key}: {name} on {split} is not among the recomputed metrics")
            continue
        report.largest_difference = max(report.largest_difference, difference)
        if difference > tolerance:
            report.problems.append(
                f"{record.unit.key}: {name} on {split} is {theirs.value:.6f} as sent, {ours.value:.6f} recomputed"
            )


def _pairs(record: Record, fresh: dict[str, dict[str, Interval]]) -> Iterator[tuple]:
    for split in sorted(set(record.metrics) | set(fresh)):
        sent, again = record.metrics.get(split, {}), fresh.get(split, {})
        for name in sorted(set(sent) | set(again)):
            yield split, name, again.get(name), sent.get(name)


def _distance(a: Interval, b: Interval) -> float | None:
    """Largest difference over value and interval ends; None when one has an end the other lacks."""
    ends = [(a.value, b.value), (a.low, b.low), (a.high, b.high)]
    if any((x is None) != (y is None) for x, y in ends):
        return None
    return max(abs(x - y) for x, y in ends if x is not None)


def _sign(report: Report, tolerance: float) -> None:
    write_badge(
        report.folder,
        BadgeFile(
            badge=report.badge,
            contents_sha256=contents_sha256(report.folder),
            verified=datetime.now(UTC).isoformat(timespec="seconds"),
            medssl=__version__,
            units=report.units,
            tolerance=tolerance,
            largest_difference=report.largest_difference,
        ),
    )
