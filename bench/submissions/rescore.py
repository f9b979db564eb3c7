"""Recompute every metric and interval of a submission from its predictions."""

from collections import defaultdict
from functools import partial

import numpy as np

from bench.budget import FULL
from bench.data.dataset import Split, TaskData
from bench.data.task import Task
from bench.errors import UserError
from bench.metrics.calibration import chosen_temperature
from bench.metrics.resample import resample_counts
from bench.metrics.scored import score
from bench.protocols.base import base_split
from bench.runs.journal import read_outputs, records_file
from bench.runs.plan import Plan
from bench.runs.records import Record
from bench.submissions.compare import TOLERANCE, compare
from bench.submissions.folder import Results
from bench.submissions.intake import inspect_npz
from bench.submissions.labels import load_labels
from bench.submissions.report import VerificationReport
from bench.submissions.rescore_kept import check_kept
from bench.submissions.structure import check_task, strange_arrays
from bench.words import SCALARS


def check_predictions(result: Results, plan: Plan, report: VerificationReport, *, rescore: bool) -> None:
    """Hashes, shapes and ranges of all predictions; with `rescore` every number in the records.

    A compact submission (packed records) may leave out predictions of units that feed no board at all labels.
    """
    compact = records_file(result.folder) != result.folder / "records.jsonl"
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in result.records:
        by_task[record.unit.task].append(record)
    for name, records in sorted(by_task.items()):
        data = load_labels(plan.tasks[name], folder=plan.folders[name])
        report.problems.extend(check_task(records, data, plan))
        counts = {n: resample_counts(name, n, s.ids, s.groups) for n, s in data.tests.items()} if rescore else {}
        try:
            path = result.folder / "predictions" / f"{name}.npz"
            if any(record.status == "done" for record in records) and (path.exists() or not compact):
                inspect_npz(path)
                report.problems.extend(strange_arrays(path, records, plan, data))
            seen = set()
            for record, outputs in read_outputs(result.folder, records, partial=compact):
                expected = plan.protocols[record.unit.protocol].outputs(list(data.tests))
                _check_unit(record, outputs, expected, data, counts, report)
                seen.add(record.unit.key)
            absent = [r for r in records if r.status == "done" and r.unit.key not in seen]
            check_kept(result, plan, data, absent, counts, report)
        except UserError as error:
            report.problems.append(str(error))
    what = "every metric and interval recomputed from predictions" if rescore else "ids, hashes, shapes of predictions"
    if report.unchecked:
        what += f"; {report.unchecked} units carry none"
    report.checked.append(f"{result.suite}: {what}")


def _check_unit(
    record: Record,
    outputs: dict[str, np.ndarray],
    expected: list[str],
    data: TaskData,
    counts: dict[str, np.ndarray],
    report: VerificationReport,
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
        again = partial(score, temperature=chosen_temperature(record.chosen), scoring=record.scoring)
        fresh = {
            name: again(data.task, output, labels[name], resamples=counts[base_split(name)])
            for name, output in outputs.items()
        }
        compare(record, fresh, TOLERANCE, report)
        report.units += 1
    if record.unit.budget == FULL and _is_truth(data, outputs["test"]):
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
    if task.target in SCALARS:
        return None
    return "predictions lie outside [0, 1]" if output.min() < 0 or output.max() > 1 else None


def _is_truth(data: TaskData, output: np.ndarray) -> bool:
    labels = data.tests["test"].labels
    if data.task.kind == "dense":
        return bool((output == labels).all())
    if data.task.target == "number":
        return bool((output[:, 0] == labels.astype(output.dtype)).all())
    if data.task.target == "survival":  # no log hazard is right or wrong by itself
        return False
    if data.task.target == "multi-label":
        return bool(((output > 0.5) == labels.astype(bool)).all())
    return bool((output.argmax(1) == labels).all()) and bool(np.isin(output, (0.0, 1.0)).all())
