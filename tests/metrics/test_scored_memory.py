"""What statistics are expected to take, beside what they take in a process of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCORED = """
import sys
import numpy as np
from bench.data.dataset import Split
from bench.data.task import Task
from bench.memory import PeakMemory
from bench.metrics.resample import draw_bytes, resample_counts
from bench.metrics.scored import memory_bytes, score

target, cases, classes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
task = Task(schema=1, name="stand-in", title="stand-in", modality="histology", target=target, licence="CC0-1.0",
            classes=[f"class {i}" for i in range(classes)], corpus="none", source={"reader": "csv"})

def some(n):
    ids = np.array([f"test/{i}" for i in range(n)])
    if target == "mask":
        masks = np.kron(rng.integers(0, classes, (n, 16, 16)), np.ones((1, 8, 8))).astype(np.uint8)
        return Split(np.zeros((n, 1, 1, 1), np.uint8), masks, ids), np.roll(masks, 3, axis=2)
    output = rng.random((n, classes)).astype(np.float32)
    labels = (output > 0.9).astype(np.uint8) if target == "multi-label" else output.argmax(axis=1)
    strata = {"site": np.where(np.arange(n) % 5 > 0, "a", "b")} if classes == 4 else {}
    return Split(np.zeros((n, 1, 1, 1), np.uint8), labels, ids, strata=strata), np.roll(output, 1, axis=0)

def scored(split, output):
    score(task, output, split, resamples=resample_counts("stand-in", "test", split.ids), temperature=1.3)

scored(*some(50))
given, peak = some(cases), PeakMemory()
before = peak.look()
with peak.watched(every=0.002):
    scored(*given)
print((peak.look() - before) * 2**20, memory_bytes(task, given[0], cases) + draw_bytes(cases))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells pages of files apart")
@pytest.mark.parametrize(
    ("target", "cases", "classes"),
    [("multi-class", 20_000, 8), ("multi-class", 20_000, 4), ("multi-label", 15_000, 10), ("mask", 600, 2)],
)
def test_statistics_take_what_is_expected(target: str, cases: int, classes: int) -> None:
    command = [sys.executable, "-c", SCORED, target, str(cases), str(classes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    measured, expected = map(float, done.stdout.split())
    assert measured / 1.2 < expected < 1.3 * measured
