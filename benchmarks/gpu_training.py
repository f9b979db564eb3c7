"""Training by `benchmarks/gpu.py`: the trainer beside its bare network, and the controlled track's own command."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from bench.pretrain.comparison import Settings, compare
from bench.pretrain.corpus import Corpus, open_corpus
from bench.pretrain.feed import batch_of
from bench.pretrain.job import Job
from bench.pretrain.ledger import Ledger
from bench.pretrain.recipe import read_recipe
from bench.pretrain.results import ComparisonFolder
from bench.pretrain.schedule import encoders
from bench.pretrain.trainer import FETCH, pretrain
from benchmarks.gpu_lines import Line, Measure, Sizes, seconds


def trainer(sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Views a second of the trainer, and of its network alone on the same batches."""
    for recipe, aim in (("tiny", ">= 60,000"), ("base", ">= .85")):
        yield f"trainer, {recipe} recipe", partial(_trainer, recipe, aim, sizes, folder)


def _trainer(recipe: str, aim: str, sizes: Sizes, folder: Path) -> Iterator[Line]:
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


def track(sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Views a second of the controlled track's own command, several networks at once, and what a seed would take."""
    workers, minutes = (8, 1.5) if sizes.kind == "cuda" else (1, 2.0)
    yield f"track, {workers} networks at once", partial(_track, workers, minutes, sizes, folder)


def _track(workers: int, minutes: float, sizes: Sizes, folder: Path) -> Iterator[Line]:
    recipe, side = read_recipe("open-small"), 128
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
        raise RuntimeError(f"nothing was finished in {minutes:g} minutes; is the machine busy with other work?")
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
