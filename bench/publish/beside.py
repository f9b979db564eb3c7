"""Work done in a second process while this one goes on with other work."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

Result = TypeVar("Result")


@contextmanager
def beside(work: Callable[[], Result], jobs: int) -> Iterator[Callable[[], Result]]:
    """Start `work`; what is given waits for it and gives its result. The work is over when the context is left.

    The second process sees everything as it is now and shares the memory of this one; nothing it changes is seen here.
    With one job, and where a process cannot be forked safely, `work` is done when its result is asked for. So it is
    where the second process fails: its error is raised here, as it would be without.
    """
    if jobs < 2 or sys.platform != "linux":
        yield work
        return
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(work, there), daemon=True)
    process.start()
    there.close()

    def result() -> Result:
        try:
            return here.recv()
        except (EOFError, OSError):  # it ended before, or while, it sent
            return work()

    try:
        yield result
    finally:
        process.terminate()
        process.join()


def _send(work: Callable[[], object], there: Connection) -> None:
    """Send what `work` gives; nothing where it fails, which the other end sees."""
    try:
        there.send(work())
    except BaseException:
        sys.exit(1)
