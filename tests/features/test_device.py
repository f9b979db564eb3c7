"""How an encoder computes: the device and type chosen, bfloat16 close to float32, each way at an address of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bench
from bench.encoders.base import Encoder
from bench.errors import RunError
from bench.features.cache import feature_key
from bench.features.device import pick_device, pick_dtype, place
from bench.features.extract import extract
from bench.identity import Measure


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 24, 24, 3), dtype=np.uint8)


def network() -> Encoder:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 5, stride=2), torch.nn.GELU(), torch.nn.Conv2d(16, 32, 3))
    return bench.wrap(layers, name="small", size=24, mean=(0.5,) * 3, std=(0.25,) * 3)


def test_auto_is_float32_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    assert pick_dtype(torch.device("cpu"), "auto") is None
    assert place(network()).precision == "fp32"


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, None)])
def test_auto_is_bfloat16_on_a_gpu_that_has_it(monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: object) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: supported)
    assert pick_device("auto").type == "cuda"
    assert pick_dtype(torch.device("cuda"), "auto") is dtype
    assert pick_dtype(torch.device("cuda"), "fp32") is None


@pytest.mark.parametrize("name", ["cdua", "cuda:99"])
def test_a_device_that_is_not_there_is_one_message(name: str) -> None:
    with pytest.raises(RunError, match="device"):
        place(network(), name)
    with pytest.raises(RunError, match="precision"):
        place(network(), "cpu", precision="fp8")


def test_bfloat16_is_close_and_comes_back_as_float32(images: np.ndarray) -> None:
    full = extract(place(network(), "cpu"), images, dense=True)
    half = extract(place(network(), "cpu", precision="bf16"), images, dense=True)
    assert half.pooled.dtype == half.grid.dtype == np.float32
    for a, b in ((full.pooled, half.pooled), (full.grid, half.grid)):
        error = np.abs(a - b).max() / np.abs(a).max()
        assert 0 < error < 0.02


def test_channels_last_changes_no_more_than_the_last_bits(images: np.ndarray) -> None:
    encoder = network()
    plain = extract(encoder, images, dense=True)
    encoder.use_channels_last()
    np.testing.assert_allclose(extract(encoder, images, dense=True).grid, plain.grid, atol=1e-5)


def test_each_way_of_computing_has_its_own_address() -> None:
    ways = [place(network(), "cpu"), place(network(), "cpu", precision="bf16"), network(), network()]
    ways[2].use_channels_last()
    ways[3].compile()

    def key(encoder: Encoder) -> str:
        return feature_key(Measure(encoder).computed("t", False), encoder.layout, "0" * 64, "-", False)

    keys = [key(encoder) for encoder in ways]
    assert len(set(keys)) == 4
    assert keys[0] == key(network()), "plain float32 is the default's address"


def test_deterministic_mode_refuses_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    place(network(), "cpu", deterministic=True)
    assert asked == [True]
