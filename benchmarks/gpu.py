"""What a device adds to bare forward passes: extraction, frozen suites, statistics, training. One command.

    python benchmarks/gpu.py [--device cuda] [--minutes 6] [--small] [--out docs/gpu.md] [part ...]

Parts: extraction, phantoms, trainer, standin, track, core; all of them without a name, in this order. Each line stands
beside the bare forward (or training) pass of the same run: the network alone, on images that lie on the device already,
at the best of three batch sizes. The stand-in has the shapes of official sets (TissueMNIST, ChestMNIST, one dense set
of 256 pixels) and random images, since cost does not depend on what is in them; phantoms are drawn, and sets prepared,
before the clock starts. core is the forecast of a dry run of core-v1, for which nothing is downloaded.

--out writes the page anew after each line; a file that is not there yet gets the table alone. What fails, and what
finds no time (--minutes, without limit on a CPU), is a line of its own, the rest goes on, and the exit code is 1.
--small shrinks everything, to rehearse the script on a CPU in two minutes; its numbers say nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import timm
import torch

import bench
from bench.data.load import load_task
from bench.encoders.base import Encoder
from bench.errors import UserError
from bench.features.device import place
from bench.features.extract import CUDA_BATCH, extract
from bench.runs.estimate import estimate
from bench.runs.options import RunSpec
from bench.runs.plan import make_plan
from bench.runs.run import run_plan, session
from bench.runs.timing import timing
from benchmarks.gpu_lines import Line, Measure, Page, Sizes, measured, seconds
from benchmarks.gpu_training import track, trainer
from benchmarks.noise_sets import write_noise

NETWORKS = {"ViT-S": "vit_small_patch16_224", "ViT-B": "vit_base_patch16_224", "ViT-L": "vit_large_patch16_224",
            "ResNet-50": "resnet50"}  # fmt: skip
TINY = {"ViT-Ti": "vit_tiny_patch16_224", "ResNet-18": "resnet18"}
PHANTOMS = ("phantom-xray-diffuse", "phantom-xray-dense", "phantom-ct-focal", "phantom-ultrasound-dense")
SETS = {
    "tissue": ("multi-class", 8, (165466, 23640, 47280), 28),
    "chest": ("multi-label", 14, (78468, 11219, 22433), 28),
    "dense": ("mask", 2, (800, 100, 100), 256),
}
"""Name -> target, classes, images of each split, their side: TissueMNIST, ChestMNIST, a set of masks."""


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="part")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, help="begin nothing, and break off, after this time")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.out and asked.small:
        parser.error("--small measures nothing that belongs on a page: leave --out away")
    sizes = Sizes.of(asked.device, asked.small)
    minutes = asked.minutes or (6.0 if sizes.kind == "cuda" else float("inf"))
    deadline = time.monotonic() + 60 * minutes
    try:
        page = Page(asked.out, sizes.device)
    except UserError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSSL_HOME"] = f"{folder}/home"
        for part in asked.parts or PARTS:
            for what, measure in PARTS[part](sizes, Path(folder)):
                for line in measured(what, measure, deadline):
                    page.add(line)
    return int(page.failed)


def network(model: str, sizes: Sizes) -> Encoder:
    """A timm network of random weights with its patch grid, placed as a run places it."""
    torch.manual_seed(0)
    options = {"img_size": sizes.side} if model.startswith("vit") else {}
    module = timm.create_model(model, pretrained=False, num_classes=0, global_pool="", **options)
    half = (0.5,) * 3
    encoder = bench.wrap(module, name="stand-in", size=sizes.side, mean=half, std=half, features=_read)
    return place(encoder, sizes.device)


def _read(module: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    out = module.forward_features(x)
    if out.ndim == 4:
        return out.mean((2, 3)), out
    side = round((out.shape[1] - 1) ** 0.5)
    return out[:, 0], out[:, 1:].transpose(1, 2).unflatten(2, (side, side))


def bare(encoder: Encoder, sizes: Sizes) -> float:
    """Images a second of the network alone, best of the batch sizes that find room."""
    best = 0.0
    for batch in sizes.batches:
        try:
            best = max(best, _bare(encoder, batch, sizes))
        except torch.OutOfMemoryError:
            if not best:
                raise
    return best


def _bare(encoder: Encoder, batch: int, sizes: Sizes) -> float:
    x = torch.rand(batch, 3, sizes.side, sizes.side, device=sizes.device)
    if sizes.kind == "cuda":
        x = x.contiguous(memory_format=torch.channels_last)
    times = max(1, sizes.images // batch)

    def forward(times: int) -> None:
        half = torch.autocast(sizes.kind, encoder.autocast, enabled=encoder.autocast is not None)
        with torch.inference_mode(), half:
            for _ in range(times):
                encoder.module.forward_features(x)

    forward(min(3, times))
    return times * batch / seconds(partial(forward, times), sizes.device)


def extraction(sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Global and dense features with the defaults, as a share of the bare pass."""
    for name, model in NETWORKS.items():
        yield f"extraction, {name}", partial(_extraction, name, model, sizes)


def _extraction(name: str, model: str, sizes: Sizes) -> Iterator[Line]:
    images = np.random.default_rng(0).integers(0, 256, (sizes.images, sizes.side, sizes.side, 3), dtype=np.uint8)
    encoder = network(model, sizes)
    alone = bare(encoder, sizes)
    for dense, aim in ((False, ">= .92"), (True, ">= .85")):
        some = images[: len(images) // (1 + dense)]
        extract(encoder, some[:CUDA_BATCH], dense=dense)
        rate = len(some) / seconds(partial(extract, encoder, some, dense=dense), sizes.device)
        kind = "dense" if dense else "global"
        yield Line(f"extraction, {kind}, {name}", f"{rate:,.0f} images/s ({rate / alone:.2f})", f"{alone:,.0f}", aim)


def suite_line(what: str, model: str, spec: RunSpec, sizes: Sizes, aim: str) -> Iterator[Line]:
    """A whole run beside what the bare pass would take for its images."""
    encoder, plan = network(model, sizes), session(spec)[1]
    data = (load_task(plan.tasks[name], folder=plan.folders[name]) for name in plan.selected)
    images = sum(len(split) for task in data for split in task.splits.values())
    started = time.perf_counter()
    records = run_plan(encoder, plan, spec, lambda message, record: None)
    wall = time.perf_counter() - started
    failed = [r.reason for r in records if r.status == "failed"]
    if failed:
        raise RuntimeError(f"{len(failed)} units failed: {failed[0]}")
    alone = images / bare(encoder, sizes)
    yield Line(what, f"{wall:.1f} s ({wall / alone:.2f} x); {timing(records, wall)}", f"{alone:.1f} s", aim)


def phantoms(sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Phantom tasks under all frozen protocols; on a CPU with two small networks."""
    suite, only = ("phantom-v1", PHANTOMS) if sizes.scale == 1 else ("phantom-mini", ())
    for name, model in ({"ViT-B": NETWORKS["ViT-B"]} if sizes.kind == "cuda" else TINY).items():
        aim = {"ViT-B": "<= 4 s", "ViT-Ti": "<= 1.8 x", "ResNet-18": "<= 1.15 x"}[name]
        spec = RunSpec.of("raw-pixels", suite, only=only, out=f"{folder}/{name}", device=sizes.device, cache=False)
        what = f"{suite}, {len(only) or 'all'} tasks, {name}"
        yield what, partial(suite_line, what, model, spec, sizes, aim)


def standin(sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Sets of the shapes of official ones, under all frozen protocols."""
    for only, aim in ((("tissue", "chest"), "<= 1.3 x"), (("dense",), "")):
        what = f"stand-in of {' + '.join(only)}"
        yield what, partial(_standin, what, only, aim, sizes, folder)


def _standin(what: str, only: tuple[str, ...], aim: str, sizes: Sizes, folder: Path) -> Iterator[Line]:
    tasks = folder / f"tasks-{only[0]}"
    tasks.mkdir()
    for name in only:
        _write_set(name, tasks, sizes.scale)
    where = {"suite": None, "tasks": str(tasks), "out": f"{folder}/{only[0]}", "device": sizes.device, "cache": False}
    model = NETWORKS["ViT-B"] if sizes.scale == 1 else TINY["ViT-Ti"]
    yield from suite_line(what, model, RunSpec.of("raw-pixels", **where), sizes, aim)


def _write_set(name: str, tasks: Path, scale: float) -> None:
    rng, arrays = np.random.default_rng(0), {}
    target, k, counts, side = SETS[name]
    for split, n in zip(("train", "val", "test"), counts, strict=True):
        n = max(60, round(n * scale))
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, side, side), dtype=np.uint8)
        shape = {"multi-class": (n,), "multi-label": (n, k), "mask": (n, side // 32, side // 32)}[target]
        labels = rng.integers(0, 2 if target == "multi-label" else k, shape, np.uint8)
        if target == "mask":  # squares: noise would be all border, which the distances between borders pay for
            labels = labels.repeat(32, 1).repeat(32, 2)
        arrays[f"{split}_label" if target == "mask" else f"{split}_labels"] = labels
    write_noise(tasks, name, target, k, arrays)


def core(sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """The forecast of core-v1 before its data are there: noise of the shapes of its sets."""
    what = "core-v1, forecast of a dry run, ViT-B" if sizes.scale == 1 else "core-v1, two tasks, forecast of a dry run"
    yield what, partial(_core, what, sizes)


def _core(what: str, sizes: Sizes) -> Iterator[Line]:
    plan = make_plan("core-v1", only=() if sizes.scale == 1 else ("breastmnist-224", "kvasir-256"))
    encoder = network(NETWORKS["ViT-B"] if sizes.scale == 1 else TINY["ViT-Ti"], sizes)
    found = estimate(encoder, plan)
    images = sum(task.images for task in found.tasks)
    each = f"{found.seconds / 60:.1f} minutes, {found.memory_bytes / 1e9:.1f} GB of memory; units one after the other"
    yield Line(what, each, f"{images / bare(encoder, sizes) / 60:.1f} minutes", "<= 15 minutes")


PARTS = {"extraction": extraction, "phantoms": phantoms, "trainer": trainer, "standin": standin, "track": track,
         "core": core}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
