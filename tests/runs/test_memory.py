"""Peak memory: what is held counts, also when it is gone again; pages of mapped files do not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench.runs import memory
from bench.runs.memory import PeakMemory
from bench.runs.options import RunSpec
from bench.runs.run import run

MB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells pages of files apart")


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


def test_a_system_that_does_not_tell_gives_the_resident_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATM", tmp_path / "none")
    assert 20 < PeakMemory().look() < 1e6


@linux
def test_a_record_tells_the_memory_of_its_task_alone(squares: Path, tmp_path: Path) -> None:
    held = np.ones(300 * MB, np.uint8)  # of something before, gone when the run begins
    del held
    now = PeakMemory().look()
    records = run(RunSpec.of("raw-pixels", None, str(squares), out=str(tmp_path), threads=1, cache=False))
    assert all(now - 100 < record.cost.peak_memory_mb < now + 250 for record in records)
