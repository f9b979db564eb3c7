"""The command in this process, and small tasks of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def medssl(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Outcome]:
    """Run `medssl ...` in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        printed = capfd.readouterr()
        assert "Traceback" not in printed.err
        return Outcome(stop.value.code or 0, printed.out, printed.err)

    return call


GLOBAL_CARD = """schema = 1
name = "own-shapes"
title = "Bright or dark squares"
modality = "mixed"
target = "binary"
classes = ["dark", "bright"]
licence = "CC0-1.0"
corpus = "own-shapes"
source = { reader = "npz", file = "shapes.npz" }
"""

DENSE_CARD = GLOBAL_CARD.replace("own-shapes", "own-masks").replace('"binary"', '"mask"')
DENSE_CARD = DENSE_CARD.replace("shapes.npz", "masks.npz")


@pytest.fixture(name="write_npz")
def write_npz_fixture() -> Callable[..., None]:
    """`write_npz` for tests."""
    return write_npz


def write_npz(path: Path, *, dense: bool = False, labels_offset: int = 0, image_key: str = "images") -> None:
    """A small file in the MedMNIST (or, `dense`, MedSegBench) layout: a square that is bright or dark."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 40), ("val", 20), ("test", 30)):
        labels = np.arange(n) % 2
        images = rng.integers(90, 130, (n, 32, 32)).astype(np.uint8)
        masks = np.zeros((n, 32, 32), np.uint8)
        for i, label in enumerate(labels):
            y, x = rng.integers(0, 16, 2)
            images[i, y : y + 16, x : x + 16] = 220 if label else 20
            masks[i, y : y + 16, x : x + 16] = 1
        arrays[f"{split}_{image_key}"] = images
        if dense:
            arrays[f"{split}_label"] = masks
        else:
            arrays[f"{split}_labels"] = (labels[:, None] + labels_offset).astype(np.uint8)
    np.savez(path, **arrays)


@pytest.fixture
def own_tasks(tmp_path: Path) -> Path:
    """A folder with a global and a dense task of one's own."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "shapes.toml").write_text(GLOBAL_CARD)
    (folder / "masks.toml").write_text(DENSE_CARD)
    write_npz(folder / "shapes.npz")
    write_npz(folder / "masks.npz", dense=True)
    return folder
