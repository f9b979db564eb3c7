"""Making a submission small: packed records, and of predictions only what boards and rescoring need."""

import bz2
from collections import defaultdict
from pathlib import Path

from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.files import write_atomic
from bench.recipes import feeds_full_board
from bench.runs.journal import read_outputs, read_records
from bench.runs.plan import Plan
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.records import Record
from bench.submissions.cases import wants_cases, write_cases
from bench.submissions.condensed import is_condensed, write_condensed


def compact(run: Path, plan: Plan) -> None:
    """Pack one suite's folder of a submission. The data of its tasks are read. Raises UserError."""
    plain, by_task = run / "records.jsonl", defaultdict[str, list[Record]](list)
    for record in read_records(run):
        by_task[record.unit.task].append(record)
    for name, records in by_task.items():
        if any(keeps_predictions(record) or is_condensed(record) for record in records):
            _compact_task(run, load_task(plan.tasks[name], folder=plan.folders[name]), records)
    write_atomic(run / "records.jsonl.bz2", bz2.compress(plain.read_bytes()))
    plain.unlink()


def keeps_predictions(record: Record) -> bool:
    """Whether a compact submission must hold the predictions of this unit, or the scores of their cases."""
    return record.status == "done" and feeds_full_board(record.unit.protocol, record.unit.budget)


def keep_only(path: Path, units: set[str]) -> None:
    """Leave only the predictions of some units in a file, and no file where there are none."""
    arrays = {name: a for name, a in read_predictions(path).items() if name.rpartition("/")[0] in units}
    if arrays:
        write_atomic(path, predictions_bytes(arrays))
    else:
        path.unlink()


def _compact_task(run: Path, data: TaskData, records: list[Record]) -> None:
    whole, cases, low = set[str](), {}, {}
    for record, outputs in read_outputs(run, records):
        if is_condensed(record):
            low[record.unit.key] = outputs["test"]
        elif keeps_predictions(record) and wants_cases(data.task, outputs):
            cases[record.unit.key] = outputs
        elif keeps_predictions(record):
            whole.add(record.unit.key)
    write_cases(run, data, cases)
    write_condensed(run, data, low, records[0].scoring)
    keep_only(run / "predictions" / f"{data.task.name}.npz", whole)
