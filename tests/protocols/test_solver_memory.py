"""What units are expected to take beside their features, beside what they take in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

UNITS = """
import json, sys
import numpy as np
from bench.allocator import freed_memory_returned
from bench.data.budgets import subsets
from bench.data.task import Task
from bench.discover import members
from bench.encoders.features import Features
from bench.memory import highest, highest_from_now
from bench.protocols.base import Labelled, Problem, UnitSizes, Unlabelled

rng, protocols = np.random.default_rng(0), members("bench.protocols", "PROTOCOL")

def split(task, n, width, side):
    images, k = np.zeros((n, 1, 1, 3), np.uint8), len(task.classes)
    if task.target == "mask":
        masks = np.kron(rng.integers(0, k, (n, 8, 8)), np.ones((1, 16, 16))).astype(np.uint8)
        return Labelled(Features(None, rng.standard_normal((n, side, side, width), np.float32)), masks, None, images)
    labels, vectors = np.arange(n) % k, rng.standard_normal((n, width), np.float32)
    vectors[:, :k] += np.eye(k, dtype=np.float32)[labels]
    return Labelled(Features(vectors, None), labels, None, images)

def measured(name, target, budget, classes, train, val, test, width, side):
    task = Task(schema=1, name="stand-in", title="stand-in", modality="histology", target=target, licence="CC0-1.0",
                classes=[f"class {i}" for i in range(classes)], corpus="none", source={"reader": "csv"})
    known, held, asked = (split(task, n, width, side) for n in (train, val, test))
    shown = {"test": Unlabelled(asked.features, asked.images)}
    problem = Problem(task, known, held, shown, known.labels.shape[1:] if target == "mask" else None)
    (subset,) = subsets(task, known.labels, None, budget, [0])
    peaks = []
    for _ in range(2):  # what the allocator cannot use again differs from time to time, by up to a quarter
        freed_memory_returned()
        before = highest_from_now()
        list(protocols[name].predict(problem, [subset]))
        peaks.append(highest() - before)
    sizes = UnitSizes(task, len(subset.rows), val if subset.full else 0, (test,), 3, side**2, width)
    return min(peaks), protocols[name].memory_bytes(sizes)

def of_line(line):
    name, target, budget, *numbers = line.split()
    return measured(name, target, budget, *map(int, numbers))

lines = sys.argv[1:]
for line in lines[:1]:
    of_line(line)  # what is loaded once
print(json.dumps([of_line(line) for line in lines]))
"""


LINES = [  # protocol, target, budget; classes, images of train, val and test, features, side of a grid
    "few-shot-v1 multi-class k=8 8 3000 300 60000 384 1",
    "linear-v2 binary 100% 2 1000 150 60000 384 1",
    "linear-v2 binary 100% 2 60000 150 500 192 1",
    "linear-v2 multi-class 100% 8 30000 2000 500 96 1",
    "linear-v2 multi-class 25% 8 40000 2000 500 96 1",
    "knn-v1 multi-class 100% 8 20000 300 2000 384 1",
    "knn-v1 multi-class 1% 8 20000 300 40000 384 1",
    "dense-linear-v2 mask 100% 2 60 60 20 384 14",
    "dense-retrieval-v2 mask n=16 2 100 20 300 384 14",
]


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[float, float]]:
    """What each of the lines took, and what was expected: in one process that does nothing else."""
    command = [sys.executable, "-c", UNITS, *LINES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return dict(zip(LINES, json.loads(done.stdout), strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells pages of files apart")
@pytest.mark.parametrize("line", LINES)
def test_units_take_what_is_expected(line: str, found: dict[str, tuple[float, float]]) -> None:
    measured, expected = found[line]
    assert measured / 1.3 < expected < 1.3 * measured
