"""Peak memory of a run's records."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bench.allocator import freed_memory_returned
from bench.memory import PeakMemory
from bench.runs.options import RunSpec
from bench.runs.run import run

MB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells pages of files apart")
def test_a_record_tells_the_memory_of_its_task_alone(squares: Path, tmp_path: Path) -> None:
    held = np.ones(300 * MB, np.uint8)  # of something before, gone when the run begins
    del held
    freed_memory_returned()  # the run gives it back too
    now = PeakMemory().look()
    records = run(RunSpec.of("raw-pixels", None, str(squares), out=str(tmp_path), threads=1, cache=False))
    assert all(now - 100 < record.cost.peak_memory_mb < now + 250 for record in records)
