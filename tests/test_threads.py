"""Short steps use one thread of torch, whatever the setting: each would wait for all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bench.metrics import products, ranking
from bench.metrics.products import weighted_sums
from bench.metrics.ranking import auroc
from bench.protocols import _logistic
from bench.threads import SPINS


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("where", [products, ranking])
def test_sums_and_rankings_are_made_on_one_thread(where: object, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, honest = [], products.by_case
    monkeypatch.setattr(where, "by_case", lambda weights: seen.append(torch.get_num_threads()) or honest(weights))
    weights, values = np.ones((3, 40), np.uint8), np.arange(40.0)[:, None]
    weighted_sums(weights, values)
    auroc(values > 20, values, weights)
    assert seen == [1]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("said", "spins"), [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "")]
)
def test_waiting_threads_give_their_cores_up_unless_the_user_says_otherwise(said: dict[str, str], spins: str) -> None:
    """Set before torch is loaded: its OpenMP reads it once."""
    code = """
import os, sys
from bench.cli import main
try:
    main(["--version"])
except SystemExit:
    print(os.environ.get("GOMP_SPINCOUNT", ""), "torch" in sys.modules)
"""
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    out = subprocess.run([sys.executable, "-c", code], env=kept | said, capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == f"{spins} False"


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("n", "threads"), [(40, 1), (30_000, 2)])
def test_small_probes_are_solved_on_one_thread(n: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, honest = [], _logistic.minimise
    monkeypatch.setattr(
        _logistic, "minimise", lambda *given, **how: seen.append(torch.get_num_threads()) or honest(*given, **how)
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 40)), np.eye(3)[rng.integers(0, 3, n)]
    _logistic.Design(x, y).fit([1.0] * 60, max_iterations=2)
    assert set(seen) == {threads}
    assert torch.get_num_threads() == 2
