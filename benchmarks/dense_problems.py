"""Dense problems for the benchmarks of the dense protocols: two real files, or a phantom task under an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from independent import DATA, network
from torch import Tensor

from bench.data.load import load_task
from bench.data.task import Task, shipped_tasks
from bench.encoders.features import Features
from bench.encoders.load import load_encoder
from bench.features.extract import extract
from bench.protocols.base import Labelled, Problem, Unlabelled

REAL = ("footulcer", "nuclei")
DEPTHS = ("stage 3", "stage 4", "stages 3+4", "raw pixels")
"""Encoders of the real files: three depths of EfficientNet-Lite0, and the pixels of a patch."""


def problems(name: str, encoders: list[str], most_train: int, most_test: int) -> dict[str, tuple[Problem, np.ndarray]]:
    """Encoder -> problem and true test masks; a real file has its own encoders, a phantom task those given."""
    if name in REAL:
        return real(name, most_train, most_test)
    return {Path(e).name: phantom(name, e, most_train, most_test) for e in encoders}


def phantom(name: str, encoder: str, most_train: int, most_test: int) -> tuple[Problem, np.ndarray]:
    """A shipped dense task under an encoder (folder of a card, or a reference name)."""
    loaded, data = load_encoder(encoder), load_task(shipped_tasks()[name])
    limit = {"train": most_train, "val": most_train, "test": most_test}
    images = {s: np.asarray(data.splits[s].images[:m]) for s, m in limit.items()}
    masks = {s: np.asarray(data.splits[s].labels[:m]) for s, m in limit.items()}
    found = {s: extract(loaded, x, dense=True) for s, x in images.items()}
    known = [Labelled(found[s], masks[s], None, images[s]) for s in ("train", "val")]
    tests = {"test": Unlabelled(found["test"], images["test"])}
    return Problem(data.task, *known, tests, masks["test"].shape[1:], loaded), masks["test"]


def real(name: str, most_train: int, most_test: int) -> dict[str, tuple[Problem, np.ndarray]]:
    """Encoder -> the problem of one real data set, and the true test masks."""
    data = np.load(DATA / f"{name}.npz")
    task = Task.parse({
        "schema": 1, "name": name, "title": name, "kind": "dense", "modality": "photo", "target": "mask",
        "classes": ["background", "lesion"], "metric": "dice", "licence": "-", "corpus": "-", "source": {},
    }, where=name)  # fmt: skip
    limit = {"train": most_train, "val": most_train, "test": most_test}
    images = {s: data[f"{s}_images"][:m] for s, m in limit.items()}
    masks = {s: (data[f"{s}_label"][:m] > 0).astype(np.uint8) for s, m in limit.items()}
    grids = {s: grids_of(x) for s, x in images.items()}
    out = {}
    for encoder in DEPTHS:
        known = [Labelled(Features(None, grids[s][encoder]), masks[s], None, images[s]) for s in ("train", "val")]
        test = {"test": Unlabelled(Features(None, grids["test"][encoder]), images["test"])}
        out[encoder] = Problem(task, *known, test, masks["test"].shape[1:]), masks["test"]
    return out


def grids_of(images: np.ndarray) -> dict[str, np.ndarray]:
    """Encoder -> float32 (n, 16, 16, c) patch grids; the network sees 256 pixels."""
    lite0 = network()
    parts: dict[str, list[Tensor]] = {name: [] for name in DEPTHS}
    for start in range(0, len(images), 32):
        x = torch.from_numpy(images[start : start + 32]).permute(0, 3, 1, 2).float() / 255
        x = (F.interpolate(x, size=256, mode="bicubic", antialias=True) - 0.498) / 0.502
        with torch.inference_mode():
            maps = lite0.forward_intermediates(x, intermediates_only=True)
        third, fourth = maps[3], F.interpolate(maps[4], size=maps[3].shape[2:], mode="bilinear")
        pixels = F.pixel_unshuffle(F.interpolate(x, size=64, mode="area"), 4)
        for name, value in zip(DEPTHS, (third, fourth, torch.cat([third, fourth], 1), pixels), strict=True):
            parts[name].append(value.permute(0, 2, 3, 1).contiguous())
    return {name: torch.cat(value).numpy() for name, value in parts.items()}
