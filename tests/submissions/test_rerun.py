"""A rerun is of the encoder that made the records, or says of how many it is not, and why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Has

import numpy as np
import pytest
import torch

import bench
from bench.identity import Computed, Identity, Measure
from bench.metrics.interval import Interval
from bench.protocols.dense_linear import PROTOCOL as DENSE
from bench.protocols.knn import PROTOCOL as KNN
from bench.submissions.report import VerificationReport
from bench.submissions.rerun import _otherwise_told, check_encoder, check_identity

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


def test_settings_and_sites_are_those_of_a_rerun() -> None:
    """Another value of a setting may do as well on another machine; another setting, or a word for it, is none."""
    site = Interval(value=0.5, low=0.4, high=0.6)
    fresh = Has(chosen={"C": 1.0, "temperature": 2.0}, leakage={"site_leakage": site})

    def told(chosen: dict, leakage: dict) -> list[str]:
        return list(_otherwise_told(Has(unit=Has(key="u"), chosen=chosen, leakage=leakage), fresh))

    assert told({"C": 10.0}, {"site_leakage": Interval(value=0.51)}) == []
    assert told({"C": "best"}, fresh.leakage) == ["u: states a choice of C, chosen here was C"]
    assert told({}, fresh.leakage) == ["u: states a choice of nothing, chosen here was C"]
    assert told(fresh.chosen, {}) == ["u: states other measures of its sites than were measured here"]
    near = Interval(value=0.45)
    assert told(fresh.chosen, {"site_leakage": near}) == ["u: site_leakage is 0.450 as sent, 0.500 rerun"]


def test_flops_that_are_left_out_are_told() -> None:
    encoder = measure().encoder
    cost = Has(parameters=encoder.parameters, flops_per_image=None)
    record = Has(weights_sha256=encoder.weights_sha256, status="done", cost=cost)
    report = VerificationReport(Path("mine"))
    check_encoder(Has(records=[record]), encoder, report)
    assert report.problems == []
    assert report.alarms == ["1 records state no FLOPs an image, counted are 24,576"]
