"""Pictures of a suite that may be shown: samples of each task, and cases behind its numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.budget import FULL
from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.errors import UserError
from bench.leaderboard.collect import SuiteResults
from bench.metrics.cases import probabilities, quality
from bench.metrics.overlap import Areas, image_quality
from bench.publish.anchors import Anchor, anchors, anchors_without_images
from bench.publish.cases import agreement, answered, may_show, outline, picture, said, shown_slice
from bench.publish.chosen import chosen, groups
from bench.publish.model import CaseImage, Cases, EncoderAnswers, ExamplePicture
from bench.runs.predictions import read_predictions
from bench.runs.records import Record
from bench.submissions.cases import Kept, read_cases
from bench.submissions.folder import Results

SAMPLES = 8


@dataclass(frozen=True, slots=True)
class TaskPictures:
    """What a task may show. files: address within the site -> image."""

    sizes: dict[str, int]
    anchors: tuple[Anchor, ...]
    samples: tuple[ExamplePicture, ...]
    cases: Cases | None
    files: dict[str, bytes]


def pictures(collection: SuiteResults, task: Task, protocol: str | None) -> TaskPictures:
    """Sizes and anchors of a task, with samples and cases where its licence allows and its images are here.

    Without its labels the anchors are those that are shipped for the data its results were made on, or chance alone.
    """
    try:
        data = collection.at_hand.load(task.name)
    except UserError:
        made_on = {r.data_sha256 for result in collection.results.values() for r in result.by_task.get(task.name, ())}
        return TaskPictures({}, anchors_without_images(task, made_on.pop() if len(made_on) == 1 else ""), (), None, {})
    files: dict[str, bytes] = {}
    sizes = {name: len(split) for name, split in data.splits.items()}
    if not may_show(task) or not data.has_images:
        return TaskPictures(sizes, anchors_without_images(task, data.sha256), (), None, files)
    samples = tuple(_samples(collection.suite, data, files))
    given = dict(_given(collection, data, protocol))
    cases = _cases(f"pictures/{collection.suite}/{task.name}", data, given, files) if given else None
    return TaskPictures(sizes, anchors(data), samples, cases, files)


def _samples(suite: str, data: TaskData, files: dict[str, bytes]) -> Iterator[ExamplePicture]:
    task, train = data.task, data.train
    for number, i in enumerate(_first(task, train.labels)):
        address = f"pictures/{suite}/{task.name}/sample-{number}"
        at = shown_slice(train.labels[i]) if train.labels.ndim == 4 else None
        files[f"{address}.webp"] = picture(train.images[i], at)
        if task.kind == "dense":
            files[f"{address}-truth.png"] = outline(train.labels[i] if at is None else train.labels[i, at])
            yield ExamplePicture(f"{address}.webp", "image with its mask outlined", f"{address}-truth.png")
        else:
            yield ExamplePicture(f"{address}.webp", said(task, train.labels[i]))


def _first(task: Task, labels: np.ndarray) -> list[int]:
    """Rows to show: for a global task every class in turn, for a dense one the first with some foreground."""
    if task.kind == "dense":
        return np.flatnonzero((labels > 0).reshape(len(labels), -1).any(1))[: SAMPLES // 2].tolist()
    if labels.ndim == 2:
        return list(range(min(SAMPLES, len(labels))))
    if task.target == "number":
        return list(range(min(SAMPLES, len(labels))))
    by_class = [np.flatnonzero(labels == c).tolist() for c in range(len(task.classes))]
    return [rows[k] for k in range(SAMPLES) for rows in by_class if k < len(rows)][:SAMPLES]


@dataclass(frozen=True)
class Given:
    """What is at hand of one encoder's predictions on "test". quality: float64 (n,). outputs: row -> prediction."""

    quality: np.ndarray
    outputs: dict[int, np.ndarray]


def _given(collection: SuiteResults, data: TaskData, protocol: str | None) -> Iterator[tuple[str, Given]]:
    """(encoder, what it predicted with all labels under the main protocol), where that was made on these images."""
    for name, result in collection.results.items():
        record = next((r for r in result.by_task.get(data.task.name, ()) if _is_main(r, protocol)), None)
        if record is not None and record.data_sha256 == data.sha256 and (found := _read(result, data, record.unit.key)):
            yield name, found


def _read(result: Results, data: TaskData, key: str) -> Given | None:
    task, labels = data.task, data.tests["test"].labels
    path, name = result.folder / "predictions" / f"{task.name}.npz", f"{key}/test"
    output = read_predictions(path, only=[name]).get(name) if path.is_file() else None
    kept = read_cases(result.folder, task, unit=key).get(key, Kept()) if output is None else Kept()
    parts = kept.splits.get("test", {})
    if output is None and task.kind == "global" and "log_odds" in parts:
        output = probabilities(parts["log_odds"])
    if output is not None and len(output) == len(labels):
        return Given(quality(task, output, labels), dict(enumerate(output)))
    if kept.rows is None or kept.masks is None or not kept.shows(labels):
        return None
    if task.kind == "dense" and len(parts.get("areas", ())) == len(labels):
        masks = dict(zip(kept.rows.tolist(), kept.masks, strict=True))
        return Given(image_quality(Areas.stacked(parts["areas"])), masks)
    return None


def _is_main(record: Record, protocol: str | None) -> bool:
    unit = record.unit
    return record.status == "done" and (unit.protocol, unit.budget) == (protocol, FULL)


def _cases(folder: str, data: TaskData, given: dict[str, Given], files: dict[str, bytes]) -> Cases:
    """Image and truth are the same for every encoder, drawn and stored once; only the predictions are its own."""
    task, test = data.task, data.tests["test"]
    pictured = np.array([[i in g.outputs for i in range(len(test))] for g in given.values()])
    rows, how = chosen(task, test, np.stack([g.quality for g in given.values()]), pictured)
    part = {int(i): words for words, members in groups(task, test) for i in members}
    images = []
    for i in rows:
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in str(test.ids[i]))
        at = shown_slice(test.labels[i]) if test.labels.ndim == 4 else None
        files[f"{folder}/{name}.webp"] = picture(test.images[i], at)
        truth = f"{folder}/{name}-truth.png" if task.kind == "dense" else None
        if truth:
            files[truth] = outline(test.labels[i] if at is None else test.labels[i, at])
        words = "" if task.kind == "dense" else said(task, test.labels[i])
        images.append(CaseImage(f"{folder}/{name}.webp", str(test.ids[i]), part[i], words, truth))
    answers = {e: _answers(folder, e, data, rows, images, g, files) for e, g in given.items()}
    return Cases(how, tuple(images), answers)


def _answers(
    folder: str, encoder: str, data: TaskData, rows: list[int], images: list[CaseImage], given: Given,
    files: dict[str, bytes],
) -> EncoderAnswers:  # fmt: skip
    task, labels = data.task, data.tests["test"].labels
    drawn: list[str | None] = []
    for i, image in zip(rows, images, strict=True):
        address = None
        if task.kind == "dense" and i in given.outputs:
            address = f"{folder}/{encoder}/{Path(image.image).stem}.png"
            at = shown_slice(labels[i]) if labels.ndim == 4 else ...
            files[address] = agreement(given.outputs[i][at], labels[i][at])
        drawn.append(address)
    spoken = [answered(task, given.outputs[i]) if task.kind == "global" else "" for i in rows]
    known = given.quality[np.isfinite(given.quality)]
    quartiles = tuple(float(q) for q in np.quantile(known, [0.25, 0.5, 0.75])) if len(known) else (np.nan,) * 3
    failed = int((known == 0).sum()) if task.kind == "dense" else int((known < 0.5).sum())
    values = tuple(float(given.quality[i]) for i in rows)
    return EncoderAnswers(values, tuple(spoken), tuple(drawn), failed, len(known), quartiles)
