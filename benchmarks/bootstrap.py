"""The AUROC bootstrap beside a loop over scikit-learn; a part of `benchmarks/solvers.py`."""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.metrics import roc_auc_score
from solver_data import table, timed

from bench.metrics.ranking import auroc
from bench.metrics.resample import resample_counts

REPLICATES, CASES, CLASSES = 2000, 5000, 10
LOOP = 20
"""Replicates on which the loop is timed; its time is scaled up."""


def compare(args: argparse.Namespace) -> None:
    """Seconds of every replicate of every class, and the largest difference."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, CASES)
    scores = rng.random((CASES, CLASSES)).astype(np.float32)
    scores[np.arange(CASES), labels] += 0.3
    positive = labels[:, None] == np.arange(CLASSES)
    counts = resample_counts("benchmark", "test", np.arange(CASES).astype(str), replicates=REPLICATES)

    def loop() -> np.ndarray:
        rows = [np.repeat(np.arange(CASES), w) for w in counts[:LOOP]]
        return np.array([[roc_auc_score(positive[r, c], scores[r, c]) for c in range(CLASSES)] for r in rows])

    mine, found = timed(lambda: auroc(positive, scores, counts), args)
    theirs, expected = timed(loop, argparse.Namespace(**vars(args) | {"repeats": 1}))
    theirs *= REPLICATES / LOOP
    table(
        f"AUROC bootstrap, {REPLICATES} replicates x {CASES} cases x {CLASSES} classes",
        "method | seconds | ratio | largest difference",
        [
            ["ours", f"{mine:.2f}", "1", ""],
            [f"scikit-learn loop (from {LOOP} replicates)", f"{theirs:.0f}", f"{theirs / mine:.0f}",
             f"{np.abs(found[:LOOP] - expected).max():.0e}"],
        ],
    )  # fmt: skip
