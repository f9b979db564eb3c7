"""A run whose features lie on a device, pretended in the memory of the CPU: same scores, told how much lay where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.features.resident import CPU, Resident
from bench.protocols.linear import Linear
from bench.runs.options import RunSpec
from bench.runs.records import Record
from bench.runs.run import run
from bench.runs.timing import timing


@pytest.fixture
def runs(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int | None], list[Record]]:
    def made(name: str, free: int | None) -> list[Record]:
        if free is not None:
            monkeypatch.setattr(Resident, "of", classmethod(lambda cls, device: cls(CPU, free=lambda: free)))
        where = {"suite": None, "tasks": str(squares), "only": ("which",), "out": str(tmp_path / name), "threads": 1}
        return run(RunSpec.of("raw-pixels", **where, cache=False))

    return made


def scores(records: list[Record]) -> list[float]:
    return [r.primary.value for r in records if r.primary]


@pytest.mark.parametrize(("free", "lay"), [(1 << 40, "device"), (0, "host")])
def test_scores_are_the_same_wherever_features_lie(runs, free: int, lay: str) -> None:
    plain, there = runs("plain", None), runs("there", free)
    np.testing.assert_allclose(scores(there), scores(plain), atol=1e-6)
    done = [r.cost.features_mb for r in there if r.status == "done"]
    assert all(mb[lay] > 0 and mb["host" if lay == "device" else "device"] == 0 for mb in done)
    assert ("GPU" in str(timing(there, 1.0)), "GPU" in str(timing(plain, 1.0))) == (True, False)
    assert "features_mb" not in plain[0].to_json()


def test_a_unit_that_runs_out_of_memory_is_tried_with_nothing_there(runs, monkeypatch: pytest.MonkeyPatch) -> None:
    known, tried = Linear._predict, []

    def greedy(self, problem, some):
        tried.append(some)
        if len(tried) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return known(self, problem, some)

    plain = runs("plain", None)
    monkeypatch.setattr(Linear, "_predict", greedy)
    there = runs("there", 1 << 40)
    assert [r.status for r in there] == [r.status for r in plain]
    assert [r.unit for r in there] == [r.unit for r in plain]
    lay = [r.cost.features_mb["device"] > 0 for r in there if r.unit.protocol == "linear-v2" and r.cost.features_mb]
    assert (lay.count(True), lay.count(False) > 0) == (2, True)
