"""What the bootstrap of one unit costs on one core, at the shape of TissueMNIST's test split.

    OMP_NUM_THREADS=1 python benchmarks/unit_statistics.py [--device cpu] [--cases 47280] [--classes 8] [--replicates N]

Prints the seconds of the draws, which are made once a task, and of the metrics of one unit by name: wall time, and
that of the processor, which other programs on the machine change less. Scores are random, since cost does not depend
on what is in them. Metrics that share a computation are charged to the first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.special import softmax

from bench.allocator import freed_memory_kept
from bench.data.task import Task
from bench.metrics.base import Comparison
from bench.metrics.resample import resample_counts, with_point
from bench.metrics.set import metrics_of

TEMPERATURE = 1.3


@contextmanager
def timed(name: str, say: Callable[[str], None] = print) -> Iterator[None]:
    """Print wall and processor seconds of what is inside."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    say(f"{name:<24}{wall:8.2f} s wall {processor:8.2f} s processor")


def unit(cases: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and probabilities float32 (n, k) of a probe that is right about half of the time."""
    rng = np.random.default_rng(0)
    labels = rng.choice(classes, cases, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    logits = rng.normal(size=(cases, classes)).astype(np.float32)
    logits[np.arange(cases), labels] += 1.5
    return labels, softmax(logits, axis=1)


def stand_in(classes: int) -> Task:
    """A task of so many classes, of which no images are needed."""
    card = {"schema": 1, "name": "stand-in", "title": "stand-in", "modality": "histology", "target": "multi-class"}
    names = [f"class {i}" for i in range(classes)]
    return Task(**card, classes=names, licence="CC0-1.0", corpus="none", source={"reader": "csv"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=47280)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    labels, output = unit(asked.cases, asked.classes)
    task = stand_in(asked.classes)
    ids = np.arange(asked.cases).astype(str)
    with timed("draws, once a task"):
        counts = resample_counts(task.name, "test", ids, replicates=asked.replicates)
    if asked.device != "cpu":
        counts = torch.from_numpy(counts.T).to(asked.device).T
    metrics = metrics_of("multi-class")
    with timed("one unit"), freed_memory_kept():
        weights = with_point(counts, asked.cases)
        given = Comparison(task, output, labels, weights, 2, frozenset(m.name for m in metrics), TEMPERATURE)
        for metric in metrics:
            with timed(f"  {metric.name}"):
                metric.value(given)


if __name__ == "__main__":
    main()
