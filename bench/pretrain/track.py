"""The controlled track as a queue: every run it needs, in order of worth, skipping what is done.

Several processes may work on one queue: each run is locked while it is under way.
"""

import json
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from bench.locate import home
from bench.pretrain.corpus import Corpus
from bench.pretrain.job import Job, objectives
from bench.pretrain.recipe import Recipe
from bench.pretrain.ship import encoder_name, ship
from bench.pretrain.trainer import pretrain
from bench.pretrain.watch import WandbMode, watching

CNN = ("random-init", "simclr", "byol", "denoising", "contrastive-mim", "supervised")
"""One objective of each paradigm, and the references, also with the small CNN: architecture apart from paradigm."""
SEEDED = ("simclr", "dino", "mae", "ibot")
"""One objective of each paradigm with three pretraining seeds: the variance of pretraining itself."""
SEEDS = (1, 2)


def runs(recipe: Recipe) -> list[Job]:
    """All runs of the track: every objective with the transformer, then further seeds, then the CNN."""
    order = sorted(objectives().values(), key=lambda o: (o.trains, o.paradigm, o.name))
    return [
        *(Job(o.name, recipe) for o in order),
        *(Job(name, recipe, "vit", seed) for seed in SEEDS for name in SEEDED),
        *(Job(name, recipe, "cnn") for name in CNN),
    ]


def run_track(
    jobs: list[Job],
    corpus: Corpus,
    out: Path,
    *,
    threads: int,
    say: Callable[[str], None],
    wandb_mode: WandbMode | None = None,
    command_of: Callable[[Job], str] | None = None,
) -> None:
    """Work through `jobs`, each into `out/<name>`. Runs that are done, or under way elsewhere, are passed over.

    command_of: what makes one of them again, which its training.json says.
    """
    for job in jobs:
        folder = out / encoder_name(job, corpus)
        work = home() / "pretrain" / "runs" / job.identity(corpus.sha256)[:16]
        work.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(work / "lock", timeout=0):
                if done(job, corpus, folder):
                    say(f"{job.name}: done")
                    continue
                run_job(
                    job, corpus, folder, work, threads=threads, command=command_of(job) if command_of else None,
                    track=job.recipe.comparison, wandb_mode=wandb_mode,
                )  # fmt: skip
                say(f"{job.name}: finished")
        except Timeout:
            say(f"{job.name}: under way in another process")


def done(job: Job, corpus: Corpus, folder: Path) -> bool:
    """Whether `folder` holds this very run, finished."""
    if not (folder / "encoder.toml").exists():
        return False
    return json.loads((folder / "training.json").read_text())["run"] == job.identity(corpus.sha256)


def run_job(
    job: Job,
    corpus: Corpus,
    folder: Path,
    work: Path,
    *,
    threads: int,
    device: str = "cpu",
    command: str | None = None,
    track: str | None = None,
    wandb_mode: WandbMode | None = None,
    compiled: bool = False,
) -> Path:
    """Train one job (log and checkpoint in `work`) and ship it to `folder`; returns the card's path."""
    with watching(job, work, wandb_mode=wandb_mode) as listen:
        trained = pretrain(job, corpus, work, device=device, threads=threads, listen=listen, compiled=compiled)
    command = command or job.command(f"--corpus {job.recipe.corpus}", threads=threads)
    return ship(job, corpus, trained, folder, command=command, track=track, device=device)
