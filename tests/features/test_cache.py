"""The feature cache: same key, same features; corrupt entries are made anew; size is bounded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.features.base import Features
from bench.features.cache import FeatureCache

KEYS = [f"{i:02x}" * 32 for i in range(5)]


def features(value: float = 1.0) -> Features:
    return Features(np.full((4, 3), value, np.float32), np.full((4, 2, 2, 3), value, np.float32))


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    cache, calls = FeatureCache(tmp_path), []

    def make() -> Features:
        calls.append(1)
        return features()

    first, second = cache.get(KEYS[0], make), cache.get(KEYS[0], make)
    assert len(calls) == 1
    np.testing.assert_array_equal(first.pooled, second.pooled)
    np.testing.assert_array_equal(first.grid, second.grid)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "meta"])
def test_a_corrupt_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    cache = FeatureCache(tmp_path)
    cache.get(KEYS[0], features)
    path = next(tmp_path.rglob("meta.json" if damage == "meta" else "pooled.npy"))
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "truncate" else data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    again = cache.get(KEYS[0], lambda: features(2.0))
    np.testing.assert_array_equal(again.pooled, features(2.0).pooled)


def test_least_recently_used_entries_go_first(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    for age, key in enumerate(KEYS):
        cache.get(key, features)
        meta = tmp_path / key[:2] / key / "meta.json"
        os.utime(meta, (1000 + age, 1000 + age))
    one = cache.size() // len(KEYS)
    cache.trim(2 * one + one // 2)
    left = sorted(p.parent.name for p in tmp_path.glob("??/*/meta.json"))
    assert left == KEYS[3:]


def test_a_full_disk_only_means_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    made = FeatureCache(tmp_path).get(KEYS[0], features)
    np.testing.assert_array_equal(made.pooled, features().pooled)
    assert not list(tmp_path.rglob("*.npy"))
