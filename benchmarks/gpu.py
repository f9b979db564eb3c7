"""What a device adds to bare forward passes: extraction, frozen suites, statistics, training. One command.

    python benchmarks/gpu.py [--device cuda] [--small] [--out docs/gpu.md] [part ...]

Parts: extraction, phantoms, standin, trainer, track; all of them without a name. Each line stands beside the bare
forward (or training) pass of the same run: the network alone, on images that lie on the device already, at the best of
three batch sizes. The stand-in has the shapes of official sets (TissueMNIST, ChestMNIST, one dense set of 256 pixels)
and random images, since cost does not depend on what is in them; phantoms are drawn, and sets prepared, before the
clock starts. --small shrinks everything, to rehearse the script on a CPU in two minutes; its numbers say nothing.
--out writes the lines into the page.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import timm
import torch

import bench
from bench.data.load import load_task
from bench.encoders.base import Encoder
from bench.features.device import place
from bench.features.extract import extract
from bench.markers import refresh, table
from bench.pretrain.comparison import Settings, compare
from bench.pretrain.corpus import Corpus, open_corpus
from bench.pretrain.feed import batch_of
from bench.pretrain.job import Job
from bench.pretrain.ledger import Ledger
from bench.pretrain.recipe import read_recipe
from bench.pretrain.results import ComparisonFolder
from bench.pretrain.schedule import encoders
from bench.pretrain.trainer import FETCH, pretrain
from bench.runs.options import RunSpec
from bench.runs.run import run_plan, session
from bench.runs.timing import timing

NETWORKS = {"ViT-S": "vit_small_patch16_224", "ViT-B": "vit_base_patch16_224", "ViT-L": "vit_large_patch16_224",
            "ResNet-50": "resnet50"}  # fmt: skip
TINY = {"ViT-Ti": "vit_tiny_patch16_224", "ResNet-18": "resnet18"}
PHANTOMS = ("phantom-xray-diffuse", "phantom-xray-dense", "phantom-ct-focal", "phantom-ultrasound-dense")
HEAD = ("line", "measured", "bare pass of the same run", "aim")
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


@dataclass(frozen=True)
class Line:
    """One measurement: what, its value, what the bare pass of the same run gave, and the aim."""

    what: str
    value: str
    bare: str
    aim: str


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    device: str
    images: int
    side: int
    batches: tuple[int, ...]
    scale: float
    steps: int

    @property
    def kind(self) -> str:
        """Of the device, without its number."""
        return torch.device(self.device).type

    @classmethod
    def of(cls, device: str, small: bool) -> Sizes:
        """Full size, or small enough for a rehearsal."""
        return cls(device, 8, 64, (4,), 0.002, 3) if small else cls(device, 4096, 224, (128, 256, 512), 1.0, 40)


def main() -> None:
    """Measure, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    sizes, lines = Sizes.of(asked.device, asked.small), []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSSL_HOME"] = f"{folder}/home"
        for part in asked.parts or PARTS:
            for line in PARTS[part](sizes, Path(folder)):
                lines.append(line)
                print(f"| {line.what} | {line.value} | {line.bare} | {line.aim} |", flush=True)
    if asked.out and not asked.small:
        on = torch.cuda.get_device_name(asked.device) if sizes.kind == "cuda" else f"{torch.get_num_threads()} threads"
        refresh(asked.out, {"gpu": f"Measured on {on}.\n\n" + table(HEAD, map(astuple, lines))})


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


def seconds(work: Callable[[], object], device: str) -> float:
    """Seconds of `work`, with all that it set going on the device."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def bare(encoder: Encoder, sizes: Sizes) -> float:
    """Images a second of the network alone, best of the batch sizes."""
    best = 0.0
    for batch in sizes.batches:
        x = torch.rand(batch, 3, sizes.side, sizes.side, device=sizes.device)
        if sizes.kind == "cuda":
            x = x.contiguous(memory_format=torch.channels_last)
        times = max(1, sizes.images // batch)

        def forward(x: torch.Tensor = x, times: int = times) -> None:
            half = torch.autocast(sizes.kind, encoder.autocast, enabled=encoder.autocast is not None)
            with torch.inference_mode(), half:
                for _ in range(times):
                    encoder.module.forward_features(x)

        forward()
        best = max(best, times * batch / seconds(forward, sizes.device))
    return best


def extraction(sizes: Sizes, folder: Path) -> Iterator[Line]:
    """Global and dense features with the defaults, as a share of the bare pass."""
    images = np.random.default_rng(0).integers(0, 256, (sizes.images, sizes.side, sizes.side, 3), dtype=np.uint8)
    for name, model in NETWORKS.items():
        encoder = network(model, sizes)
        alone = bare(encoder, sizes)
        for dense, aim in ((False, ">= .92"), (True, ">= .85")):
            some = images[: len(images) // (1 + dense)]
            extract(encoder, some[:8], dense=dense)
            rate = len(some) / seconds(lambda e=encoder, s=some, d=dense: extract(e, s, dense=d), sizes.device)
            kind = "dense" if dense else "global"
            yield Line(
                f"extraction, {kind}, {name}", f"{rate:,.0f} images/s ({rate / alone:.2f})", f"{alone:,.0f}", aim
            )


def suite_line(what: str, encoder: Encoder, spec: RunSpec, sizes: Sizes, aim: str) -> Line:
    """A whole run beside what the bare pass would take for its images."""
    plan = session(spec)[1]
    data = (load_task(plan.tasks[name], folder=plan.folders[name]) for name in plan.selected)
    images = sum(len(split) for task in data for split in task.splits.values())
    started = time.perf_counter()
    records = run_plan(encoder, plan, spec, lambda message, record: None, print)
    wall = time.perf_counter() - started
    failed = [r.reason for r in records if r.status == "failed"]
    if failed:
        raise SystemExit(f"{what}: {len(failed)} units failed: {failed[0]}")
    alone = images / bare(encoder, sizes)
    return Line(what, f"{wall:.1f} s ({wall / alone:.2f} x); {timing(records, wall)}", f"{alone:.1f} s", aim)


def phantoms(sizes: Sizes, folder: Path) -> Iterator[Line]:
    """Phantom tasks under all frozen protocols; on a CPU, the whole suite with two small networks."""
    suite, only = ("phantom-v1", PHANTOMS) if sizes.scale == 1 else ("phantom-mini", ())
    on_gpu = sizes.kind == "cuda"
    for name, model in ({"ViT-B": NETWORKS["ViT-B"]} if on_gpu else TINY).items():
        encoder = network(model, sizes)
        spec = RunSpec.of("raw-pixels", suite, only=only, out=f"{folder}/{name}", device=sizes.device, cache=False)
        aim = "<= 4 s" if on_gpu else {"ViT-Ti": "<= 1.8 x", "ResNet-18": "<= 1.15 x"}[name]
        yield suite_line(f"{suite}, {len(only) or 'all'} tasks, {name}", encoder, spec, sizes, aim)


def standin(sizes: Sizes, folder: Path) -> Iterator[Line]:
    """Sets of the shapes of official ones, under all frozen protocols."""
    tasks, rng = folder / "tasks", np.random.default_rng(0)
    tasks.mkdir()
    shapes = {
        "tissue": ("multi-class", 8, (165466, 23640, 47280), 28),
        "chest": ("multi-label", 14, (78468, 11219, 22433), 28),
        "dense": ("mask", 2, (800, 100, 100), 256),
    }
    for name, (target, k, counts, side) in shapes.items():
        arrays = {}
        for split, n in zip(("train", "val", "test"), counts, strict=True):
            n = max(60, round(n * sizes.scale))
            arrays[f"{split}_images"] = rng.integers(0, 256, (n, side, side), dtype=np.uint8)
            shape = {"multi-class": (n,), "multi-label": (n, k), "mask": (n, side // 32, side // 32)}[target]
            labels = rng.integers(0, 2 if target == "multi-label" else k, shape, np.uint8)
            if target == "mask":  # squares: noise would be all border, which the distances between borders pay for
                labels = labels.repeat(32, 1).repeat(32, 2)
            arrays[f"{split}_label" if target == "mask" else f"{split}_labels"] = labels
        np.savez(tasks / f"{name}.npz", **arrays)
        classes = str([f"class {i}" for i in range(k)]).replace("'", '"')
        (tasks / f"{name}.toml").write_text(CARD.format(name=name, target=target, classes=classes))
    encoder = network(NETWORKS["ViT-B"] if sizes.scale == 1 else TINY["ViT-Ti"], sizes)
    for only, aim in ((("tissue", "chest"), "<= 1.3 x"), (("dense",), "")):
        where = {"suite": None, "tasks": str(tasks), "only": only, "out": f"{folder}/{only[0]}"}
        spec = RunSpec.of("raw-pixels", **where, device=sizes.device, cache=False)
        yield suite_line(f"stand-in of {' + '.join(only)}", encoder, spec, sizes, aim)


def trainer(sizes: Sizes, folder: Path) -> Iterator[Line]:
    """Views a second of the trainer, and of its network alone on the same batches."""
    for recipe, aim in (("tiny", ">= 60,000"), ("base", ">= .85")):
        known = read_recipe(recipe)
        changed = {"steps": max(3, round(sizes.scale * 4 * FETCH)), "evaluations": 1, "checkpoints": 1}
        if sizes.scale < 1:
            changed |= {"views_per_step": 8}
        job = Job("simclr", known.model_copy(update=changed))
        side, n = job.recipe.size, max(64, min(3000, round(3000 * sizes.scale)))
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)
        corpus = Corpus("noise", images, {"label": rng.integers(0, 3, n)}, "0" * 64)
        rows = pretrain(job, corpus, folder / f"trained-{recipe}", device=sizes.device).rows
        step = median(row["seconds"] for row in rows[len(rows) // 2 :])
        alone = _bare_step(job, corpus, sizes)
        views = job.recipe.views_per_step
        rate, best = views / step, views / alone
        yield Line(f"trainer, {recipe} recipe", f"{rate:,.0f} views/s ({rate / best:.2f})", f"{best:,.0f}", aim)


def track(sizes: Sizes, folder: Path) -> Iterator[Line]:
    """Views a second of the controlled track's own command, several networks at once, and what a seed would take."""
    recipe, side = read_recipe("open-small"), 128
    workers, minutes = (8, 1.5) if sizes.kind == "cuda" else (1, 2.0)
    if sizes.scale < 1:
        heads = recipe.heads.model_copy(update={"hidden": 32, "prototypes": 32})
        vit = recipe.vit.model_copy(update={"dim": 32, "depth": 1})
        recipe = recipe.model_copy(update={"steps": 8, "views_per_step": 8, "heads": heads, "vit": vit})
    rng, n = np.random.default_rng(0), max(64, round(15_000 * sizes.scale))
    images = rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    np.savez(folder / "noise.npz", images=images, labels=rng.integers(0, 3, n))
    settings = Settings("noise", folder / "noise.npz", sizes.device, workers=workers, minutes=minutes)
    corpus = open_corpus("noise", recipe, data=settings.data)
    found = compare(
        recipe, ComparisonFolder(folder / "track", Ledger.of(recipe, corpus)), settings, say=lambda line: None
    )
    if not found.views:
        raise SystemExit(f"track: nothing was finished in {minutes:g} minutes; is the machine busy with other work?")
    rate, seed = found.views / found.seconds, [job for job in encoders(recipe) if not job.seed and job.kind.trains]
    whole = len(seed) * recipe.views / rate / 60
    value = f"{rate:,.0f} views/s; {len(seed)} encoders of one seed: {whole:.1f} minutes"
    yield Line(f"track, {workers} networks at once, {found.trials} trials, starts included", value, "", "<= 9 minutes")


def _bare_step(job: Job, corpus: Corpus, sizes: Sizes) -> float:
    """Seconds of the backbone's forward and backward pass and an AdamW step on a batch that lies there already."""
    model = job.build(corpus).to(sizes.device)
    optimiser = torch.optim.AdamW(model.backbone.parameters())
    images = batch_of(job, corpus, 0, sizes.device).images
    images = images.repeat(-(-job.recipe.views_per_step // len(images)), 1, 1, 1)[: job.recipe.views_per_step]
    half = job.recipe.precision == "bfloat16" and sizes.kind == "cuda"

    def step() -> None:
        with torch.autocast(sizes.kind, torch.bfloat16, enabled=half):
            loss = model.backbone(images).float().square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    step()
    return median(seconds(step, sizes.device) for _ in range(min(10, sizes.steps)))


PARTS = {"extraction": extraction, "phantoms": phantoms, "standin": standin, "trainer": trainer, "track": track}

if __name__ == "__main__":
    main()
