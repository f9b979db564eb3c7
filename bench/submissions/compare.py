"""Scores as sent beside the same scores as recomputed."""

from collections.abc import Iterator

from bench.metrics.interval import Interval
from bench.metrics.names import MetricName
from bench.runs.records import Record
from bench.submissions.report import VerificationReport

TOLERANCE = 1e-9
"""A metric recomputed from the same predictions differs by rounding only."""


def compare(
    record: Record,
    fresh: dict[str, dict[str, Interval]],
    tolerance: float,
    report: VerificationReport,
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
            report.metrics.setdefault(MetricName.read(name).metric, set()).add(sent is not None)
            if sent is None:
                continue
        if again is None or sent is None or (difference := _distance(again, sent)) is None:
            report.problems.append(f"{record.unit.key}: {name[:60]!r} on {split[:40]!r} is not what is recomputed")
            continue
        report.largest_difference = max(report.largest_difference, difference)
        if difference > tolerance:
            report.problems.append(f"{record.unit.key}: {name} on {split} is {_told(sent, again)}")


def check_absent_metrics(report: VerificationReport) -> None:
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
