"""The allocator's setting lasts as long as the block, and is harmless without glibc."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from bench import allocator
from bench.allocator import freed_memory_kept

MB = 1 << 20


def resident() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")
def test_memory_is_kept_inside_and_given_back_after():
    before = resident()
    with freed_memory_kept():
        np.ones(256 * MB, np.uint8)
        assert resident() - before > 200 * MB
    assert resident() - before < 64 * MB
    np.ones(256 * MB, np.uint8)
    assert resident() - before < 64 * MB


def test_nothing_happens_without_glibc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with freed_memory_kept():
        assert np.ones(4).sum() == 4
