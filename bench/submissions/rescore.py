"""Recompute every metric and interval of a submission from its predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from bench.data.dataset import Split, TaskData
from bench.data.load import load_task
from bench.data.task import Task
from bench.errors import UserError
from bench.metrics.calibration import chosen_temperature
from bench.metrics.resample import interval, resample_counts, with_point
from bench.metrics.scored import primary_replicates, score
from bench.protocols.base import base_split
from bench.runs.journal import read_outputs, records_file
from bench.runs.plan import Plan
from bench.runs.records import Interval, Record
from bench.submissions.bundle import keeps_predictions
from bench.submissions.condensed import FIRST_SCORING, is_condensed, read_condensed
from bench.submissions.folder import Results
from bench.submissions.intake import inspect_npz
from bench.submissions.report import Report
from bench.submissions.structure import check_task

TOLERANCE = 1e-9
"""A metric recomputed from the same predictions differs by rounding only."""


def check_predictions(result: Results, plan: Plan, report: Report, *, rescore: bool) -> None:
    """Hashes, shapes and ranges of all predictions; with `rescore` every number in the records.

    A compact submission (packed records) may leave out predictions of units that feed no board at all labels.
    """
    compact = records_file(result.folder) != result.folder / "records.jsonl"
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in result.records:
        by_task[record.unit.task].append(record)
    for name, records in sorted(by_task.items()):
        data = load_task(plan.tasks[name], folder=plan.folders[name])
        report.problems.extend(check_task(records, data, plan))
        counts = {n: resample_counts(name, n, s.ids, s.groups) for n, s in data.tests.items()} if rescore else {}
        try:
            if any(record.status == "done" for record in records):
                inspect_npz(result.folder / "predictions" / f"{name}.npz")
            seen = set()
            for record, outputs in read_outputs(result.folder, records, partial=compact):
                expected = plan.protocols[record.unit.protocol].outputs(list(data.tests))
                _check_unit(record, outputs, expected, data, counts, report)
                seen.add(record.unit.key)
            absent = [r for r in records if r.status == "done" and r.unit.key not in seen]
            held = _check_condensed(result, data, absent, counts, report)
            _check_absent(absent, held, report)
        except UserError as error:
            report.problems.append(str(error))
    what = "every metric and interval recomputed from predictions" if rescore else "ids, hashes, shapes of predictions"
    if report.unchecked:
        what += f"; {report.unchecked} units carry none, {report.condensed} of them in condensed form"
    report.checked.append(f"{result.suite}: {what}")


def _check_condensed(
    result: Results, data: TaskData, records: list[Record], counts: dict[str, np.ndarray], report: Report
) -> set[str]:
    """Keys of the units that have condensed predictions; with `counts` their primary metrics are recomputed."""
    path, held = result.folder / "condensed" / f"{data.task.name}.npz", set()
    if path.is_file():
        inspect_npz(path)
    for record, output in read_condensed(result.folder, data, records):
        held.add(record.unit.key)
        if counts and record.primary is not None:
            test = data.tests["test"]
            weights = with_point(counts["test"], len(test))
            found = interval(primary_replicates(data.task, output, test, weights, scoring=record.scoring))
            sent = record.model_copy(update={"metrics": {"test": {record.metric: record.primary}}})
            compare(sent, {"test": {record.metric: found} if found else {}}, TOLERANCE, report)
    report.condensed += len(held)
    return held


def _check_absent(records: list[Record], held: set[str], report: Report) -> None:
    """Units without predictions: refused where they feed a board, counted where a compact submission may lack them.

    held: units with condensed predictions.
    """
    report.unchecked += len(records)
    if lacking := [record.unit.key for record in records if keeps_predictions(record)]:
        report.problems.append(f"has no predictions of {len(lacking)} units that feed a board, e.g. {lacking[0]}")
    asked = [r for r in records if r.scoring >= FIRST_SCORING and is_condensed(r)]
    if lacking := [record.unit.key for record in asked if record.unit.key not in held]:
        report.problems.append(f"has no condensed predictions of {len(lacking)} units, e.g. {lacking[0]}")


def _check_unit(
    record: Record,
    outputs: dict[str, np.ndarray],
    expected: list[str],
    data: TaskData,
    counts: dict[str, np.ndarray],
    report: Report,
) -> None:
    if odd := sorted(set(outputs) ^ set(expected)):
        what = "predicts" if odd[0] in outputs else "does not predict"
        report.problems.append(f"{record.unit.key}: {what} {odd[0][:80]!r}; expected are {len(expected)} test splits")
        return
    labels = {name: data.tests[base_split(name)] for name in outputs}
    wrong = [w for name, out in outputs.items() if (w := _wrong_output(data.task, out, labels[name]))]
    if wrong:
        report.problems.append(f"{record.unit.key}: {wrong[0]}")
        return
    if counts:
        how = {"temperature": chosen_temperature(record.chosen), "scoring": record.scoring}
        fresh = {
            name: score(data.task, output, labels[name], resamples=counts[base_split(name)], **how)
            for name, output in outputs.items()
        }
        compare(record, fresh, TOLERANCE, report)
        report.units += 1
    if record.unit.budget == "100%" and _is_truth(data, outputs["test"]):
        report.alarms.append(f"{record.unit.key}: predicts every test image perfectly; rerun it")


def _wrong_output(task: Task, output: np.ndarray, split: Split) -> str | None:
    """Why an array cannot be predictions of a split, or None."""
    k = len(task.classes)
    if task.kind == "dense":
        if output.dtype != np.uint8 or output.shape != split.labels.shape:
            return f"masks are {output.dtype} {output.shape}, expected uint8 {split.labels.shape}"
        return f"masks hold class {output.max()}, the task has {k}" if output.size and output.max() >= k else None
    if output.dtype.kind != "f" or output.shape != (len(split), k):
        return f"predictions are {output.dtype} {output.shape}, expected float {(len(split), k)}"
    if not np.isfinite(output).all():
        return "predictions hold NaN or infinite values"
    return "predictions lie outside [0, 1]" if output.min() < 0 or output.max() > 1 else None


def _is_truth(data: TaskData, output: np.ndarray) -> bool:
    labels = data.tests["test"].labels
    if data.task.kind == "dense":
        return bool((output == labels).all())
    if data.task.target == "multi-label":
        return bool(((output > 0.5) == labels.astype(bool)).all())
    return bool((output.argmax(1) == labels).all()) and bool(np.isin(output, (0.0, 1.0)).all())


def compare(
    record: Record,
    fresh: dict[str, dict[str, Interval]],
    tolerance: float,
    report: Report,
    *,
    primary_only: bool = False,
) -> None:
    """Add a problem for each metric of the record that differs from `fresh` by more than `tolerance`.

    A secondary metric that no record holds is one made later: `check_absent_metrics` tells of it.
    """
    for split, name, again, sent in _pairs(record, fresh):
        if primary_only and name != record.metric:
            continue
        if again is not None and name != record.metric:
            report.metrics.setdefault(name.partition("[")[0], set()).add(sent is not None)
            if sent is None:
                continue
        if again is None or sent is None or (difference := _distance(again, sent)) is None:
            report.problems.append(f"{record.unit.key}: {name[:60]!r} on {split[:40]!r} is not what is recomputed")
            continue
        report.largest_difference = max(report.largest_difference, difference)
        if difference > tolerance:
            report.problems.append(f"{record.unit.key}: {name} on {split} is {_told(sent, again)}")


def check_absent_metrics(report: Report) -> None:
    """Tell of metrics that no record holds, and refuse those that some records hold and others lack."""
    for name, held in sorted(report.metrics.items()):
        if held == {False}:
            report.alarms.append(f"no record holds {name!r}, which is a metric here")
        elif held == {True, False}:
            report.problems.append(f"some records hold {name!r}, others lack it where it is defined")


def _pairs(
    record: Record, fresh: dict[str, dict[str, Interval]]
) -> Iterator[tuple[str, str, Interval | None, Interval | None]]:
    for split in sorted(set(record.metrics) | set(fresh)):
        sent, again = record.metrics.get(split, {}), fresh.get(split, {})
        for name in sorted(set(sent) | set(again)):
            yield split, name, again.get(name), sent.get(name)


def _told(sent: Interval, again: Interval) -> str:
    """The value as sent and as recomputed; with the intervals where only these differ."""
    if f"{sent.value:.6f}" != f"{again.value:.6f}" or sent.low is None or again.low is None:
        return f"{sent.value:.6f} as sent, {again.value:.6f} recomputed"
    ends = (f"[{x.low:.6f}, {x.high:.6f}]" for x in (sent, again))
    return "{} as sent, {} recomputed".format(*ends)


def _distance(a: Interval, b: Interval) -> float | None:
    """Largest difference over value and interval ends; None when one has an end the other lacks."""
    ends = [(a.value, b.value), (a.low, b.low), (a.high, b.high)]
    if any((x is None) != (y is None) for x, y in ends):
        return None
    return max(abs(x - y) for x, y in ends if x is not None and y is not None)
