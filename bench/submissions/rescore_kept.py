"""Recompute the scores of units of a compact submission from what it keeps in the place of predictions."""

from functools import partial

import numpy as np

from bench.data.dataset import TaskData
from bench.metrics.calibration import chosen_temperature
from bench.metrics.cases import case_scores, check_cases
from bench.metrics.resample import interval, with_point
from bench.metrics.scored import spacing_of
from bench.protocols.base import base_split
from bench.runs.plan import Plan
from bench.runs.records import Record
from bench.submissions.cases import QUANTISED, Kept, cases_file, read_cases, score_kept, worst_cases
from bench.submissions.compact import keeps_predictions
from bench.submissions.compare import TOLERANCE, compare
from bench.submissions.condensed import (
    DRAWN,
    FIRST_SCORING,
    condensed_file,
    is_condensed,
    may_be_drawn,
    read_condensed,
    replicates_condensed,
    tolerance_of,
)
from bench.submissions.folder import Results
from bench.submissions.intake import inspect_npz
from bench.submissions.report import VerificationReport


def check_kept(
    result: Results,
    plan: Plan,
    data: TaskData,
    records: list[Record],
    counts: dict[str, np.ndarray],
    report: VerificationReport,
) -> None:
    """Check the done units of a task that carry no whole predictions; with `counts` recompute what can be.

    Refused where they feed a board and nothing is kept of them, counted where a compact submission may lack them.
    """
    for path in (cases_file(result.folder, data.task), condensed_file(result.folder, data.task)):
        if path.is_file():
            inspect_npz(path)
    cases, condensed = read_cases(result.folder, data.task), read_condensed(result.folder, data.task)
    report.problems += _strangers(data, {*cases, *condensed} - {record.unit.key for record in records})
    left = []
    for record in records:
        if (kept := cases.get(record.unit.key)) is not None:
            expected = plan.protocols[record.unit.protocol].outputs(list(data.tests))
            _check_cases(record, kept, expected, data, counts, report)
        else:
            left.append(record)
    held = [record for record in left if record.unit.key in condensed]
    for record in held if counts else ():
        _check_condensed(record, condensed[record.unit.key], data, counts, report)
    report.unchecked += len(left)
    # Replicates are kept as differences from the metric: they tell its interval, not the metric itself.
    report.condensed += sum(condensed[record.unit.key].dtype != DRAWN for record in held)
    report.problems += _lacking(left, condensed)


def _check_cases(
    record: Record,
    kept: Kept,
    expected: list[str],
    data: TaskData,
    counts: dict[str, np.ndarray],
    report: VerificationReport,
) -> None:
    if set(kept.splits) != set(expected):
        report.problems.append(f"{record.unit.key}: cases are kept of other splits than its {len(expected)}")
        return
    if data.task.kind == "dense" and not _shows(kept, data):
        report.problems.append(f"{record.unit.key}: the masks of the worst cases are not what their scores say")
    again = partial(score_kept, temperature=chosen_temperature(record.chosen), scoring=record.scoring)
    fresh = {
        name: again(data.task, parts, data.tests[base_split(name)], resamples=counts.get(base_split(name)))
        for name, parts in kept.splits.items()
    }
    if counts:
        compare(record, fresh, TOLERANCE if data.task.kind == "dense" else QUANTISED, report)
        report.units += 1


def _shows(kept: Kept, data: TaskData) -> bool:
    """Whether the masks that are kept are of the worst cases, and have exactly the scores that are kept of these."""
    labels, parts, spacing = data.tests["test"].labels, kept.splits["test"], spacing_of(data.tests["test"])
    check_cases(data.task, parts, labels, spacing)
    if kept.rows is None or kept.masks is None or not kept.shows(labels):
        return False
    if (kept.masks >= len(data.task.classes)).any():
        return False
    again = case_scores(data.task, kept.masks, labels[kept.rows], None if spacing is None else spacing[kept.rows])
    same = [np.array_equal(parts[name][kept.rows], a, equal_nan=a.dtype.kind == "f") for name, a in again.items()]
    return all(same) and np.array_equal(kept.rows, worst_cases(parts["areas"]))


def _check_condensed(
    record: Record, kept: np.ndarray, data: TaskData, counts: dict[str, np.ndarray], report: VerificationReport
) -> None:
    test = data.tests["test"]
    if kept.dtype == DRAWN and not may_be_drawn(data):
        report.problems.append(f"{record.unit.key}: keeps replicates, where what the metric reads is smaller")
        return
    weights = with_point(counts["test"], len(test))
    found = interval(replicates_condensed(data, kept, weights, record))
    sent = record.model_copy(update={"metrics": {"test": {record.metric: record.primary}}})
    fresh = {"test": {record.metric: found} if found else {}}
    compare(sent, fresh, tolerance_of(kept, TOLERANCE), report)


def _strangers(data: TaskData, keys: set[str]) -> list[str]:
    """Units of which something is kept though they carry predictions, are not done, or are none of the suite's."""
    named = sorted(keys)[:1]
    return [f"{data.task.name}: keeps {len(keys)} units twice or of none, e.g. {key[:80]!r}" for key in named]


def _lacking(records: list[Record], condensed: dict[str, np.ndarray]) -> list[str]:
    feed = [record.unit.key for record in records if keeps_predictions(record)]
    asked = [record.unit.key for record in records if record.scoring >= FIRST_SCORING and is_condensed(record)]
    low = [key for key in asked if key not in condensed]
    told = ("predictions", " that feed a board", feed), ("condensed predictions", "", low)
    return [f"has no {what} of {len(keys)} units{which}, e.g. {keys[0]}" for what, which, keys in told if keys]
