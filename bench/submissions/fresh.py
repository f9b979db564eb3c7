"""Phantom tasks drawn anew: an encoder scores on images of a task that nobody has seen as on those of its test split.

A lookup scores on the published images alone. The probe is fitted on the published training images, as in the record,
and asked about test images of the same task under a name that was drawn after the submission was fixed.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from bench.data.dataset import TaskData, arrays_of
from bench.data.load import load_task, read_source
from bench.data.sources.phantom import PhantomSource
from bench.encoders.base import Encoder
from bench.files import sha256_arrays
from bench.metrics.interval import Interval
from bench.runs.plan import Plan
from bench.runs.records import Record
from bench.runs.score_task import Setting, Work

SURE = 4.0
"""Standard errors of the difference from which a score on fresh images is another one."""


def missing_on_fresh(
    encoder: Encoder, plan: Plan, records: Iterable[Record], setting: Setting, lot: str
) -> Iterator[str]:
    """What scores on the published images of a phantom task and not on fresh ones, with the evidence.

    records: those that were rerun; the one with the best score on a global, and on a dense, phantom task is looked at.
    lot: draws the images. Raises EncoderError, DataError.
    """
    for record in _best(records, plan):
        name = record.unit.task
        data = load_task(plan.tasks[name], folder=plan.folders[name])
        work = Work(encoder, plan.tasks[name], plan.folders[name], setting)
        work.data = drawn_anew(data, lot)
        (fresh, _), *_ = work.run(plan.protocols[record.unit.protocol], [record.unit])
        if fresh.primary and record.primary and (apart := _apart(record.primary, fresh.primary)) > SURE:
            yield (
                f"{record.unit.key}: {record.metric} {record.primary.value:.3f} on the published test images, "
                f"{fresh.primary.value:.3f} on as many drawn anew ({apart:.0f} standard errors): it knows those images"
            )


def drawn_anew(data: TaskData, lot: str) -> TaskData:
    """A phantom task with other images in "test", as many as before; no second site."""
    source = read_source(data.task)
    assert isinstance(source, PhantomSource)
    test = source.drawn(data.task, f"test {lot}", len(data.tests["test"]), jobs=1)
    splits = {"train": data.train, "val": data.val, "test": test}
    return TaskData.of(data.task, splits, sha256_arrays(arrays_of(splits)))


def _best(records: Iterable[Record], plan: Plan) -> list[Record]:
    """The record with the best score on a global, and on a dense, task of phantoms."""
    found: dict[str, Record] = {}
    for record in records:
        task = plan.tasks[record.unit.task]
        if record.primary and isinstance(read_source(task), PhantomSource):
            best = found.setdefault(task.kind, record)
            if best.primary and record.primary.value > best.primary.value:
                found[task.kind] = record
    return list(found.values())


def _apart(published: Interval, fresh: Interval) -> float:
    """Standard errors by which the published score is the higher one; NaN where an interval is not known."""
    return float((published.value - fresh.value) / np.hypot(published.standard_error, fresh.standard_error))
