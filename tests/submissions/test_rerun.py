"""A rerun is of the encoder that made the records, or says of how many it is not, and why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Has

import numpy as np
import pytest
import torch

import bench
from bench.identity import Computed, Identity, Measure
from bench.protocols.dense_linear import PROTOCOL as DENSE
from bench.protocols.knn import PROTOCOL as KNN
from bench.submissions.report import VerificationReport
from bench.submissions.rerun import check_identity

PLAN = Has(protocols={"knn-v1": KNN, DENSE.name: DENSE})


def measure(value: float = 0.5, size: int = 32, features: object = "mean") -> Measure:
    network = torch.nn.Conv2d(3, 4, 4, stride=4)
    torch.nn.init.constant_(network.weight, value)
    torch.nn.init.zeros_(network.bias)
    return Measure(bench.wrap(network, name="mine", size=size, features=features))


def made(protocol: str, **changes: str) -> Has:
    computed: Computed = measure().computed("t", PLAN.protocols[protocol].reads_grid)
    return Has(
        unit=Has(task="t", protocol=protocol),
        identity=Identity.model_construct(encoder=computed.model_copy(update=changes)),
    )


def problems(*records: Has, loaded: Measure) -> list[str]:
    report = VerificationReport(Path("mine"))
    check_identity(Has(records=list(records)), loaded, PLAN, report)
    return report.problems


def test_the_same_network_passes_however_it_is_executed_and_older_records_cannot_be_compared() -> None:
    records = made("knn-v1"), made(DENSE.name), made("knn-v1", execution="bf16 compiled"), Has(identity=None)
    assert problems(*records, loaded=measure()) == []


@pytest.mark.parametrize(
    ("loaded", "why"),
    [
        ({"value": 0.6}, "the weights changed"),
        ({"size": 64}, "the preprocessing changed"),
        ({"features": "max"}, "the pooling or the layer changed"),
    ],
)
def test_another_encoder_is_one_problem_for_each_reason(loaded: dict, why: str) -> None:
    found = problems(made("knn-v1"), made("knn-v1"), made(DENSE.name), loaded=measure(**loaded))
    assert found == [f"3 units were made with another encoder than is loaded: {why}"]


def test_a_network_whose_grid_alone_is_another_differs_in_dense_units() -> None:
    def features(square: bool):
        return lambda net, x: (net(x).mean((2, 3)), net(x) ** 2 if square else net(x))

    before, now = measure(features=features(False)), measure(features=features(True))
    records = [
        Has(
            unit=Has(task="t", protocol=p),
            identity=Identity.model_construct(encoder=before.computed("t", PLAN.protocols[p].reads_grid)),
        )
        for p in PLAN.protocols
    ]
    why = "the encoder computes other features of the same images"
    assert problems(*records, loaded=now) == [f"1 unit was made with another encoder than is loaded: {why}"]
    assert not np.array_equal(*(m.probe(True).arrays["grid 8x8x4"] for m in (before, now)))
