"""How large a compact submission of `core-v1` is: `python benchmarks/compact.py` prints a table.

Nothing of the official data is needed: the arrays have its shapes (test images and classes of each task as published)
and random contents, which are harder to compress than real ones.
"""

from __future__ import annotations

import numpy as np

from bench.data.task import Task
from bench.metrics.cases import log_odds
from bench.metrics.resample import REPLICATES
from bench.recipes import feeds_board, feeds_full_board
from bench.runs.plan import make_plan
from bench.runs.predictions import predictions_bytes
from bench.submissions.cases import LARGE, SHOWN
from bench.submissions.condensed import DRAWN, REPLICATES_BYTES

RECORD = 303
"""Bytes of a packed record: 179,106 for the 592 of tiny-vit-simclr on open-v1."""
TESTS = {
    "pathmnist": 7180, "chestmnist": 22433, "dermamnist": 2005, "octmnist": 1000, "pneumoniamnist": 624,
    "retinamnist": 400, "breastmnist": 156, "bloodmnist": 3421, "tissuemnist": 47280, "organamnist": 17778,
    "organcmnist": 8216, "organsmnist": 8827, "nodulemnist3d": 310, "fracturemnist3d": 240, "vesselmnist3d": 382,
    "synapsemnist3d": 352,
}  # fmt: skip
"""Test images, MedMNIST v2 (Yang et al. 2023), table 1."""
DENSE = 300
"""Test images of a dense task where the layout's count is not known here."""


def main() -> None:
    """Print the bytes of each kind."""
    plan, rng = make_plan("core-v1"), np.random.default_rng(0)
    units = [unit for task in plan.tasks.values() for unit in plan.units(task)]
    found = {"records": RECORD * len(units), "cases and predictions": 0, "condensed": 0}
    for name, task in plan.tasks.items():
        n = TESTS.get(name.partition("-")[0], DENSE)
        mine = plan.units(task)
        full = [u for u in mine if feeds_full_board(u.protocol, u.budget)]
        low = [u for u in mine if feeds_board(u.protocol, u.budget) and u not in full]
        found["cases and predictions"] += len(full) * _full(task, n, rng)
        found["condensed"] += len(low) * _low(task, n, rng)
    print(f"core-v1, {len(units):,} units\n")
    print("| what | MB |\n|---|---|")
    for what, size in {**found, "all": sum(found.values())}.items():
        print(f"| {what} | {size / 1e6:.2f} |")


def _full(task: Task, n: int, rng: np.random.Generator) -> int:
    k = len(task.classes)
    if task.kind == "dense":
        cases = {"areas": rng.integers(0, 60_000, (n, k - 1, 3), np.uint16), "surfaces": rng.random((n, k - 1, 2))}
        lesions = rng.integers(0, 3, (n, k - 1, 4, 3), np.uint8)
        return len(predictions_bytes({**cases, "lesions": lesions})) + SHOWN * 400
    odds = rng.normal(0, 3, (n, k))
    output = (np.exp(odds) / np.exp(odds).sum(1, keepdims=True)).astype(np.float32)
    return len(predictions_bytes({"test": log_odds(task, output) if output.nbytes > LARGE else output}))


def _low(task: Task, n: int, rng: np.random.Generator) -> int:
    k = len(task.classes)
    if task.kind == "dense":
        return len(predictions_bytes({"a": rng.integers(0, 60_000, (n, k, k - 1), np.uint16)}))
    ranks = rng.integers(0, n, (n, 1 if k == 2 else k)).astype(np.min_scalar_type(n))
    if ranks.nbytes > REPLICATES_BYTES:
        return len(predictions_bytes({"a": rng.normal(0, 0.01, REPLICATES).astype(DRAWN)}))
    return len(predictions_bytes({"a": ranks}))


if __name__ == "__main__":
    main()
