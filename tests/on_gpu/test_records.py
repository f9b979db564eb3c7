"""A task run on a GPU, from images to intervals: the scores of a CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.encoders.base import Encoder
from bench.features.device import place
from bench.features.extract import extract
from bench.features.resident import Resident
from bench.features.volume_cost import volume_cost
from bench.runs.fingerprint import fingerprint_of
from bench.runs.plan import make_plan
from bench.runs.records import Record
from bench.runs.score_task import Setting, score_task


class Embedding(nn.Module):
    """One convolution of patches, or of cubes."""

    def __init__(self, convolution: type[nn.Module], channels: int, width: int, side: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = convolution(channels, width, side, side)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        grid = torch.relu(self.embed(x))
        return grid.flatten(2).mean(2), grid


def flat() -> Encoder:
    return bench.wrap(Embedding(nn.Conv2d, 3, 48, 16), name="patches", size=64, mean=(0.5,) * 3, std=(0.25,) * 3)


def volumetric() -> Encoder:
    return bench.wrap(Embedding(nn.Conv3d, 1, 8, 4), name="cubes", size=16, depth=8, mean=(0.5,), std=(0.25,))


def records(device: str, task: str) -> list[Record]:
    """Of the frozen protocols, two seeds each."""
    plan, task = make_plan("phantom-v1"), make_plan("phantom-mini").tasks[task]
    units = [unit for unit in plan.units(task) if unit.seed < 2]
    setting = Setting("patches", "phantom-v1", fingerprint_of(plan), scoring=plan.suite.scoring)
    encoder = place(flat(), device, precision="fp32")
    return [record for record, _ in score_task(encoder, task, None, units, dict(plan.protocols), (), setting)]


@pytest.mark.parametrize("task", ["phantom-ultrasound-diffuse-mini", "phantom-ultrasound-dense-mini"])
def test_scores_are_those_of_a_cpu(task: str) -> None:
    """1e-4 in what a board shows; 5e-4 in the rest, where some numbers are means over a handful of lesions."""
    for here, there in zip(records("cpu", task), records("cuda", task), strict=True):
        assert (there.unit, there.status, there.reason) == (here.unit, here.status, here.reason)
        assert there.chosen.get("C") == here.chosen.get("C")
        if here.status == "done":
            assert there.made_by.device != here.made_by.device
            assert there.cost.features_mb["device"] > 0
            assert there.primary.value == pytest.approx(here.primary.value, abs=1e-4)
            assert there.metrics["test"].keys() == here.metrics["test"].keys()
            for name, value in here.metrics["test"].items():
                found = there.metrics["test"][name]
                for end in ("value", "low", "high"):
                    near = pytest.approx(getattr(value, end), rel=5e-4, abs=5e-4, nan_ok=True)
                    assert getattr(found, end) == near, (name, end)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("room", [1 << 30, 0])
def test_features_are_those_of_a_cpu(precision: str, room: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (23, 70, 60, 3), dtype=np.uint8)
    expected = extract(place(flat(), "cpu"), images, dense=True)
    resident = Resident(torch.device("cuda"), free=lambda: room)
    found = extract(place(flat(), "cuda", precision=precision), images, dense=True, batch_size=7, resident=resident)
    near = {"atol": 1e-5} if precision == "fp32" else {"atol": 0.02, "rtol": 0.02}
    for name in ("pooled", "grid"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), **near)
        there = resident(getattr(found, name)).there
        assert (there is not None) == (room > 0)
        if there is not None:
            np.testing.assert_array_equal(there.cpu().numpy(), getattr(found, name))


@pytest.mark.parametrize("made", [flat, volumetric])
def test_volumes_are_those_of_a_cpu(made: Callable[[], Encoder]) -> None:
    volumes = np.random.default_rng(0).integers(0, 256, (5, 8, 20, 20, 1), dtype=np.uint8)
    spacing = np.tile([3.0, 1.0, 1.0], (5, 1))
    expected, found = (
        extract(place(made(), device, precision="fp32"), volumes, dense=True, spacing=spacing, aggregation="max")
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(found.pooled, expected.pooled, atol=1e-5)
    np.testing.assert_allclose(found.grid, expected.grid, atol=1e-5)
    cost = volume_cost(place(made(), "cuda", precision="fp32"), volumes[:1], spacing=spacing[:1])
    assert cost.inputs == (1 if made is volumetric else 8)
    assert cost.seconds > 0


def test_bags_are_those_of_a_cpu() -> None:
    bags = np.random.default_rng(0).integers(0, 256, (4, 6, 20, 20, 3), dtype=np.uint8)
    sizes = np.array([6, 1, 3, 5])
    expected, found = (
        extract(place(flat(), device, precision="fp32"), bags, dense=False, sizes=sizes, batch_size=5)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(found.pooled, expected.pooled, atol=1e-5)
    np.testing.assert_allclose(found.members, expected.members, atol=1e-5)
