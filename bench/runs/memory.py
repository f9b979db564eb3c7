"""Memory that a process needs: what it holds itself, without the files it has mapped."""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 0.05
"""Seconds between two looks: a peak that is over sooner may be missed."""
STATM = Path("/proc/self/statm")


class PeakMemory:
    """The most memory, in MiB, that this process held at any of the looks so far.

    Pages of mapped files (prepared images, features of volumes, libraries) do not count: the system takes them back
    when memory is short. Where it does not tell them apart (not Linux), the highest resident size since the start.
    """

    def __init__(self) -> None:
        self._most = 0.0

    def look(self) -> float:
        """The peak, with what is held now."""
        self._most = max(self._most, _held())
        return self._most

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, a thread looks again and again."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(EVERY):
                self.look()

        thread = threading.Thread(target=watch, name="peak-memory", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _held() -> float:
    """MiB of this process: resident less shared pages, which are those of files (proc(5))."""
    try:
        _, resident, shared, *_ = STATM.read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
