"""Comparing every score of every record of the three carriers, and the page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.metrics.interval import Interval
from bench.runs.journal import read_records
from bench.runs.records import Record

LIMIT = 1e-3


@dataclass(frozen=True)
class Row:
    """One carrier against the first, on one task, protocol and metric: scores compared, largest differences."""

    suite: str
    task: str
    protocol: str
    metric: str
    other: str
    scores: int
    value: float
    ends: float
    """Of the ends of the intervals."""


def agreement(runs: Path, names: Sequence[str], suites: Sequence[str]) -> list[Row | str]:
    """A row for each task, protocol and metric; a sentence for units only one carrier could be scored on."""
    found: list[Row | str] = []
    for suite in suites:
        first, *others = ({r.unit.key: r for r in read_records(runs / name / suite)} for name in names)
        for name, other in zip(names[1:], others, strict=True):
            if first.keys() != other.keys():
                raise ValueError(f"{name} has other units on {suite}")
            found += _rows(suite, name, first, other)
    return found


def _rows(suite: str, name: str, first: dict[str, Record], other: dict[str, Record]) -> Iterator[Row | str]:
    cells: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for key, record in first.items():
        if record.status != other[key].status:
            yield f"`{name}`, {record.unit.task}, {record.unit.protocol}: {other[key].status} ({other[key].reason})"
            continue
        if record.metrics.keys() != other[key].metrics.keys():
            raise ValueError(f"{key}: other splits")
        for split, metrics in record.metrics.items():
            if metrics.keys() != other[key].metrics[split].keys():
                raise ValueError(f"{key}: other metrics on {split}")
            for metric, interval in metrics.items():
                cell = cells[record.unit.task, record.unit.protocol, metric]
                cell.append(_differences(interval, other[key].metrics[split][metric]))
    for (task, protocol, metric), found in sorted(cells.items()):
        value, ends = (max(d[i] for d in found) for i in (0, 1))
        yield Row(suite, task, protocol, metric, name, len(found), value, ends)


def _differences(a: Interval, b: Interval) -> tuple[float, float]:
    if (a.low is None, a.high is None) != (b.low is None, b.high is None):
        raise ValueError("one has an interval, the other has not")
    ends = [abs(x - y) for x, y in ((a.low, b.low), (a.high, b.high)) if x is not None and y is not None]
    return abs(a.value - b.value), max(ends, default=0.0)


def page_of(lines: list[str], found: list[Row | str], images: int | None = None) -> str:
    """docs/road.md. images: how many of each split were used, None for all."""
    rows = [row for row in found if isinstance(row, Row)]
    scores, ends = ([max(row.value for row in rows), sum(row.value > LIMIT for row in rows)],
                    [max(row.ends for row in rows), sum(row.ends > LIMIT for row in rows)])  # fmt: skip
    drawn = "" if images is None else f" Of each split, at most {images} images drawn at random are used."
    pairs = sum(row.scores for row in rows)
    head = [
        "# The whole road, on real images",
        "",
        "Made by `python -m benchmarks.road`: everything an author and a maintainer type, and what they are told.",
        "One network, EfficientNet-Lite0 trained on ImageNet, is sent three times: as weights (timm), as an ONNX",
        f"graph, and as features alone (embeddings). A score must not depend on the carrier.{drawn}",
        "",
        f"**{pairs:,} pairs of scores compared. Largest difference of a score: {scores[0]:.1e}",
        f"({scores[1]} rows over {LIMIT:g}); of an interval's end: {ends[0]:.1e} ({ends[1]} rows over {LIMIT:g}).**",
        "The table is [at the end](#agreement).",
        "",
        "## The author's road",
        "",
    ]
    table = [
        "## Agreement",
        "",
        "Largest absolute difference from `lite0` over budgets, seeds and test splits: of the scores, and of the ends",
        "of their 95 % intervals. Features from the file are the same numbers, and so are their scores. onnxruntime",
        "sums in another order: its features differ in the sixth digit. What is larger than that comes from probes",
        "trained on few images in 1,280 dimensions, which enlarge such a difference, and from ranks: two test images",
        "whose scores are almost equal change places, a step of AUROC and AUPRC however small the difference.",
        "",
        "| carrier | task | protocol | metric | scores | score | interval |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {r.other} | {r.task} | {r.protocol} | {r.metric} | {r.scores} | {r.value:.1e} | {r.ends:.1e} |"
            for r in sorted(rows, key=lambda r: (r.other, r.suite, r.task, r.protocol, r.metric))
        ),
        "",
    ]
    sentences = [text for text in found if isinstance(text, str)]
    left = ["Not comparable:", "", *(f"- {text}" for text in dict.fromkeys(sentences)), ""] if sentences else []
    return "\n".join([*head, *lines, *table, *left]).rstrip() + "\n"
