"""Sets of noise with the shapes of true ones, as task cards beside their npz."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

CARD = """schema = 1
name = "{name}"
title = "{name}"
modality = "microscopy"
target = "{target}"
classes = {classes}
licence = "CC0-1.0"
corpus = "noise"
source = {{ reader = "npz", file = "{name}.npz" }}
"""


def write_noise(folder: Path, name: str, target: str, classes: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays of a set, and its card."""
    np.savez(folder / f"{name}.npz", **arrays)
    names = json.dumps([f"class {i}" for i in range(classes)])
    (folder / f"{name}.toml").write_text(CARD.format(name=name, target=target, classes=names))
