"""Pictures of a suite that may be shown: samples of each task, and the worst cases behind each number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bench.data.dataset import Split, TaskData
from bench.data.load import load_task
from bench.data.task import Task
from bench.errors import UserError
from bench.leaderboard.collect import Collection
from bench.metrics.cases import probabilities, quality
from bench.publish.anchors import Anchor, anchors
from bench.publish.cases import answered, may_show, outline, picture, said, worst
from bench.publish.model import CaseView, Sample
from bench.runs.predictions import read_predictions
from bench.runs.records import Record
from bench.submissions.cases import Kept, read_cases
from bench.submissions.folder import Results

SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a task may show. files: address within the site -> PNG."""

    sizes: dict[str, int]
    samples: tuple[Sample, ...]
    cases: dict[str, tuple[CaseView, ...]]
    """Encoder -> its worst cases, worst first."""
    files: dict[str, bytes]
    anchors: tuple[Anchor, ...] = ()


def pictures(collection: Collection, task: Task, protocol: str | None) -> Pictures | None:
    """Samples and worst cases of one task, or None where its images cannot be read here or must not be shown."""
    if not may_show(task):
        return None
    try:
        data = load_task(task, folder=collection.folders.get(task.name))
    except UserError:
        return None
    test = data.tests["test"]
    files: dict[str, bytes] = {}
    samples = tuple(_samples(collection.suite, data, files))
    cases = {
        name: tuple(
            _case(f"pictures/{collection.suite}/{task.name}", name, task, test, i, output, value, files)
            for i, output, value in chosen
        )
        for name, chosen in _chosen(collection.results, data, protocol)
    }
    return Pictures({n: len(s) for n, s in data.splits.items()}, samples, cases, files, anchors(data))


def _samples(suite: str, data: TaskData, files: dict[str, bytes]) -> Iterator[Sample]:
    task, train = data.task, data.train
    for number, i in enumerate(_spread(task, train.labels)):
        address = f"pictures/{suite}/{task.name}/sample-{number}"
        files[f"{address}.png"] = picture(train.images[i])
        if task.kind == "dense":
            files[f"{address}-truth.png"] = outline(train.labels[i])
            yield Sample(f"{address}.png", "image with its mask outlined", f"{address}-truth.png")
        else:
            yield Sample(f"{address}.png", said(task, train.labels[i]))


def _spread(task: Task, labels: np.ndarray) -> list[int]:
    """Rows to show: for a global task every class in turn, for a dense one the first with some foreground."""
    if task.kind == "dense":
        return np.flatnonzero((labels > 0).reshape(len(labels), -1).any(1))[: SAMPLES // 2].tolist()
    if labels.ndim == 2:
        return list(range(min(SAMPLES, len(labels))))
    by_class = [np.flatnonzero(labels == c).tolist() for c in range(len(task.classes))]
    return [rows[k] for k in range(SAMPLES) for rows in by_class if k < len(rows)][:SAMPLES]


Worst = list[tuple[int, np.ndarray, float]]
"""(row of "test", what was predicted, how well) of the worst cases, worst first."""


def _chosen(results: Mapping[str, Results], data: TaskData, protocol: str | None) -> Iterator[tuple[str, Worst]]:
    """(encoder, its worst cases with all labels under the main protocol), where predictions are at hand and were made
    on these very images."""
    for name, result in results.items():
        record = next((r for r in result.records if _is_main(r, data.task, protocol)), None)
        if record is not None and record.data_sha256 == data.sha256:
            yield name, _worst(result, data, record.unit.key)


def _worst(result: Results, data: TaskData, key: str) -> Worst:
    task, labels = data.task, data.tests["test"].labels
    path = result.folder / "predictions" / f"{task.name}.npz"
    name = f"{key}/test"
    output = read_predictions(path, only=[name]).get(name) if path.is_file() else None
    kept = read_cases(result.folder, task).get(key, Kept()) if output is None else Kept()
    if output is None and task.kind == "global" and "test" in kept.splits:
        output = probabilities(kept.splits["test"]["log_odds"])
    if output is not None and len(output) == len(labels):
        return [(i, output[i], value) for i, value in worst(task, output, labels)]
    if not kept.shows(labels):
        return []
    values = quality(task, kept.masks, labels[kept.rows])
    return [(int(i), mask, float(v)) for i, mask, v in zip(kept.rows, kept.masks, values, strict=True)]


def _is_main(record: Record, task: Task, protocol: str | None) -> bool:
    unit = record.unit
    return record.status == "done" and (unit.task, unit.protocol, unit.budget) == (task.name, protocol, "100%")


def _case(
    folder: str,
    encoder: str,
    task: Task,
    test: Split,
    i: int,
    output: np.ndarray,
    value: float,
    files: dict[str, bytes],
) -> CaseView:
    """Image and truth are the same for every encoder, drawn and stored once; only the predicted outline is its own."""
    case, label = str(test.ids[i]), test.labels[i]
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in case)
    image, truth, predicted = f"{folder}/{name}.png", f"{folder}/{name}-truth.png", f"{folder}/{encoder}/{name}.png"
    if image not in files:
        files[image] = picture(test.images[i])
    if task.kind == "global":
        return CaseView(image, case, value, said(task, label), answered(task, output))
    if truth not in files:
        files[truth] = outline(label)
    files[predicted] = outline(output)
    return CaseView(image, case, value, truth_outline=truth, predicted_outline=predicted)
