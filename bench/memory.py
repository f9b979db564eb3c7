"""Memory that a process needs: what it holds itself, without the files it has mapped. All that reads /proc is here."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 0.05
"""Seconds between two looks: a peak that is over sooner may be missed."""
PROC = Path("/proc/self")


class PeakMemory:
    """The most memory, in MiB, that this process held at any of the looks so far (`held`)."""

    def __init__(self) -> None:
        self._most = 0

    def look(self) -> float:
        """The peak, with what is held now."""
        self._most = max(self._most, held())
        return self._most / (1 << 20)

    @contextmanager
    def watched(self, every: float = EVERY) -> Iterator[None]:
        """Inside, a thread looks again and again. every: seconds between two looks."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(every):
                self.look()

        thread = threading.Thread(target=watch, name="peak-memory", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def held() -> int:
    """Bytes of this process: resident less shared pages, which are those of files (proc(5)).

    Pages of mapped files (prepared images, features of volumes, libraries) do not count: the system takes them back
    when memory is short. Where it does not tell them apart (not Linux), the highest resident size since the start.
    """
    try:
        _, resident, shared, *_ = (PROC / "statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)


def highest_from_now() -> int | None:
    """`held` now; `highest` starts again from here. None where the system does not tell (not Linux).

    Memory that was freed and that the process keeps counts as held: `allocator.freed_memory_returned` first.
    """
    try:
        (PROC / "clear_refs").write_text("5")
    except OSError:
        return None
    return held()


def highest() -> int | None:
    """The most bytes held at any moment since `highest_from_now`; None as there.

    Less than that by pages of files that are mapped now and were not at the peak: do twice what is to be measured.
    """
    most, files, shared = map(status, ("VmHWM", "RssFile", "RssShmem"))
    return None if most is None or files is None or shared is None else most - files - shared


def status(key: str) -> int | None:
    """Bytes of one line of /proc/self/status; None where there is no such."""
    try:
        line = next(line for line in (PROC / "status").read_text().splitlines() if line.startswith(f"{key}:"))
        return int(line.split()[1]) << 10
    except (OSError, StopIteration, ValueError):
        return None
