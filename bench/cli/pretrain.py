"""`medssl pretrain`: Train an encoder from scratch with one objective, or the whole controlled track."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from bench.cli._options import Grouped, Option, options_of
from bench.cli._pretraining import Learning, Machine, TrackOptions, Upkeep, refuse_unheard

if TYPE_CHECKING:
    from bench.pretrain.corpus import Corpus
    from bench.pretrain.job import Job
    from bench.pretrain.recipe import Recipe

G = TypeVar("G")


@click.command("pretrain", cls=Grouped)
@options_of(Learning)
@options_of(Machine)
@click.option(
    "--track",
    cls=Option,
    group="A controlled track",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Train what a controlled track still needs: that of the recipe, or one with trials by its name.",
)
@options_of(TrackOptions)
@options_of(Upkeep)
@click.pass_context
def COMMAND(ctx: click.Context, track: str | None, **options: Any) -> None:
    """Train an encoder from scratch with one objective, or the whole controlled track.

    A run that was interrupted goes on where it stopped when the same command is given again.

    \b
    medssl pretrain --objective simclr
    medssl pretrain --objective mae --data my-images/ --recipe base --device cuda
    medssl pretrain --track
    medssl pretrain --track open-small-v1 --device cuda --minutes 9
    """
    given = [name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    learning, machine = _group(Learning, options), _group(Machine, options)
    comparison, upkeep = _group(TrackOptions, options), _group(Upkeep, options)
    refuse_unheard(given, track=track, objective=learning.objective)
    if comparison.merge:
        _merge(comparison.merge, learning.out)
    elif upkeep.pack is not None:
        _pack(learning.corpus or "open-v1-training", upkeep.pack)
    elif upkeep.report is not None:
        _report(upkeep.report, learning)
    elif upkeep.tune:
        _tune(learning, machine)
    elif track:
        _compare(track, learning, machine, comparison)
    elif track is not None:
        _track(learning, machine)
    elif learning.objective == "list":
        _list()
    else:
        _one(learning, machine)


def _group(group: type[G], options: dict[str, Any]) -> G:
    """The options that are fields of `group`."""
    return group(**{name: options[name] for name in group.__annotations__})


def _list() -> None:
    from bench.cli.list import show

    show("objectives")


def _images(learning: Learning) -> tuple[Recipe, Corpus, str]:
    """The recipe with the rate that was asked for, the images, and the option that names them."""
    from bench.pretrain.corpus import open_corpus
    from bench.pretrain.recipe import read_recipe

    recipe = read_recipe(learning.recipe)
    if learning.rate:
        recipe = recipe.model_copy(update={"learning_rate": learning.rate, "learning_rates": {}})
    name, data = learning.corpus or recipe.corpus, learning.data
    # A path of one's own is named, not spelt out.
    return recipe, open_corpus(name, recipe, data=data), f"--data {data.name}" if data else f"--corpus {name}"


def _job(learning: Learning, recipe: Recipe) -> Job:
    from bench.pretrain.job import Job

    return Job(learning.objective or "", recipe, learning.backbone, learning.seed)


def _one(learning: Learning, machine: Machine) -> None:
    from bench.pretrain.ship import encoder_name
    from bench.pretrain.track import run_job

    recipe, images, named = _images(learning)
    job = _job(learning, recipe)
    folder = learning.out or Path("pretrained") / encoder_name(job, images)
    threads, device, compiled = machine.threads, machine.device, machine.compiled
    command = job.command(
        named, threads=threads, device=device, compiled=compiled, rate=learning.rate, recipe=learning.recipe
    )
    card = run_job(
        job, images, folder, folder / "run", threads=threads, device=device, command=command,
        wandb_mode=machine.wandb, compiled=compiled,
    )  # fmt: skip
    click.echo(f"Wrote {card}\nNext: medssl check {quote(str(card.parent))}")


def _track(learning: Learning, machine: Machine) -> None:
    from bench.pretrain.track import run_track, runs

    recipe, images, named = _images(learning)
    jobs = [_job(learning, recipe)] if learning.objective else runs(recipe)
    out = learning.out or Path("submissions")
    run_track(
        jobs, images, out, threads=machine.threads, say=click.echo, wandb_mode=machine.wandb,
        command_of=lambda job: job.command(named, threads=machine.threads, recipe=learning.recipe),
    )  # fmt: skip


def _tune(learning: Learning, machine: Machine) -> None:
    from bench.pretrain.tuning import tune_all

    recipe, images, _ = _images(learning)
    names = [learning.objective] if learning.objective else None
    tune_all(names, recipe, images, threads=machine.threads, say=click.echo)


def _compare(track: str, learning: Learning, machine: Machine, comparison: TrackOptions) -> None:
    from bench.pretrain.comparison import Settings, compare, comparison_recipe
    from bench.pretrain.corpus import open_corpus
    from bench.pretrain.ledger import Ledger, read_ledger
    from bench.pretrain.results import ComparisonFolder

    recipe = comparison_recipe(track)
    workers = comparison.workers or (1 if machine.device == "cpu" else 8)
    settings = Settings(
        recipe.corpus, learning.data, machine.device, machine.threads, workers, comparison.minutes, machine.compiled
    )
    images = open_corpus(recipe.corpus, recipe, data=learning.data)
    folder = learning.out or Path("pretrained") / track
    results = ComparisonFolder(folder, Ledger.of(recipe, images), room=comparison.room << 20)
    for path in comparison.done:
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
    from bench.files import sha256_file
    from bench.pretrain.collection import gathered
    from bench.pretrain.pack import contents, read_collection, read_pack, write_pack

    collection = read_collection(name)
    write_pack(collection, gathered(collection), path)
    for source, counts in contents(read_pack(path)).items():
        click.echo(f"{source}: {counts['images']:,} images, {counts['groups']:,} groups, {counts['held']:,} held out")
    click.echo(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, SHA-256 {sha256_file(path)}")


def _report(page: Path, learning: Learning) -> None:
    from bench.pretrain import report
    from bench.pretrain.recipe import read_recipe

    report.refresh(page, read_recipe(learning.recipe), learning.out or Path("submissions"))
