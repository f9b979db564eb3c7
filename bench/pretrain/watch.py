"""Showing a run while it goes: a progress bar with the time left, and Weights & Biases, online or offline."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.pretrain.job import Job
from bench.pretrain.log import Listener, Row

WandbMode = Literal["offline", "online"]


@contextmanager
def watching(job: Job, folder: Path, *, wandb_mode: WandbMode | None = None) -> Iterator[Listener]:
    """A listener for `pretrain` that shows each row of the log wherever it was asked to."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(_bar(job))]
        if wandb_mode:
            listeners.append(stack.enter_context(_wandb(job, folder, wandb_mode)))

        def tell(row: Row) -> None:
            for listener in listeners:
                listener(row)

        yield tell


@contextmanager
def _bar(job: Job) -> Iterator[Listener]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[loss]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(job.name, total=job.steps, loss="")

        def show(row: Row) -> None:
            loss = f"loss {row['loss']:.4f}" if "loss" in row else ""
            progress.update(task, completed=row["step"], loss=loss)
            if "rankme" in row:
                knn = f", kNN {row['knn']:.3f}" if "knn" in row else ""
                progress.console.print(f"  step {row['step']}: {loss or 'untrained'}, RankMe {row['rankme']:.1f}{knn}")

        yield show


@contextmanager
def _wandb(job: Job, folder: Path, mode: WandbMode) -> Iterator[Listener]:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    config = {"objective": job.objective, "backbone": job.backbone, "seed": job.seed, **job.recipe.model_dump()}
    settings = wandb.Settings(silent=True, console="off")
    with wandb.init(project="medssl", name=job.name, dir=folder, mode=mode, config=config, settings=settings) as run:
        yield lambda row: run.log({k: v for k, v in row.items() if k != "step"}, step=row["step"])
