"""The allocator's setting lasts as long as the block, and is harmless without glibc."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bench import allocator
from bench.allocator import freed_memory_kept

GROWN = """
import numpy as np, psutil
from bench.allocator import freed_memory_kept

def grown():
    return (psutil.Process().memory_info().rss - before) >> 20

before = psutil.Process().memory_info().rss
with freed_memory_kept():
    np.ones(256 << 20, np.uint8)
    print(grown())
print(grown())
np.ones(256 << 20, np.uint8)
print(grown())
"""
"""In a process of its own: one that has run for long may have as much freed memory at hand already."""


@pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")
def test_memory_is_kept_inside_and_given_back_after():
    done = subprocess.run([sys.executable, "-c", GROWN], capture_output=True, text=True, check=True, timeout=120)
    inside, after, later = map(int, done.stdout.split())
    assert inside > 200
    assert after < 64
    assert later < 64


def test_nothing_happens_without_glibc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with freed_memory_kept():
        assert np.ones(4).sum() == 4
