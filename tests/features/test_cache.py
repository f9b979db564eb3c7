"""The feature cache: same key, same features; corrupt entries are made anew; size is bounded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.encoders.features import Features
from bench.features.cache import FeatureCache, feature_key
from bench.features.probe import Probe
from bench.identity import Computed

PROBE = Probe({"pooled 3": np.eye(6, 3, dtype=np.float32)})
KEYS = [f"{i:02x}" * 32 for i in range(5)]


def features(value: float = 1.0) -> Features:
    return Features(np.full((4, 3), value, np.float32), np.full((4, 2, 2, 3), value, np.float32))


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    cache, calls = FeatureCache(tmp_path), []

    def make() -> Features:
        calls.append(1)
        return features()

    first, second = cache.get(KEYS[0], PROBE, make), cache.get(KEYS[0], PROBE, make)
    assert len(calls) == 1
    np.testing.assert_array_equal(first.pooled, second.pooled)
    np.testing.assert_array_equal(first.grid, second.grid)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "meta"])
def test_a_corrupt_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    cache = FeatureCache(tmp_path)
    cache.get(KEYS[0], PROBE, features)
    path = next(tmp_path.rglob("meta.json" if damage == "meta" else "pooled.npy"))
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "truncate" else data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    again = cache.get(KEYS[0], PROBE, lambda: features(2.0))
    np.testing.assert_array_equal(again.pooled, features(2.0).pooled)


def test_least_recently_used_entries_go_first(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    for age, key in enumerate(KEYS):
        cache.get(key, PROBE, features)
        meta = tmp_path / key[:2] / key / PROBE.digest / "meta.json"
        os.utime(meta, (1000 + age, 1000 + age))
    one = cache.size() // len(KEYS)
    cache.trim(2 * one + one // 2)
    left = sorted(p.parent.parent.name for p in tmp_path.rglob("meta.json"))
    assert left == KEYS[3:]


def test_a_full_disk_only_means_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    made = FeatureCache(tmp_path).get(KEYS[0], PROBE, features)
    np.testing.assert_array_equal(made.pooled, features().pooled)
    assert not list(tmp_path.rglob("*.npy"))


def test_an_entry_serves_the_same_encoder_on_another_processor_and_no_other(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.get(KEYS[0], PROBE, features)
    near, other = (Probe({"pooled 3": PROBE.arrays["pooled 3"] * np.float32(scale)}) for scale in (1 + 1e-6, 1.1))
    assert near.digest != PROBE.digest
    assert cache.get(KEYS[0], near, lambda: features(2.0)).pooled[0, 0] == 1.0
    assert cache.get(KEYS[0], other, lambda: features(3.0)).pooled[0, 0] == 3.0
    assert cache.get(KEYS[0], other, lambda: features(4.0)).pooled[0, 0] == 3.0
    assert cache.get(KEYS[0], PROBE, lambda: features(5.0)).pooled[0, 0] == 1.0


def test_all_that_decides_a_feature_is_in_the_key() -> None:
    computed = Computed(
        weights="0" * 16, source="1" * 16, preprocessing="2" * 16, features="3" * 16, execution="fp32", probe="4" * 16
    )
    usual = {"computed": computed, "layout": "cpu", "images": "5" * 64, "aggregation": "mean", "dense": False}
    others = [{name: value} for name, value in (
        ("layout", "cuda"), ("images", "6" * 64), ("aggregation", "max"), ("dense", True))]  # fmt: skip
    for name in ("weights", "source", "preprocessing", "features", "execution"):
        others.append({"computed": computed.model_copy(update={name: "f" * 16})})
    keys = [feature_key(**usual | other) for other in ({}, *others)]
    assert len(set(keys)) == len(keys) == 10
    assert feature_key(**usual | {"computed": computed.model_copy(update={"probe": "f" * 16})}) == keys[0]
