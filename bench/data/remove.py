"""Giving disk back: prepared copies, and the downloads they were made from."""

from pathlib import Path

from bench.data import store
from bench.data.held import downloads as downloads_folder
from bench.data.load import read_source
from bench.data.task import Task
from bench.errors import DataError


def remove_task(task: Task, *, folder: Path | None = None, downloads: bool = False) -> int:
    """Remove a task's prepared copy and, if asked, its fetched file; returns the bytes freed.

    Files in the user's own folders are never touched. Raises CardError.
    """
    source, freed = read_source(task), 0
    try:
        identity = source.identity(task, Path(folder or "."), accept_checksum=True)
        freed += store.remove(store.key_of(task, source, identity.digest))
    except DataError:
        pass  # Its files are gone, so that no copy of it can be named.
    held = source.held(task)
    if downloads and held is not None:
        for path in downloads_folder().glob(f"{held.name}*"):
            if path.name in (held.name, f"{held.name}.part", f"{held.name}.bad"):
                freed += path.stat().st_size
                path.unlink()
    return freed
