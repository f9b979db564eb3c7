"""Records that contradict themselves: scores that no predictions have, or that the predictions beside them do not give.

What a record's own files refute is nowhere a result. Predictions are compared once: files of the cache say which held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.errors import RunError, UserError
from bench.files import canonical_json, sha256_arrays, sha256_file, sha256_text, write_atomic
from bench.leaderboard.at_hand import AtHand
from bench.leaderboard.replicates import Source, kept_sources, whole_source
from bench.locate import home
from bench.metrics.resample import with_point
from bench.protocols.base import base_split
from bench.runs.journal import outputs_of
from bench.runs.predictions import read_predictions
from bench.runs.records import Record
from bench.submissions.cases import cases_file
from bench.submissions.condensed import condensed_file
from bench.submissions.consistent import impossible

TOLD = "the predictions do not give the score in the record"


def refuted(held: Mapping[Path, Iterable[Record]], at_hand: AtHand) -> dict[tuple[Path, str], str]:
    """(folder, unit key) -> why the record is no result, of those that contradict themselves.

    held: folder of results -> its records. Predictions count where they and the data they were made on are at hand;
    tasks that `at_hand` does not know are passed over.
    """
    by_task: dict[str, dict[Path, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for place, records in held.items():
        for record in records:
            by_task[record.unit.task][place].append(record)
    found: dict[tuple[Path, str], str] = {}
    for name in sorted(by_task.keys() & at_hand.tasks.keys()):  # the data of one task are at hand at a time
        task = at_hand.tasks[name]
        for place, mine in by_task[name].items():
            why = {r.unit.key: told for r in mine if (told := impossible(r, task))}
            done = [r for r in mine if r.status == "done" and r.unit.key not in why]
            why |= dict.fromkeys(_unlike_predictions(place, task, done, at_hand), TOLD)
            found |= {(place, key): told for key, told in why.items()}
    return found


def _unlike_predictions(place: Path, task: Task, records: list[Record], at_hand: AtHand) -> set[str]:
    files = [place / "predictions" / f"{task.name}.npz", cases_file(place, task), condensed_file(place, task)]
    files = [path for path in files if path.is_file()]
    if not (files and records) or (mark := _mark(task, records, files)).is_file():
        return set()
    wrong: set[str] = set()
    with suppress(UserError):  # not at hand, or damaged: boards say what they approximate
        for key in _unlike(place, at_hand.load(task.name), records):
            wrong.add(key)
        if not wrong:
            with suppress(RunError):  # a cache that takes nothing costs time, no result
                write_atomic(mark, b"")
    return wrong


def _unlike(place: Path, data: TaskData, records: list[Record]) -> Iterator[str]:
    """Keys of units whose predictions are other ones than the record names, or give another primary metric."""
    path = place / "predictions" / f"{data.task.name}.npz"
    arrays = read_predictions(path) if path.is_file() else {}
    kept = kept_sources(place, data, records)
    for record in records:
        if record.data_sha256 != data.sha256:
            continue
        splits = kept.get(record.unit.key)
        if splits is None and (outputs := outputs_of(record.unit.key, arrays)):
            if sha256_arrays(outputs) != record.predictions_sha256:
                yield record.unit.key
                continue
            known = {name: output for name, output in outputs.items() if base_split(name) in data.tests}
            splits = {name: whole_source(record, data, name, output) for name, output in known.items()}
        if splits and not _gives(record, data, splits):
            yield record.unit.key


def _gives(record: Record, data: TaskData, splits: Mapping[str, Source]) -> bool:
    """Whether the primary metric on each split is what the record states."""
    for name, source in splits.items():
        stated = record.metrics.get(name, {}).get(record.metric)
        try:
            point, *_ = source.computed(with_point(None, len(data.tests[base_split(name)])))
        except UserError:  # no predictions of these images
            return False
        if stated is not None and not abs(point - stated.value) < source.tolerance:
            return False
    return True


def _mark(task: Task, records: list[Record], files: list[Path]) -> Path:
    """The file that is there when the records were compared with these files before, and held."""
    stated = {r.unit.key: [r.data_sha256, r.predictions_sha256, r.scoring, _primaries(r)] for r in records}
    name = sha256_text(canonical_json([task.sha256, stated, [sha256_file(path) for path in files]]))
    return home() / "held" / name[:2] / name


def _primaries(record: Record) -> dict[str, float]:
    return {name: m[record.metric].value for name, m in record.metrics.items() if record.metric in m}
