"""The memory that a dry run forecasts beside what the records of the run say, on sets of noise of several shapes.

    python -m benchmarks.forecast [--threads N] [shape ...]

Forecast and run are processes of their own, each with its part of the data still to be prepared. Labels are seen in the
images, under noise. Prints a line for each shape.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import bench
from bench.runs.estimate import estimate
from bench.runs.options import RunSpec
from bench.runs.run import run_plan, session
from benchmarks.noise_sets import write_noise

SIDE = 8


class Shape(NamedTuple):
    """Images of a set, its target and classes, and the features of its encoder."""

    counts: tuple[int, int, int]
    target: str
    classes: int
    features: int


SHAPES = {
    "tissue-384": Shape((165466, 23640, 47280), "multi-class", 8, 384),
    "tissue-768": Shape((165466, 23640, 47280), "multi-class", 8, 768),
    "chest-384": Shape((78468, 11219, 22433), "multi-label", 14, 384),
    "blood-768": Shape((11959, 1712, 3421), "multi-class", 8, 768),
    "blood-192": Shape((11959, 1712, 3421), "multi-class", 8, 192),
    "many-test": Shape((2000, 300, 60000), "multi-class", 8, 384),
    "many-train": Shape((60000, 300, 500), "multi-class", 8, 384),
    "many-validation": Shape((2000, 20000, 500), "multi-class", 8, 384),
    "small": Shape((546, 78, 156), "binary", 2, 384),
}


class Random(torch.nn.Module):
    """Random features of all pixels."""

    def __init__(self, features: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Linear(3 * SIDE**2, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.first(x.flatten(1)))


def write_set(name: str, shape: Shape, folder: Path) -> None:
    """Images whose brightness is a sum of patterns, one for each class, and noise."""
    rng, k = np.random.default_rng(0), shape.classes
    patterns, arrays = rng.normal(0, 12, (k, SIDE, SIDE)), {}
    for split, n in zip(("train", "val", "test"), shape.counts, strict=True):
        shown = rng.random((n, k)) < 0.2 if shape.target == "multi-label" else np.eye(k)[rng.integers(0, k, n)]
        images = 128 + np.tensordot(shown, patterns, 1) + rng.normal(0, 30, (n, SIDE, SIDE))
        arrays[f"{split}_images"] = images.clip(0, 255).astype(np.uint8)
        arrays[f"{split}_labels"] = shown.astype(np.uint8) if shape.target == "multi-label" else shown.argmax(1)
    write_noise(folder, name, shape.target, k, arrays)


def megabytes(part: str, shape: Shape, folder: Path, threads: int) -> float:
    """Of the forecast, or of the run."""
    spec = RunSpec.of("raw-pixels", None, str(folder), out=f"{folder}/runs", threads=threads, device="cpu", cache=False)
    torch.set_num_threads(threads)
    half = (0.5,) * 3
    encoder = bench.wrap(Random(shape.features), name="random-features", size=SIDE, mean=half, std=half)
    plan = session(spec)[1]
    if part == "forecast":
        return estimate(encoder, plan).memory_bytes / 2**20
    records = run_plan(encoder, plan, spec, lambda message, record: None)
    assert all(record.status == "done" for record in records)
    return max(record.cost.peak_memory_mb for record in records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", choices=[[], *SHAPES], metavar="shape")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(megabytes(asked.part[0], SHAPES[asked.shapes[0]], Path(asked.part[1]), asked.threads))
        return
    for name in asked.shapes or SHAPES:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            write_set(name, SHAPES[name], Path(folder))
            os.environ["MEDSSL_HOME"] = f"{folder}/home"
            command = [sys.executable, "-m", "benchmarks.forecast", name, "--threads", str(asked.threads), "--part"]
            forecast, measured = (
                float(subprocess.check_output([*command, part, folder]).split()[-1]) for part in ("forecast", "run")
            )
        off, seconds = forecast / measured - 1, time.perf_counter() - started
        print(
            f"{name:<16}{forecast:8.0f} MB forecast {measured:8.0f} MB measured {off:+6.0%}  {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
