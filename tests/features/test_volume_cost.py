"""Seconds and memory of one volume, of an encoder that takes it whole and of one that takes its slices."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.features.volume_cost import volume_cost

VOLUME = np.random.default_rng(0).integers(0, 256, (1, 6, 8, 8, 1), dtype=np.uint8)


class Hungry(nn.Module):
    """Holds `mb` MiB while it runs, and takes `seconds` a call."""

    def __init__(self, mb: int = 0, seconds: float = 0.0) -> None:
        super().__init__()
        self.mb, self.seconds = mb, seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        held = torch.ones(self.mb << 18)
        time.sleep(self.seconds)
        return x.flatten(1)[:, :3] + held[:1].sum() * 0


def wrapped(depth: int | None = None, **what) -> bench.encoders.base.Encoder:
    return bench.wrap(Hungry(**what), name="x", size=8, mean=(0.5,), std=(0.5,), depth=depth)


def test_slices_are_counted_and_a_whole_volume_is_one() -> None:
    assert volume_cost(wrapped(), VOLUME).inputs == 6
    assert volume_cost(wrapped(depth=6), VOLUME).inputs == 1


def test_seconds_are_those_of_a_pass() -> None:
    found = volume_cost(wrapped(depth=6, seconds=0.1), VOLUME)
    assert 0.1 <= found.seconds < 0.3


@pytest.mark.skipif(sys.platform != "linux", reason="the highest memory of a process is told by Linux alone")
def test_memory_is_the_highest_above_the_start() -> None:
    little, much = (volume_cost(wrapped(depth=6, mb=mb), VOLUME).memory_mb for mb in (1, 200))
    if little is None or much is None:
        pytest.skip("this system does not let a process reset its highest memory")
    assert 190 < much - little < 230


@pytest.mark.skipif(sys.platform != "linux", reason="the highest memory of a process is told by Linux alone")
def test_pages_of_a_mapped_volume_do_not_count(tmp_path: Path) -> None:
    volume = np.zeros((1, 1600, 256, 256, 1), np.uint8)  # 100 MiB
    np.save(tmp_path / "volume.npy", volume)
    held, mapped = (volume_cost(wrapped(), v).memory_mb for v in (volume, np.load(tmp_path / "volume.npy", "r")))
    if held is None or mapped is None:
        pytest.skip("this system does not let a process reset its highest memory")
    assert mapped - held < 30


def test_memory_that_is_not_told_is_none(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("bench.memory.PROC", tmp_path / "none")
    assert volume_cost(wrapped(depth=6), VOLUME).memory_mb is None
