"""Keeping freed memory while images are encoded.

A forward pass frees and takes the same large tensors for each batch. glibc hands blocks over 32 MB back to the system
and asks for fresh ones, whose pages are then zeroed one by one: for a convolutional network on 256-pixel images that
is more than half of the time on a CPU. The numbers computed do not depend on it.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from bench.memory import held

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""Options of mallopt(3)."""
NEVER, DEFAULT_MMAP_MAX = 2**31 - 1, 65536
WORTH_GIVING_BACK = 64 << 20
"""Bytes by which the process has grown: below, taking fresh pages for each small piece of work costs more than it."""
_KEEPING: list[Any] = []
"""Whether freed memory is being kept."""
LARGEST_MMAP_THRESHOLD = 32 << 20
"""The values glibc's own adjustment grows towards are this and twice this; any mallopt call ends that adjustment."""


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside, freed memory stays with the process; at the end it is given back, of several at the end of the first.

    Up to `WORTH_GIVING_BACK` stays, for the next that needs it. Nothing happens without glibc.
    """
    libc = None if _KEEPING else _glibc()
    if libc is None:
        yield
        return
    _KEEPING.append(libc)
    before = held()
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        _KEEPING.clear()
        libc.mallopt(MMAP_MAX, DEFAULT_MMAP_MAX)
        libc.mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST_MMAP_THRESHOLD)
        if held() - before > WORTH_GIVING_BACK:
            libc.malloc_trim(0)


def freed_memory_returned() -> None:
    """Give freed memory back to the system now. Nothing happens without glibc."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> Any:
    """The C library, when it is glibc; else None (macOS, Windows, musl)."""
    try:
        libc = ctypes.CDLL(None)
        return libc if hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "malloc_trim") else None
    except (OSError, TypeError):
        return None
