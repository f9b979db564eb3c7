"""Small made-up problems of every target kind, and an encoder that computes something from their images."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from bench.data.task import Task
from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.features import Features
from bench.encoders.text import TextTower
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.words import SCALARS

METRICS = {"binary": "auroc", "multi-class": "auroc", "multi-label": "auroc", "ordinal": "qwk", "mask": "dice",
           "number": "r2", "survival": "c_index"}  # fmt: skip


class TinyEncoder(Encoder):
    """One convolution; its weights are learnt in fine-tuning."""

    def __init__(self) -> None:
        super().__init__(EncoderCard.parse({
            "schema": 1, "name": "tiny", "version": "1", "title": "Tiny", "authors": ["A"], "licence": "MIT",
            "paradigm": "reference", "objective": "random-init", "method": "none", "architecture": "cnn",
            "source": {"kind": "none"}, "preprocessing": {"size": 16, "mean": [0.5], "std": [0.25], "channels": 1},
        }, where="tiny"))  # fmt: skip
        torch.manual_seed(0)
        self.net = torch.nn.Conv2d(1, 6, 4, stride=4)

    @property
    def module(self) -> torch.nn.Module:
        return self.net

    def text_tower(self) -> TextTower:
        return TinyText()

    def forward(self, x, dense):
        grid = torch.relu(self.net(x))
        return Encoded(grid.mean((2, 3)), grid.permute(0, 2, 3, 1) if dense else None)


class TinyText(TextTower):
    """A sentence is a direction drawn by its letters."""

    sha256, sigmoid = "0" * 64, True

    def embed(self, sentences: Sequence[str]) -> torch.Tensor:
        drawn = [np.random.default_rng(list(sentence.encode())).normal(size=6) for sentence in sentences]
        return torch.nn.functional.normalize(torch.tensor(np.stack(drawn), dtype=torch.float32))

    def logits(self, pooled: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return 10 * torch.nn.functional.normalize(pooled) @ texts.t() - 1


def make_task(target: str, k: int = 3, name: str | None = None) -> Task:
    """A card for a made-up task."""
    k = {"binary": 2, "number": 1, "survival": 1}.get(target, k)
    return Task.parse({
        "schema": 1, "name": name or f"made-up-{target}", "title": "Made up",
        "kind": "dense" if target == "mask" else "global", "modality": "mri", "target": target,
        "classes": [f"c{i}" for i in range(k)], "metric": METRICS[target],
        "licence": "CC0", "corpus": "none", "source": {"reader": "none"}, **_prompts(target, k),
    }, where="test")  # fmt: skip


def _prompts(target: str, k: int) -> dict[str, Any]:
    """Of tasks of classes."""
    if target in ("mask", *SCALARS):
        return {}
    return {"prompts": {"templates": ["{}", "a scan of {}"], "classes": {f"c{i}": [f"class {i}"] for i in range(k)}}}


DEPTH = 4
"""Slices of a volume."""


def volumes_of(problem: Problem) -> Problem:
    """The images of a problem with masks, four in a row, as the slices of volumes of 3 x 1 x 1 mm."""

    def stacked(array: np.ndarray) -> np.ndarray:
        n = len(array) // DEPTH
        return array[: n * DEPTH].reshape(n, DEPTH, *array.shape[1:])

    def more(part: Labelled | Unlabelled) -> dict:
        grid, n = stacked(part.features.patches), len(part.images) // DEPTH
        features = Features(grid.mean((1, 2, 3)), grid, grid.reshape(n, -1, grid.shape[-1]))
        spacing, sizes = np.tile([3.0, 1.0, 1.0], (n, 1)), np.full(n, DEPTH)
        return {"features": features, "images": stacked(part.images), "spacing": spacing, "sizes": sizes}

    task = problem.task.model_copy(update={"source": {"reader": "none", "volume": True}})
    train, val = (replace(p, **more(p), labels=stacked(p.labels)) for p in (problem.train, problem.val))
    tests = {name: replace(test, **more(test)) for name, test in problem.tests.items()}
    return replace(problem, task=task, train=train, val=val, tests=tests, mask_size=train.labels.shape[1:])


def make_problem(target: str, *, k: int = 3, sizes: tuple[int, int, int] = (60, 24, 20), seed: int = 0) -> Problem:
    """A learnable problem with d = 6 features and a 4 x 4 grid of 6 channels on 16 x 16 images."""
    task, rng = make_task(target, k), np.random.default_rng(seed)
    k, encoder, n = len(task.classes), TinyEncoder(), sum(sizes)
    k = max(k, 3) if target in SCALARS else k
    hidden = rng.integers(0, k, n)
    images = rng.integers(0, 60, (n, 16, 16, 1)).astype(np.uint8)
    labels: np.ndarray = hidden
    if target == "mask":
        labels = np.zeros((n, 16, 16), dtype=np.uint8)
        for i in range(n):
            for c in range(1, k):
                top, left = rng.integers(0, 10, 2)
                labels[i, top : top + 6, left : left + 6] = c
        images[..., 0] += labels * np.uint8(180 // k)
    else:
        images += (hidden * (180 // k)).astype(np.uint8)[:, None, None, None]
        if target == "number":
            labels = 10.0 * hidden + rng.normal(size=n)
        if target == "survival":
            labels = np.stack([rng.exponential(2.0 ** (4 - hidden)).round(1) + 0.1, rng.random(n) < 0.7], axis=1)
        if target == "multi-label":
            labels = (rng.random((n, k)) < 0.2).astype(np.uint8)
            labels[np.arange(n), hidden] = 1
    with torch.inference_mode():
        out = encoder.encode(torch.as_tensor(images), dense=True)
    assert out.grid is not None
    grid = out.grid.numpy()
    ends = np.cumsum((0, *sizes))
    part = [slice(a, b) for a, b in pairwise(ends)]
    bags = rng.integers(4, 17, n)  # the places of the grid as images of a bag, for protocols of bags
    members = np.where((np.arange(16) < bags[:, None])[..., None], grid.reshape(n, 16, -1), 0)
    whole = Features(out.pooled.numpy(), grid, members.astype(np.float32))
    train, val = (Labelled(whole.rows(rows), labels[rows], None, images[rows], bags[rows]) for rows in part[:2])
    return Problem(
        task,
        train,
        val,
        {"test": Unlabelled(whole.rows(part[2]), images[part[2]], None, bags[part[2]])},
        (16, 16) if target == "mask" else None,
        encoder,
    )
