"""`medssl pretrain`: Train an encoder from scratch with one objective, or the whole controlled track."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from bench.files import sha256_file
from bench.pretrain.recipe import read_recipe


@click.command()
@click.option("--objective", help="What to learn from; 'list' names them all.")
@click.option(
    "--corpus",
    help="phantom-v1, open-v1-training, or a task whose training images to use [default: the recipe's own].",
)
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="Your own images: a folder, a task card, npz or npy; or a packed corpus.",
)
@click.option(
    "--recipe",
    "recipe_name",
    default="tiny",
    show_default=True,
    help="tiny, base, open-small, open-small-cpu, or a TOML file of your own.",
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
@click.option("--rate", type=click.FloatRange(0, 1, min_open=True), help="Peak learning rate [default: the recipe's].")
@click.option("--compile", "compiled", is_flag=True, help="Let torch compile the network: faster on a GPU, other bits.")
@click.option(
    "--track",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Train what a controlled track still needs: that of the recipe, or one with trials by its name.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.2),
    help="With --track NAME: end before so many minutes are over; the same command goes on.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="With --track NAME: networks trained at once [default: 1 on a CPU, 8 on a GPU].",
)
@click.option(
    "--room", default=128, show_default=True, type=click.IntRange(16, 128), help="MiB that the files of a track take."
)
@click.option(
    "--done",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="ledger.json of an earlier run over the track, on another machine: what it finished is passed over.",
)
@click.option(
    "--merge",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a run over a track; give it for each run. Their encoders go to --out.",
)
@click.option(
    "--pack",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the packed --corpus to this file, to be carried along.",
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
    objective, corpus, data, recipe_name, backbone, seed, out, device, threads, wandb_mode, rate, compiled, track,
    minutes, workers, room, done, merge, pack, tune, report,
) -> None:  # fmt: skip
    """Train an encoder from scratch with one objective, or the whole controlled track.

    A run that was interrupted goes on where it stopped when the same command is given again.

    \b
    medssl pretrain --objective simclr
    medssl pretrain --objective mae --data my-images/ --recipe base --device cuda
    medssl pretrain --track
    medssl pretrain --track open-small-v1 --device cuda --minutes 9
    """
    if merge:
        _merge(merge, out)
    elif pack is not None:
        _pack(corpus or "open-v1-training", pack)
    elif track:
        if objective or rate or corpus:
            raise click.UsageError("--track NAME trains the whole track: its recipe says objectives, rates and images")
        _compare(track, out, done, data, room << 20, device, threads, workers, minutes, compiled)
    elif minutes or workers or done:
        raise click.UsageError("--minutes, --workers and --done go with --track NAME")
    else:
        recipe = read_recipe(recipe_name)
        if rate:
            recipe = recipe.model_copy(update={"learning_rate": rate, "learning_rates": {}})
        images = corpus or recipe.corpus
        if report is not None:
            _report(report, recipe, out)
        elif objective == "list":
            _list()
        elif tune or track is not None:
            _several(objective, recipe, images, data, backbone, seed, out, threads, tune, wandb_mode)
        elif objective is None:
            raise click.UsageError("give --objective NAME, or --track, or --tune")
        else:
            again = {"rate": rate, "recipe": recipe_name}
            _one(objective, recipe, images, data, backbone, seed, out, threads, device, compiled, wandb_mode, again)


def _report(page: Path, recipe, out: Path | None) -> None:
    from bench.pretrain import report

    report.refresh(page, recipe, out or Path("submissions"))


def _list() -> None:
    from bench.cli.list import show

    show("objectives")


def _several(objective, recipe, corpus, data, backbone, seed, out, threads, tune, wandb_mode) -> None:
    from bench.pretrain.corpus import open_corpus
    from bench.pretrain.job import Job
    from bench.pretrain.track import run_track, runs
    from bench.pretrain.tuning import tune_all

    jobs = [Job(objective, recipe, backbone, seed)] if objective else runs(recipe)
    images = open_corpus(corpus, recipe, data=data)
    if tune:
        tune_all([objective] if objective else None, recipe, images, threads=threads, say=click.echo)
    else:
        run_track(jobs, images, out or Path("submissions"), threads=threads, say=click.echo, wandb_mode=wandb_mode)


def _one(objective, recipe, corpus, data, backbone, seed, out, threads, device, compiled, wandb_mode, again) -> None:
    from bench.pretrain.corpus import open_corpus
    from bench.pretrain.job import Job
    from bench.pretrain.ship import encoder_name
    from bench.pretrain.track import run_job

    job = Job(objective, recipe, backbone, seed)
    images = open_corpus(corpus, recipe, data=data)
    folder = out or Path("pretrained") / encoder_name(job, images)
    named = f"--data {data.name}" if data else f"--corpus {corpus}"  # a path of one's own is named, not spelt out
    command = job.command(named, threads=threads, device=device, compiled=compiled, **again)
    card = run_job(
        job, images, folder, folder / "run", threads=threads, device=device, command=command,
        wandb_mode=wandb_mode, compiled=compiled,
    )  # fmt: skip
    click.echo(f"Wrote {card}\nNext: medssl check {quote(str(card.parent))}")


def _compare(track, out, done, data, room: int, device: str, threads: int, workers, minutes, compiled: bool) -> None:
    from bench.pretrain.comparison import Settings, compare, comparison_recipe
    from bench.pretrain.corpus import open_corpus
    from bench.pretrain.ledger import Ledger, read_ledger
    from bench.pretrain.results import ComparisonFolder

    recipe = comparison_recipe(track)
    settings = Settings(
        recipe.corpus, data, device, threads, workers or (1 if device == "cpu" else 8), minutes, compiled
    )
    images = open_corpus(recipe.corpus, recipe, data=data)
    results = ComparisonFolder(out or Path("pretrained") / track, Ledger.of(recipe, images), room=room)
    for path in done:
        results.know(read_ledger(path), where=path)
    summary = compare(recipe, results, settings, say=click.echo)
    further = "The same command goes on." if summary.left else "The track is complete."
    click.echo(f"{summary}\nIn {results.folder}. {further}")


def _merge(folders: tuple[Path, ...], out: Path | None) -> None:
    from bench.pretrain.merge import merge
    from bench.pretrain.report import choice_table

    if out is None:
        raise click.UsageError("--merge needs --out FOLDER")
    merged = merge(folders, out)
    click.echo(f"{len(merged.encoders)} encoders of {merged.track} in {out}")
    if merged.trials:
        click.echo(choice_table(merged.trials))


def _pack(name: str, path: Path) -> None:
    from bench.pretrain.collection import gathered
    from bench.pretrain.pack import contents, read_collection, read_pack, write_pack

    collection = read_collection(name)
    write_pack(collection, gathered(collection), path)
    for source, counts in contents(read_pack(path)).items():
        click.echo(f"{source}: {counts['images']:,} images, {counts['groups']:,} groups, {counts['held']:,} held out")
    click.echo(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, SHA-256 {sha256_file(path)}")


COMMAND = pretrain
