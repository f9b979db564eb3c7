"""From a task card to its arrays: find the source, prepare once, check against the card, memory-map."""

from pathlib import Path

from bench.data import store
from bench.data.dataset import SourceDigest, TaskData, TaskSource
from bench.data.task import Task
from bench.discover import members, pick
from bench.errors import CardError


def read_source(task: Task) -> TaskSource:
    """The checked `[source]` table of a card. Raises CardError for an unknown reader or a wrong key."""
    where = f"task {task.name!r}, [source]"
    reader = task.source.get("reader")
    if not isinstance(reader, str):
        raise CardError("missing key 'reader'", where=where, fix=f"one of: {', '.join(sorted(sources()))}")
    source = pick(sources(), reader, what="reader", where=where).parse(task.source, where=where)
    if task.volume and (task.kind == "global") != (task.source.get("aggregation") is not None):
        if task.kind == "dense":
            raise CardError("has masks, and 'aggregation' is for one vector a volume", where=where, fix="leave it out")
        raise CardError('volume = true and aggregation ("mean" or "max") go together', where=where)
    return source


def sources() -> dict[str, type[TaskSource]]:
    """Reader name -> schema and reader of each kind of source."""
    return members("bench.data.sources", "SOURCE")


def load_task(
    task: Task, *, folder: Path | None = None, accept_checksum: bool = False, seen: store.Seen = lambda images: None
) -> TaskData:
    """The task's splits as memory maps of its prepared copy, which is made on the first call.

    folder: where relative paths of the card start; default: the working folder. accept_checksum: go on with a file
    whose checksum is not the card's; the result then says `checksum_override`.
    seen: called while the copy is made, with the images that are written.
    Raises CardError for a wrong `[source]`, DataError when files are missing or are not what the card says, RunError
    when the prepared copy cannot be written.
    """
    source, folder = read_source(task), Path(folder or ".")
    identity, key = store_key(task, folder=folder, accept_checksum=accept_checksum)
    entry = store.open_entry(key)
    entry = entry or store.prepare(key, task, lambda remarks: source.stream(task, folder, remarks), seen)
    return TaskData.of(
        task,
        entry.splits,
        entry.sha256,
        checksum_override=identity.override,
        findings=entry.findings,
        store=key,
        known=entry.digests,
    )


def store_key(task: Task, *, folder: Path | None = None, accept_checksum: bool = False) -> tuple[SourceDigest, str]:
    """Identity of a task's input, and the name of its prepared copy, which need not be there. Raises as `load_task`."""
    source = read_source(task)
    identity = source.identity(task, Path(folder or "."), accept_checksum=accept_checksum)
    return identity, store.key_of(task, source, identity.digest)
