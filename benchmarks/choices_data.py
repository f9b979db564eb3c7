"""Features of public files for `choices.py`: computed once, kept in a folder, read as problems."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from bench.data.budgets import Subset, subsets, why_invalid
from bench.data.task import Task
from bench.encoders.features import Features
from bench.encoders.load import load_encoder
from bench.features.extract import extract
from bench.metrics.set import primaries
from bench.protocols.base import Labelled, Problem, Unlabelled

ROOT = Path(__file__).parents[1]
REAL = Path(os.environ.get("MEDSSL_REAL_DATA", ROOT.parent / "shared/data/real"))
TINY = {"mae": "tiny-vit-mae", "simclr": "tiny-vit-simclr", "cnnsimclr": "tiny-cnn-simclr"}
TINY |= {"vitrand": "tiny-vit-random-init", "cnnrand": "tiny-cnn-random-init"}
ENCODERS = {"lite0": "imagenet-efficientnet-lite0", "raw": "raw-pixels", "hist": "colour-histogram"}
ENCODERS |= {short: ROOT / "submissions" / name for short, name in TINY.items()}
SPLITS = ("train", "val", "test")
Cell = tuple[str, str]
"""A set and an encoder."""


class Store:
    """Folder of features, and the folders their images come from."""

    def __init__(self, folder: Path, sources: list[Path]) -> None:
        self.folder, self.sources = folder, sources
        folder.mkdir(parents=True, exist_ok=True)

    def kept(self, name: str, make: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
        """What `make` gives, computed once; nothing is not kept, since its images may come."""
        file = self.folder / f"{name.replace(' ', '')}.npz"
        if not file.exists():
            if not (made := make()):
                return []
            np.savez(file, *made)
        with np.load(file) as stored:
            return [stored[f"arr_{i}"] for i in range(len(stored.files))]

    def problem(self, kind: str, cell: Cell) -> tuple[Problem, np.ndarray] | None:
        """The problem and its test labels; None, said once, where the images are not here."""
        name, encoder = cell
        kept = self.folder / f"{kind}-{name}-{encoder}.npz"
        if not kept.exists():
            images = next((f for s in self.sources if (f := s / f"{name}.npz").exists()), None)
            if images is None:
                return absent(name)
            np.savez(kept, **arrays(kind, np.load(images), encoder))
        return problem_of(kind, name, dict(np.load(kept)))


@cache
def absent(name: str) -> None:
    print(f"{name} left out: no {name}.npz", flush=True)


def arrays(kind: str, data: dict[str, np.ndarray], encoder: str) -> dict[str, np.ndarray]:
    """Features, labels and groups of each split: SPLIT, SPLIT_y, SPLIT_g."""
    network, found = load_encoder(ENCODERS[encoder]), {}
    for s in SPLITS:
        images = data[f"{s}_images"]
        features = extract(network, images if images.ndim == 4 else images[..., None], dense=kind == "dense")
        found[s] = features.grid if kind == "dense" else features.pooled
        found[f"{s}_y"] = data[f"{s}_label"] if kind == "dense" else data[f"{s}_labels"].ravel()
        if f"{s}_groups" in data:
            found[f"{s}_g"] = data[f"{s}_groups"]
    return found


def problem_of(kind: str, name: str, a: dict[str, np.ndarray]) -> tuple[Problem, np.ndarray]:
    """The problem of one cell, and its true test labels."""
    y = {s: a[f"{s}_y"].astype(np.uint8 if kind == "dense" else np.int64) for s in SPLITS}
    target = "mask" if kind == "dense" else "binary" if y["train"].max() == 1 else "multi-class"
    task = Task.parse({
        "schema": 1, "name": name, "title": name, "kind": kind, "modality": "mixed", "target": target,
        "classes": [f"c{i}" for i in range(max(v.max() for v in y.values()) + 1)], "licence": "-", "corpus": "-",
        "metric": "auroc" if kind == "global" else next(iter(primaries(target))), "source": {"reader": "none"},
    }, where=name)  # fmt: skip
    none = np.zeros((0, 1, 1, 1), np.uint8)

    def features(s: str) -> Features:
        return Features(None, a[s]) if kind == "dense" else Features(a[s], None)

    known = [Labelled(features(s), y[s], a.get(f"{s}_g"), none) for s in ("train", "val")]
    size = y["test"].shape[1:] if kind == "dense" else None
    return Problem(task, *known, {"test": Unlabelled(features("test"), none)}, size), y["test"]


def units(given: Problem, budget: str, seeds: int = 5) -> list[Subset]:
    """The subsets of a budget that can be learnt from."""
    y, groups = given.train.labels, given.train.groups
    drawn = subsets(given.task, y, groups, budget, range(1 if budget == "100%" else seeds))
    return [s for s in drawn if not why_invalid(given.task, y, s)]
