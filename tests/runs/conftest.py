"""Two small tasks of one's own, a global and a dense one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

CARD = """schema = 1
name = "{name}"
title = "Squares"
modality = "mixed"
target = "{target}"
classes = ["dark", "bright"]
licence = "CC0-1.0"
corpus = "squares"
source = {{ reader = "npz", file = "{name}.npz" }}
"""


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of cards and files: is the square bright (global), where is it (dense)."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for name, target in (("which", "binary"), ("where", "mask")):
        arrays = {}
        for split, n in (("train", 60), ("val", 20), ("test", 30)):
            bright = np.arange(n) % 2
            images = rng.integers(60, 160, (n, 32, 32)).astype(np.uint8)
            masks = np.zeros((n, 32, 32), np.uint8)
            for i in range(n):
                y, x = rng.integers(0, 20, 2)
                images[i, y : y + 12, x : x + 12] = 150 + 40 * bright[i]
                masks[i, y : y + 12, x : x + 12] = 1
            arrays[f"{split}_images"] = images
            arrays.update({f"{split}_label": masks} if target == "mask" else {f"{split}_labels": bright[:, None]})
        np.savez(folder / f"{name}.npz", **arrays)
        (folder / f"{name}.toml").write_text(CARD.format(name=name, target=target))
    return folder
