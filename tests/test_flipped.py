"""A flipped bit, a changed byte, a file cut short: the same is read as before, or one message. Never other numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.data.load import load_task
from bench.data.task import read_task
from bench.encoders.features import Features
from bench.errors import UserError
from bench.features.cache import FeatureCache
from bench.features.probe import Probe
from bench.files import npz_bytes, sha256_arrays
from bench.runs.predictions import predictions_bytes, read_predictions
from tests.cards import task_card

TRIED = 40
CARD = task_card("own", 'reader = "npz", file = "own.npz"')
Read = Callable[[], str]


def spoilt(good: bytes, seed: str) -> Iterator[bytes]:
    """`good` with one bit flipped, one byte replaced, or its end cut off; the first and last kilobyte most often."""
    draw = random.Random(seed)
    for _ in range(TRIED):
        data, ends = bytearray(good), [draw.randrange(1024), -draw.randrange(1, 1024), draw.randrange(len(good))]
        at = draw.choice(ends) % len(good)
        match draw.choice(("bit", "byte", "end")):
            case "bit":
                data[at] ^= 1 << draw.randrange(8)
            case "byte":
                data[at] = draw.randrange(256)
            case "end":
                data = data[:at]
        yield bytes(data)


def hold(path: Path, read: Read, others: tuple[str, ...] = ()) -> int:
    """Read every spoilt `path`; how many are refused. others: what may be read beside what was there before."""
    good, refused = path.read_bytes(), 0
    allowed = {read(), *others}
    for bad in spoilt(good, path.name):
        path.parent.mkdir(parents=True, exist_ok=True)  # what is damaged may have been removed whole
        path.write_bytes(bad)
        try:
            found, message = read(), ""
        except UserError as error:
            found, message = "", str(error)
        assert found in allowed if not message else (message.isprintable() and len(message) < 1000)
        refused += bool(message)
    return refused


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task of one's own, and an empty cache."""
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    rng, arrays = np.random.default_rng(0), {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 255, (12, 16, 16), np.uint8)
        arrays[f"{split}_labels"] = np.arange(12) % 2
    np.savez(tmp_path / "own.npz", **arrays)
    (tmp_path / "own.toml").write_text(CARD)
    return tmp_path


def test_data(own: Path) -> None:
    read = read_of(own)
    assert hold(own / "own.npz", read) > TRIED // 2


def read_of(own: Path) -> Read:
    task = read_task(own / "own.toml")
    return lambda: load_task(task, folder=own).sha256


@pytest.mark.filterwarnings("ignore:.*the prepared copy is damaged")
@pytest.mark.parametrize("name", ["test.labels.npy", "train.images.npy", "val.ids.npy", "entry.json", "checked.json"])
def test_prepared_copies(own: Path, name: str) -> None:
    read = read_of(own)
    read()
    assert hold(next((own / "home" / "store").rglob(name)), read) == 0


def test_predictions(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).integers(0, 2, (4, 16, 16), np.uint8)
    path = tmp_path / "own.npz"
    for data in (predictions_bytes({"a/test": masks}, small=False), npz_bytes({"a/test": np.eye(9, 2, dtype="f4")})):
        path.write_bytes(data)
        assert hold(path, lambda: sha256_arrays(read_predictions(path))) > TRIED // 2


@pytest.mark.parametrize("name", ["meta.json", "pooled.npy", "grid.npy"])
def test_features(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    kept, anew = (Features(rng.random((5, 3), np.float32), rng.random((5, 2, 2, 3), np.float32)) for _ in range(2))
    probe, cache = Probe({"pooled 3": np.eye(6, 3, dtype=np.float32)}), FeatureCache(tmp_path)

    def read() -> str:
        return digest(cache.get("ab" * 32, probe, lambda: anew))

    cache.get("ab" * 32, probe, lambda: kept)
    assert hold(next(tmp_path.rglob(name)), read, (digest(anew),)) == 0


def digest(features: Features) -> str:
    held = {"pooled": features.pooled, "grid": features.grid}
    return sha256_arrays({name: array for name, array in held.items() if array is not None})
