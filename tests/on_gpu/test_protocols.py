"""Every protocol solved on a GPU gives what it gives on a CPU: subsets side by side, features there or spilled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.budget import FULL, Budget
from bench.data.budgets import subsets
from bench.features.resident import Resident
from bench.laws.problems import make_problem
from bench.laws.protocols import fitting, usual_budget
from bench.protocols.base import Prediction, Problem, Protocol
from tests.protocols.test_laws import PROTOCOLS, SMALL

GPU = torch.device("cuda")
TRAINED = {name for name in SMALL if not name.startswith("robustness")}
"""Learnt step by step from random draws, which on a GPU are others."""
SHOTS = {name for name, protocol in PROTOCOLS.items() if usual_budget(protocol, FULL) == "k=4"}
CASES = [
    (name, target)
    for name, protocol in PROTOCOLS.items()
    for target in protocol.targets
    if (target == "mask") == (protocol.kind == "dense") and not (name in SHOTS and target == "multi-label")
]


def problem_for(protocol: Protocol, target: str) -> tuple[Problem, list]:
    """A small problem, and subsets of different sizes."""
    problem = fitting(protocol, make_problem, target)
    budgets = dict.fromkeys(usual_budget(protocol, share) for share in (Budget("25%"), FULL))
    labels = problem.train.labels
    return problem, [s for budget in budgets for s in subsets(problem.task, labels, None, budget, [0, 1])]


def on_gpu(protocol: Protocol, problem: Problem, parts: list, resident: Resident) -> list[Prediction]:
    problem.encoder.to("cuda")
    return list(protocol.predict(replace(problem, resident=resident, together=True), parts))


def assert_same(found: list[Prediction], expected: list[Prediction]) -> None:
    assert len(found) == len(expected)
    for there, here in zip(found, expected, strict=True):
        assert there.subset == here.subset
        assert there.warnings == here.warnings
        assert there.chosen.keys() == here.chosen.keys()
        for name, value in here.chosen.items():
            assert there.chosen[name] == pytest.approx(value, rel=1e-4), name
        for name, output in here.outputs.items():
            if output.dtype == np.uint8:
                assert (there.outputs[name] != output).mean() < 1e-3
            else:
                np.testing.assert_allclose(there.outputs[name], output, atol=1e-4)


@pytest.mark.parametrize(("name", "target"), CASES)
def test_predictions_are_those_of_a_cpu(name: str, target: str) -> None:
    protocol = PROTOCOLS[name]
    problem, parts = problem_for(protocol, target)
    expected = list(protocol.predict(problem, parts))
    found = on_gpu(protocol, problem, parts, Resident(GPU))
    if name not in TRAINED:
        assert_same(found, expected)
        return
    for there, here in zip(found, expected, strict=True):
        assert {n: o.shape for n, o in there.outputs.items()} == {n: o.shape for n, o in here.outputs.items()}
        assert all(np.isfinite(output).all() for output in there.outputs.values())


@pytest.mark.parametrize(
    "name", ["linear-v2", "knn-v1", "few-shot-v1", "dense-linear-v2", "dense-retrieval-v2", "ridge-v1"]
)
def test_features_that_find_no_room_there_are_brought_over(name: str) -> None:
    protocol = PROTOCOLS[name]
    target = protocol.targets[-1] if protocol.kind == "dense" else protocol.targets[0]
    problem, parts = problem_for(protocol, target)
    expected = list(protocol.predict(problem, parts))
    full = Resident(GPU, free=lambda: 0)
    assert_same(on_gpu(protocol, problem, parts, full), expected)
    assert full.megabytes["device"] == 0
