"""Features on a device: there once, no more of them than leaves solvers their room, the rest brought over in blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.features import resident
from bench.features.resident import CPU, Resident, free_bytes


class Pretended:
    """A device of so many bytes, whose memory is that of the CPU; what is put there counts."""

    def __init__(self, size: int) -> None:
        self.size, self.copies = size, 0
        self.lies = Resident(CPU, free=self.free)
        self.fill, self.lies._fill = self.lies._fill, self.counted

    def free(self) -> int:
        return self.size - round(1e6 * self.lies.megabytes["device"])

    def counted(self, there: torch.Tensor, array: np.ndarray) -> None:
        self.copies += array.nbytes
        self.fill(there, array)


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)  # 2,000 bytes


def test_on_a_cpu_a_matrix_is_the_array(features: np.ndarray) -> None:
    lies = Resident.of(torch.device("cpu"))
    assert lies.up(features) is features
    assert [block.base is features or block is features for block in lies(features).blocks()] == [True]
    assert np.shares_memory(lies(features).rows(slice(3, 9)), features)
    lies.reserve(1 << 60, [])
    assert (lies.megabytes, lies.spill()) == ({}, False)


def test_what_fits_is_brought_over_once(features: np.ndarray) -> None:
    device = Pretended(10_000)
    for _ in range(3):
        rows = device.lies(features).rows(np.array([7, 2]))
        assert isinstance(rows, torch.Tensor)
        np.testing.assert_array_equal(rows, features[[7, 2]])
    assert device.copies == features.nbytes
    assert device.lies.megabytes == {"device": 0.002, "host": 0.0}


def test_the_solver_has_its_room_first(features: np.ndarray) -> None:
    device, other = Pretended(10_000), features.copy()
    device.lies.reserve(8_000 - 3_000, [])
    device.lies(features), device.lies(other)
    assert device.lies.megabytes == {"device": 0.002, "host": 0.002}
    device.lies.reserve(8_000, [features, other])
    assert device.lies.megabytes["device"] == 0, "a larger solver drives out what lay there"
    device.lies.reserve(0, [features, other])
    assert device.lies(features).there is not None, "and a smaller one lets it in again"
    device.lies.reserve(0, [other])
    assert device.lies.megabytes["device"] == 0, "what nobody holds any more goes"


def test_what_does_not_fit_comes_in_blocks(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "BLOCK_BYTES", 600)
    device, chosen = Pretended(100), np.arange(99, -1, -2)
    matrix = device.lies(features)
    assert [len(block) for block in matrix.blocks()] == [30, 30, 30, 10]
    assert device.copies == features.nbytes
    np.testing.assert_array_equal(matrix.each(lambda x: 2 * x.numpy()), 2 * features)
    np.testing.assert_array_equal(matrix.each(lambda x: x.numpy(), chosen), features[chosen])
    np.testing.assert_array_equal(matrix.each(lambda x: x.numpy().T, axis=1), features.T)
    assert matrix.each(lambda x: x.numpy(), chosen[:0]).shape == (0, 5)


def test_memory_in_pieces_or_at_its_end_spills(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Pretended(10_000)
    device.lies(features)
    assert device.lies.spill()
    assert not device.lies.spill()
    assert device.lies(features).there is None, "it stays off for the rest of the task"
    pieces = Resident(CPU, free=lambda: 1 << 30)
    monkeypatch.setattr(pieces, "_empty", lambda array: (_ for _ in ()).throw(torch.OutOfMemoryError("pieces")))
    assert pieces(features).there is None


def test_free_is_what_nobody_holds_and_what_torch_holds_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 8000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 500)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200)
    assert free_bytes(torch.device("cuda")) == 1300
    assert Resident.of(torch.device("cuda", 0)).device == torch.device("cuda", 0)
    assert Resident.of(torch.device("mps")).device == CPU
