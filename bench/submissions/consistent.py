"""Does what a record says agree with itself, with its card and with the records beside it?

Rescoring recomputes scores; these are the statements beside them, which need no data to be found out.
"""

import math
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bench.data.task import Task
from bench.discover import members
from bench.errors import UserError
from bench.features.probe import Probe
from bench.identity import card_parts
from bench.metrics.calibration import chosen_temperature
from bench.metrics.names import MetricName
from bench.runs.journal import PROBES, RECORDS
from bench.runs.records import Record
from bench.submissions.folder import Results
from bench.submissions.intake import inspect_npz
from bench.words import Target

EXACT = 1e-9
"""What rounding adds to the range of a metric."""


def contradictions(result: Results) -> Iterator[str]:
    """Each way in which the records of a suite contradict their card, themselves or one another."""
    found = Counter(why for record in result.records for why in _of_record(record, result))
    yield from (f"{n} records {why}" for why, n in found.items())
    yield from _of_weights(result)
    yield from _of_source(result)
    yield from _of_files(result)


def impossible(record: Record, task: Task) -> str | None:
    """Why no predictions on `task` have these scores: another primary metric or none, another kind's metrics, values
    beyond those of the metric. None where they may be true; a metric that is not known here is let pass."""
    if record.metric != task.metric:
        return f"has primary metric {record.metric[:60]!r}, the task's is {task.metric!r}"
    if record.status == "done" and record.primary is None:
        return f"is done but holds no primary metric ({task.metric})"
    for name, found in ((n, i) for split in record.metrics.values() for n, i in split.items()):
        if (ends := values_of(name, task.target)) is None:
            return f"holds {name[:60]!r}, which is no metric of the target {task.target!r}"
        gap = name.endswith(" gap]")  # the ends of a gap hold for every pair of groups at once, and may lie beyond
        stated = (found.value,) if gap or found.low is None else (found.low, found.value, found.high)
        if wrong := next((v for v in stated if v is not None and not ends[0] - EXACT <= v <= ends[1] + EXACT), None):
            return f"{name[:60]} is {wrong:g}, which no predictions have"
    return None


@cache
def values_of(name: str, target: Target) -> tuple[float, float] | None:
    """The lowest and highest values of a metric of records; None where it is not of tasks with that target."""
    metric = members("bench.metrics.set", "METRIC").get(MetricName.read(name).metric)
    if metric is None:
        return -math.inf, math.inf
    low, high = metric.values
    return None if target not in metric.targets else (0.0, high - low) if name.endswith(" gap]") else (low, high)


def _of_record(record: Record, result: Results) -> Iterator[str]:
    if record.encoder_version != result.card.version:
        yield f"are of version {record.encoder_version[:40]!r} of the encoder, the card is of {result.card.version!r}"
    if record.made_by.suite != result.suite:
        yield f"were made for the suite {record.made_by.suite[:40]!r}, not {result.suite!r}"
    done = record.status == "done"
    if record.predictions != (f"predictions/{record.unit.task}.npz" if done else None):
        yield f"name {str(record.predictions)[:60]!r} as their predictions"
    if not done and (record.metrics or record.chosen or record.predictions_sha256 or record.leakage or record.n_labels):
        yield "hold scores or labels of a unit that was not done"
    if done == bool(record.reason):
        yield "are done and say why not" if done else "do not say why they were refused"
    if "temperature" in record.chosen and chosen_temperature(record.chosen) is None:
        yield f"were scaled by a temperature of {str(record.chosen['temperature'])[:20]!r}, which nothing chooses"


def _of_weights(result: Results) -> Iterator[str]:
    loaded = {r.weights_sha256 for r in result.records}
    parts = {r.identity.encoder.weights for r in result.records if r.identity is not None}
    if max(len(loaded), len(parts)) > 1 and result.card.source.get("adapter") != "embeddings":
        yield f"the records were made with {max(len(loaded), len(parts))} different weights"
    if (pinned := result.card.source.get("sha256")) and loaded != {pinned}:
        yield f"the records name other weights than the card, {str(pinned)[:12]}"


def _of_source(result: Results) -> Iterator[str]:
    if (name := result.card.source.get("adapter")) not in members("bench.encoders.sources", "SOURCE"):
        yield f"the card's [source] names the adapter {str(name)[:40]!r}, which is not known"
    try:
        card_parts(result.card, False)
    except UserError as error:
        yield f"the card's [source] cannot be used: {error}"


def _of_files(result: Results) -> Iterator[str]:
    if all((result.folder / name).exists() for name in RECORDS):
        yield f"{result.suite} holds two files of records, {' and '.join(RECORDS)}"
    named = {r.identity.encoder.probe for r in result.records if r.identity is not None}
    if strange := sorted(p.stem for p in (result.folder / PROBES).glob("*.npz") if p.stem not in named):
        yield f"{result.suite} holds {len(strange)} probes that no record names, e.g. {strange[0]}"
    yield from filter(None, map(_why_no_probe, sorted((result.folder / PROBES).glob("*.npz"))))


def _why_no_probe(path: Path) -> str | None:
    try:
        inspect_npz(path)
        return None if Probe.read(path).digest == path.stem else f"probe {path.name} is not the one of its name"
    except UserError as error:
        return f"a probe cannot be read: {error}"
