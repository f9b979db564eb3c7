"""Preparing many tasks ahead of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.choose import Chosen
from bench.data.load import load_task
from bench.data.task import Task
from bench.errors import UserError


@dataclass(frozen=True)
class Prepared:
    """Outcome for one task: images of each split and notes, or the problem."""

    task: str
    images: dict[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    problem: str = ""


def prepare_all(
    chosen: Chosen,
    folder: Path | None,
    accept_checksum: bool,
    jobs: int = 4,
    finished: Callable[[str], None] = lambda task: None,
) -> list[Prepared]:
    """Write each task's prepared copy, some at a time; one failure does not stop the others.

    finished: called with the name of each task that is done, well or badly.
    """

    def outcome(pair: tuple[Task, Path | None]) -> Prepared:
        task, own = pair
        try:
            data = load_task(task, folder=folder or own, accept_checksum=accept_checksum)
        except UserError as error:
            return Prepared(task.name, problem=str(error))
        finally:
            finished(task.name)
        return Prepared(task.name, {name: len(split) for name, split in data.splits.items()}, data.notes)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(outcome, chosen))
