"""Preparing many tasks ahead of a run."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from bench.data.choose import Chosen
from bench.data.load import load_task
from bench.data.task import Task
from bench.errors import UserError

Told = Callable[[str, int | None], None]


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
    told: Told = lambda task, images: None,
) -> list[Prepared]:
    """Write each task's prepared copy, some at a time; one failure does not stop the others.

    told: called with a task's name and the images of it that are written, None once it is done, well or badly.
    Interrupted, the copies that are being written end at their next block and leave nothing behind.
    """
    stop = Event()

    def outcome(pair: tuple[Task, Path | None]) -> Prepared:
        task, own = pair

        def seen(images: int) -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            told(task.name, images)

        try:
            data = load_task(task, folder=folder or own, accept_checksum=accept_checksum, seen=seen)
        except UserError as error:
            return Prepared(task.name, problem=str(error))
        finally:
            told(task.name, None)
        return Prepared(task.name, {name: len(split) for name, split in data.splits.items()}, data.notes)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            return list(pool.map(outcome, chosen))
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
