"""`medssl pretrain`: Train an encoder from scratch with one objective, or the whole controlled track."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from bench.pretrain.recipe import read_recipe


@click.command()
@click.option("--objective", help="What to learn from; 'list' names them all.")
@click.option(
    "--corpus", default="phantom-v1", show_default=True, help="phantom-v1, or a task whose training images to use."
)
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="Your own images: a folder, a task card, npz or npy.",
)
@click.option(
    "--recipe", "recipe_name", default="tiny", show_default=True, help="tiny, base, or a TOML file of your own."
)
@click.option("--backbone", default="vit", show_default=True, help="vit or cnn.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31), help="Seed of weights and draws.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the encoder [default: pretrained/NAME; with --track: submissions].",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(0),
    help="CPU threads; 0 is torch's default. Part of what makes a run repeatable.",
)
@click.option("--wandb", "wandb_mode", type=click.Choice(["offline", "online"]), help="Also log to Weights & Biases.")
@click.option(
    "--track", is_flag=True, help="Train every encoder of the recipe's controlled track that is not done yet."
)
@click.option(
    "--tune", is_flag=True, help="Run the recipe's equal tuning budget for every objective (or for --objective)."
)
@click.option(
    "--report",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Refresh the tables of this Markdown file.",
)
def pretrain(
    objective, corpus, data, recipe_name, backbone, seed, out, device, threads, wandb_mode, track, tune, report
) -> None:
    """Train an encoder from scratch with one objective, or the whole controlled track.

    A run that was interrupted goes on where it stopped when the same command is given again.

    \b
    medssl pretrain --objective simclr
    medssl pretrain --objective mae --data my-images/ --recipe base --device cuda
    medssl pretrain --track
    """
    from bench.cli.list import show
    from bench.pretrain import report as tables
    from bench.pretrain.corpus import open_corpus
    from bench.pretrain.job import Job
    from bench.pretrain.ship import encoder_name
    from bench.pretrain.track import run_job, run_track, runs
    from bench.pretrain.tuning import tune_all

    recipe = read_recipe(recipe_name)
    if report is not None:
        tables.refresh(report, recipe, out or Path("submissions"))
        return
    if objective == "list":
        show("objectives")
        return
    if objective is None and not (track or tune):
        raise click.UsageError("give --objective NAME, or --track, or --tune")
    job = Job(objective, recipe, backbone, seed) if objective else None
    images = open_corpus(corpus, recipe, data=data)
    if tune:
        tune_all([objective] if objective else None, recipe, images, threads=threads, say=click.echo)
    elif track:
        jobs = runs(recipe) if job is None else [job]
        run_track(jobs, images, out or Path("submissions"), threads=threads, say=click.echo, wandb_mode=wandb_mode)
    else:
        folder = out or Path("pretrained") / encoder_name(job, images)
        command = _command(job, corpus, data, recipe_name, threads, device)
        card = run_job(
            job, images, folder, folder / "run", threads=threads, device=device, command=command, wandb_mode=wandb_mode
        )
        click.echo(f"Wrote {card}\nNext: medssl check {quote(str(card.parent))}")


def _command(job, corpus: str, data: Path | None, recipe: str, threads: int, device: str) -> str:
    """The command as it would be given again. A path of one's own is named, not spelt out."""
    images = f"--data {data.name}" if data else f"--corpus {corpus}"
    text = f"medssl pretrain --objective {job.objective} {images} --recipe {recipe} --backbone {job.backbone}"
    return f"{text} --seed {job.seed} --threads {threads}" + ("" if device == "cpu" else f" --device {device}")


COMMAND = pretrain
