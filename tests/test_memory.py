"""Peak memory: what is held counts, also when it is gone again; pages of mapped files do not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench import memory
from bench.allocator import freed_memory_kept, freed_memory_returned
from bench.memory import PeakMemory

MB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells pages of files apart")


@pytest.fixture(autouse=True)
def nothing_freed_is_left() -> None:
    """What tests before have freed and the process kept would be used again, unseen."""
    freed_memory_returned()


@linux
def test_pages_of_files_do_not_count_and_arrays_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(200 * MB))
    before = PeakMemory().look()
    mapped = np.memmap(tmp_path / "file", np.uint8, "r")
    assert mapped.sum() == 0
    assert PeakMemory().look() - before < 50
    held = np.ones(200 * MB, np.uint8)
    assert 150 < PeakMemory().look() - before < 250
    assert held[0] == 1


@linux
def test_what_is_gone_when_it_is_asked_was_seen() -> None:
    peak = PeakMemory()
    before = peak.look()
    with peak.watched():
        held = np.ones(200 * MB, np.uint8)
        time.sleep(10 * memory.EVERY)
        del held
    assert 150 < peak.look() - before < 250


@linux
def test_the_system_sees_a_peak_that_is_over_at_once_and_starts_again() -> None:
    with freed_memory_kept():  # so that each peak would hide in what the one before has left
        for megabytes in (300, 200, 100):
            freed_memory_returned()
            before = memory.highest_from_now()
            if before is None:
                pytest.skip("this system does not let a process reset its highest memory")
            np.ones(megabytes * MB, np.uint8)
            assert megabytes - 30 < (memory.highest() - before) / MB < megabytes + 30


def test_a_system_that_does_not_tell_gives_the_resident_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "PROC", tmp_path / "none")
    assert 20 < PeakMemory().look() < 1e6
