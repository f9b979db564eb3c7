"""Made-up features and a stopwatch, shared by the solver benchmarks."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


def mixture(n: int, d: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Float64 rows (n, d) with a decaying spectrum, z-scored, and a class that is linear in them but for noise."""
    rng = np.random.default_rng(seed)
    spectrum = (1 + np.arange(d)) ** -0.7
    z = rng.normal(size=(n, d)) * spectrum
    y = (z @ np.random.default_rng(99).normal(size=(d, k)) * 3 + rng.gumbel(size=(n, k))).argmax(1)
    x = z @ np.linalg.qr(np.random.default_rng(98).normal(size=(d, d)))[0]
    return (x - x.mean(0)) / x.std(0), y


def unit(x: np.ndarray) -> np.ndarray:
    """Float32 rows of length one."""
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def timed(run: Callable[[], Result], args: argparse.Namespace) -> tuple[float, Result]:
    """Median seconds of `args.repeats` runs and the last result; processor seconds with `args.cpu`."""
    clock = time.process_time if args.cpu else time.perf_counter
    seconds = []
    for _ in range(args.repeats):
        started = clock()
        result = run()
        seconds.append(clock() - started)
    return statistics.median(seconds), result


def table(title: str, head: str, rows: list[list[str]]) -> None:
    """Print a Markdown table; `head` holds its column names, separated by "|"."""
    print(f"\n{title}\n\n| {head} |\n|{'---|' * (head.count('|') + 1)}")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows), flush=True)
