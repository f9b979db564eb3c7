"""The probe tells encoders apart, not processors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import bench
from bench.encoders.base import Encoder
from bench.errors import UserError
from bench.features.probe import TOLERANCE, Probe, _folded, images, probe
from bench.files import sha256_arrays


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 5, stride=4, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 24, 3)
    )


def wrapped(features, net: torch.nn.Module | None = None) -> Encoder:
    return bench.wrap(net or network(), name="x", size=64, features=features)


POOLS = {
    "mean": lambda n, x: (n(x).mean((2, 3)), n(x)),
    "max": lambda n, x: (n(x).amax((2, 3)), n(x)),
    "top 2": lambda n, x: (n(x).flatten(2).topk(2).values.mean(2), n(x)),
    "top 3": lambda n, x: (n(x).flatten(2).topk(3).values.mean(2), n(x)),
    "power 3": lambda n, x: (n(x).clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3), n(x)),
    "left half": lambda n, x: (n(x)[..., :7].mean((2, 3)), n(x)),
    "middle": lambda n, x: (n(x)[..., 6, 6], n(x)),
    "mirrored": lambda n, x: (n(x.flip(-1)).mean((2, 3)), n(x)),
    "blue for red": lambda n, x: (n(x.flip(1)).mean((2, 3)), n(x)),
    "half size": lambda n, x: (n(F.interpolate(x, 32)).mean((2, 3)), n(x)),
    "unit length": lambda n, x: (F.normalize(n(x).mean((2, 3))), n(x)),
    "offset": lambda n, x: (n(x).mean((2, 3)) + 1000 * (n(x).mean((2, 3)) > 0.1), n(x)),
    "clipped": lambda n, x: (n(x.clamp(max=0.9)).mean((2, 3)), n(x)),
    "16 cells": lambda n, x: (F.adaptive_avg_pool2d(n(x), 4).flatten(1), n(x)),
    "grid squared": lambda n, x: (n(x).mean((2, 3)), n(x) ** 2),
    "grid turned": lambda n, x: (n(x).mean((2, 3)), n(x).transpose(2, 3)),
}


def test_no_two_ways_to_pool_are_taken_for_one() -> None:
    found = {name: probe(wrapped(features), dense=True) for name, features in POOLS.items()}
    alike = [(a, b) for a in found for b in found if a < b and found[a].same(found[b])]
    assert alike == []
    assert all(found[name].same(probe(wrapped(POOLS[name]), dense=True)) for name in POOLS)


def test_a_constant_in_a_closure_and_a_little_training_are_seen() -> None:
    def scaled(by: float):
        return lambda n, x: n(x).mean((2, 3)) * torch.linspace(1, by, 24)

    assert not probe(wrapped(scaled(1.001)), dense=False).same(probe(wrapped(scaled(1.0)), dense=False))
    net = network()
    before = probe(wrapped(POOLS["mean"], net), dense=False)
    with torch.no_grad():
        net[0].weight.mul_(1 + 1e-3)
    assert not probe(wrapped(POOLS["mean"], net), dense=False).same(before)


def test_a_large_constant_does_not_hide_what_changed() -> None:
    def with_constant(by: float):
        return lambda n, x: n(x).mean((2, 3)) * by + 10

    assert not probe(wrapped(with_constant(1.0)), dense=False).same(probe(wrapped(with_constant(1.01)), dense=False))


def test_another_number_of_threads_or_kernel_is_the_same_encoder() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    net = timm.create_model("efficientnet_lite0", num_classes=0)
    found = []
    threads = torch.get_num_threads()
    try:
        for number, mkldnn in ((1, True), (2, True), (1, False)):
            torch.set_num_threads(number)
            with torch.backends.mkldnn.flags(enabled=mkldnn):
                found.append(probe(wrapped(lambda n, x: n.forward_features(x), net), dense=True))
    finally:
        torch.set_num_threads(threads)
    assert found[0].digest != found[2].digest, "other bits"
    assert found[0].same(found[1])
    assert found[0].same(found[2])


def test_precision_and_compiler_are_left_to_the_words_of_the_run() -> None:
    encoder = wrapped(POOLS["mean"])
    plain = probe(encoder, dense=True)
    encoder.autocast = torch.bfloat16
    assert probe(encoder, dense=True).digest == plain.digest
    assert encoder.precision == "bf16"


def test_a_probe_is_small_and_survives_the_disk(tmp_path: Path) -> None:
    found = probe(wrapped(lambda n, x: x.flatten(1)), dense=False)
    assert {name: a.shape for name, a in found.arrays.items()} == {"pooled 12288": (6, 512)}
    found.write(tmp_path)
    (path,) = tmp_path.iterdir()
    assert Probe.read(path).digest == found.digest
    path.rename(path.with_name("0" * 16 + ".npz"))
    with pytest.raises(UserError, match="its name says"):
        Probe.read(path.with_name("0" * 16 + ".npz"))


def test_folding_keeps_distances() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6, 5000)).astype(np.float32)
    near = features * (1 + TOLERANCE / 10)
    folded, lengths = _folded(features), np.linalg.norm(features, axis=1)
    np.testing.assert_allclose(np.linalg.norm(folded, axis=1), lengths, rtol=0.2)
    assert Probe({"a": folded}).same(Probe({"a": _folded(near)}))
    assert not Probe({"a": folded}).same(Probe({"a": _folded(features + 0.01)}))


def test_the_images_are_fixed() -> None:
    assert images().shape == (6, 96, 112, 3)
    assert images().dtype == np.uint8
    assert sha256_arrays({"": images()}) == "11864cf71bced954175e07a945649334241d732e58eac864f2a1a967f39c077d"
