"""The AUROC bootstrap beside a loop over scikit-learn: time ratio and largest difference, in one run.

    python benchmarks/bootstrap.py [--cases 5000] [--classes 10] [--replicates 2000] [--loop 20]

The loop is timed on `--loop` replicates and scaled up; the two are compared on those.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from bench.metrics.ranking import auroc
from bench.metrics.resample import resample_counts


def timed(work: Callable[[], np.ndarray], times: int = 3) -> tuple[float, np.ndarray]:
    """Median seconds of `times` calls, and the result."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("cases", 5000), ("classes", 10), ("replicates", 2000), ("loop", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, a.classes, a.cases)
    scores = rng.random((a.cases, a.classes)).astype(np.float32)
    scores[np.arange(a.cases), labels] += 0.3
    positive = labels[:, None] == np.arange(a.classes)
    counts = resample_counts("benchmark", "test", np.arange(a.cases).astype(str), replicates=a.replicates)

    def loop() -> np.ndarray:
        rows = [np.repeat(np.arange(a.cases), w) for w in counts[: a.loop]]
        return np.array([[roc_auc_score(positive[r, c], scores[r, c]) for c in range(a.classes)] for r in rows])

    ours, found = timed(lambda: auroc(positive, scores, counts))
    theirs, expected = timed(loop, times=1)
    theirs *= a.replicates / a.loop
    print(f"{a.replicates} replicates x {a.cases} cases x {a.classes} classes")
    print(f"scikit-learn loop   {theirs:8.2f} s (from {a.loop} replicates)")
    print(f"sorted counts       {ours:8.3f} s (median of 3)   {theirs / ours:.0f} x faster")
    print(f"largest difference  {np.abs(found[: a.loop] - expected).max():.1e}")


if __name__ == "__main__":
    main()
