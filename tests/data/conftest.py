"""Small data sets and a cache folder of one's own for every test."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench.data.task import Task

REAL = Path(os.environ.get("MEDSSL_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data" / "real")


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    """Every test has its own store and downloads."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MEDSSL_HOME", str(folder))
    return folder


@pytest.fixture
def real_data():
    """Folder of real images, or a skip where there is none."""
    if not (REAL / "nuclei.npz").is_file():
        pytest.skip("no real images: set MEDSSL_REAL_DATA to a folder that holds them")
    return REAL


def one_protocol(folder, task, protocol):
    """A suite of one task and one protocol at all labels: the smallest run there is."""
    path = folder / "suite.toml"
    path.write_text(
        f'schema = 1\nname = "small"\ntitle = "Small"\ntasks = ["{task}"]\n'
        f'protocols = [{{ name = "{protocol}", budgets = ["100%"] }}]\n'
    )
    return path


@pytest.fixture(scope="session")
def make_task():
    """A task card from the few keys that matter to a test."""

    def make(target="multi-class", classes=("a", "b", "c"), name="tiny", **source):
        card = {
            "schema": 1,
            "name": name,
            "title": "Tiny",
            "modality": "mixed",
            "target": target,
            "classes": list(classes),
            "licence": "CC0-1.0",
            "corpus": "tiny",
            "source": source,
        }
        return Task.parse(card, where="test")

    return make


def tiny_arrays(kind="labels", n=(12, 6, 6), size=8, channels=None, classes=3, seed=0):
    """Arrays of a MedMNIST-like ("labels") or MedSegBench-like ("label") file; every class in every split."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, rows in zip(("train", "val", "test"), n, strict=True):
        shape = (rows, size, size) if channels is None else (rows, size, size, channels)
        arrays[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        labels = np.arange(rows, dtype=np.uint8)[:, None] % classes
        masks = rng.integers(0, classes, (rows, size, size), dtype=np.uint8)
        arrays[f"{split}_{kind}"] = masks if kind == "label" else labels
    return arrays


@pytest.fixture
def tiny():
    """`tiny_arrays`, for tests that write their own files."""
    return tiny_arrays


@pytest.fixture
def medssl_in(monkeypatch, capsys):
    """What a command prints in a folder, in this process."""
    from bench.cli import main
    from bench.leaderboard import collect

    def call(folder, *words):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(collect, "shipped", lambda name: folder / "none")
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        assert not stop.value.code
        return capsys.readouterr().out

    return call
