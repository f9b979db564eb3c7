"""What the benchmark adds to the forward passes of an encoder: in extraction, and over a whole suite."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import timm
import torch
from solver_data import table

from bench.allocator import freed_memory_kept
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.preprocess import prepare
from bench.features.extract import BATCH, extract
from bench.runs.fingerprint import fingerprint_of
from bench.runs.plan import make_plan
from bench.runs.score_task import Setting, score_task

TINY = {"img_size": 64, "patch_size": 8, "embed_dim": 96, "depth": 6}
NETWORKS = {
    "tiny ViT": ("vit_tiny_patch16_224", 64, 128, TINY),
    "ResNet-18": ("resnet18", 128, 256, {}),
    "ViT-S/16": ("vit_small_patch16_224", 224, 224, {}),
}
"""Name -> timm model (random weights: time does not depend on them), size, dense size, options."""
Clock = Callable[[], float]


class Network(Encoder):
    """A timm network with random weights, as the adapters of the benchmark run it."""

    def __init__(self, name: str, size: int, dense_size: int, options: dict[str, object]) -> None:
        super().__init__(EncoderCard.parse({
            "schema": 1, "name": name.replace("_", "-"), "version": "1", "title": name, "authors": ["-"],
            "licence": "-", "paradigm": "reference", "objective": "random-init", "method": "none",
            "architecture": "cnn" if "resnet" in name else "vit", "source": {"adapter": "timm", "model": name},
            "preprocessing": {"size": size, "dense_size": dense_size, "mean": [0.5], "std": [0.25]},
        }, where=name))  # fmt: skip
        torch.manual_seed(0)
        self.vit = "vit" in name
        more = {"dynamic_img_size": True} if self.vit else {}
        self.net = timm.create_model(name, num_classes=0, **more, **options).eval()

    @property
    def module(self) -> torch.nn.Module:
        return self.net

    def forward(self, x: torch.Tensor, dense: bool) -> Encoded:
        if not dense:
            return Encoded(self.net(x), None)
        final, maps = self.net.forward_intermediates(x, indices=1 if self.vit else None)
        return Encoded(self.net.forward_head(final), maps[-1 if self.vit else -2].permute(0, 2, 3, 1))


def suite(args: argparse.Namespace) -> None:
    """Extraction, and every protocol, budget and seed of phantom-v1, over the bare forward passes they need."""
    clock = time.process_time if args.cpu else time.perf_counter
    rows = []
    for title in args.networks:
        model, size, dense_size, options = NETWORKS[title]
        encoder = Network(model, size, dense_size, options)
        for name in args.tasks:
            data = load_task(make_plan("phantom-mini").tasks[name])
            n, pixels = sum(len(s) for s in data.splits.values()), dense_size if data.task.kind == "dense" else size
            bare, extraction = _paces(encoder, data, args.repeats, clock)
            units, whole = _protocols(encoder, data, clock)
            cells = [f"{1 / bare:.0f}", f"{1 / extraction:.0f}", f"{bare / extraction:.2f}", str(units)]
            cells += [f"{n * bare:.1f}", f"{whole:.1f}", f"{whole / (n * bare):.2f}"]
            rows.append([f"{title}, {pixels} px", data.task.kind, *cells])
    table(
        "Extraction and the frozen protocols of phantom-v1 on one global and one dense task of 530 images",
        "encoder | task | images/s, bare forward | images/s, extracted | share of bare speed | units | bare forward, s "
        "| whole, s | whole / bare",
        rows,
    )


def _paces(encoder: Encoder, data: TaskData, repeats: int, clock: Clock) -> tuple[float, float]:
    """Median seconds an image of the bare forward on ready float tensors, and of extraction from stored images.

    Both see two batches of training images, in turn.
    """
    dense, images = data.task.kind == "dense", data.train.images[: 2 * BATCH]
    ready = prepare(torch.as_tensor(np.array(images)), encoder.card.preprocessing, dense=dense)
    bare, extraction = [], []
    for _ in range(repeats):
        started = clock()
        with freed_memory_kept(), torch.inference_mode():
            for x in ready.split(BATCH):
                encoder.forward(x, dense)
        between = clock()
        extract(encoder, images, dense=dense)
        bare.append((between - started) / len(images))
        extraction.append((clock() - between) / len(images))
    return statistics.median(bare), statistics.median(extraction)


def _protocols(encoder: Encoder, data: TaskData, clock: Clock) -> tuple[int, float]:
    """Number of units and seconds of encoding, solving and statistics."""
    plan = make_plan("phantom-v1")
    setting = Setting("benchmark", "phantom-v1", fingerprint_of(plan), scoring=plan.suite.scoring)
    started = clock()
    results = list(score_task(encoder, data.task, None, plan.units(data.task), dict(plan.protocols), (), setting))
    return len(results), clock() - started
