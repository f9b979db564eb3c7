"""Where the data of each task stand: on this machine or not, prepared or not, intact or not."""

from dataclasses import dataclass
from pathlib import Path

from bench.data import store
from bench.data.load import read_source, store_key
from bench.data.task import Task
from bench.errors import UserError


@dataclass(frozen=True)
class Status:
    """One task: its file (or the address it comes from), its prepared copy, and what is wrong, if anything."""

    task: str
    file: str
    prepared: bool
    bytes: int
    problem: str = ""


def status_of(task: Task, *, folder: Path | None = None, verify: bool = False, accept_checksum: bool = False) -> Status:
    """State of one task's data; `verify` reads every byte of the prepared copy again. Raises CardError.

    accept_checksum: of the copy that was prepared from files whose checksum is not the card's.
    """
    source, start = read_source(task), Path(folder or ".")
    held = source.held(task)
    where = held.find(start) if held else None
    file = str(where) if where else ("not here" if held else source.reader)
    try:
        entry = store.open_entry(store_key(task, folder=start, accept_checksum=accept_checksum)[1])
    except UserError as error:
        return Status(task.name, file, prepared=False, bytes=0, problem=str(error))
    if entry is None:
        return Status(task.name, file, prepared=False, bytes=0)
    size = sum(path.stat().st_size for path in entry.folder.iterdir())
    damaged = verify and not store.is_intact(entry)
    problem = f"the prepared copy is damaged: remove {entry.folder}" if damaged else ""
    return Status(task.name, file, prepared=True, bytes=size, problem=problem)
