"""The allocator's setting lasts as long as the block, and is harmless without glibc."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

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


@pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")
def test_one_inside_another_gives_nothing_back(monkeypatch: pytest.MonkeyPatch):
    trimmed, real = [], allocator._glibc()
    spy = SimpleNamespace(mallopt=real.mallopt, malloc_trim=lambda pad: trimmed.append(pad) or real.malloc_trim(pad))
    monkeypatch.setattr(allocator, "_glibc", lambda: spy)
    for before in range(2):
        monkeypatch.setattr(allocator, "held", iter((0, 65 << 20)).__next__)
        with freed_memory_kept():
            with freed_memory_kept():
                pass
            assert len(trimmed) == before
    assert len(trimmed) == 2
    monkeypatch.setattr(allocator, "held", iter((1 << 30, 1 << 30)).__next__)
    with freed_memory_kept():
        pass
    assert len(trimmed) == 2, "what a small piece of work freed is taken again by the next"


def test_nothing_happens_without_glibc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with freed_memory_kept():
        assert np.ones(4).sum() == 4
