"""The set of metrics: one file each, and nothing else to edit (docs/own-metric.md)."""

from bench.discover import members
from bench.metrics import SCORING
from bench.metrics.base import Metric
from bench.words import Target


def metrics_of(target: Target, scoring: int = SCORING) -> list[Metric]:
    """The metrics of a scoring version that are defined for a kind of label, by name."""
    found = members(__name__, "METRIC")
    return [m for _, m in sorted(found.items()) if target in m.targets and m.held_by(scoring)]


def primaries(target: Target) -> dict[str, Metric]:
    """Name -> metric of those that may be the primary metric of a task with this kind of label."""
    return {m.name: m for m in members(__name__, "METRIC").values() if target in m.primary_for}
