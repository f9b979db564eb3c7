"""The options of `medssl pretrain`, and which of them each of its jobs takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from bench.runs.options import option

FOLDER = click.Path(file_okay=False, path_type=Path)
PRESENT = click.Path(exists=True, path_type=Path)
PRESENT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PRESENT_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@dataclass(frozen=True)
class Learning:
    """What is learnt."""

    objective: str | None = option(None, "What to learn from; 'list' names them all.")
    corpus: str | None = option(
        None, "phantom-v1, open-v1-training, or a task whose training images to use [default: the recipe's own]."
    )
    data: Path | None = option(
        None, "Your own images: a folder, a task card, npz or npy; or a packed corpus.", kind=PRESENT
    )
    recipe: str = option("tiny", "tiny, base, open-tiny, open-small, open-small-cpu, or a TOML file of your own.")
    backbone: str = option("vit", "vit or cnn.")
    seed: int = option(0, "Seed of weights and draws.", bounds=(0, 2**31))
    rate: float | None = option(
        None, "Peak learning rate [default: the recipe's].", kind=click.FloatRange(0, 1, min_open=True)
    )
    out: Path | None = option(
        None, "Folder of the encoder [default: pretrained/NAME; with --track: submissions].", kind=FOLDER
    )


@dataclass(frozen=True)
class Machine:
    """Where it runs."""

    device: str = option("cpu", "cpu, cuda, cuda:1 ...")
    threads: int = option(
        1, "CPU threads; 0 is torch's default. Part of what makes a run repeatable.", kind=click.IntRange(0)
    )
    compiled: bool = option(False, "Let torch compile the network: faster on a GPU, other bits.", "--compile")
    wandb: Literal["offline", "online"] | None = option(
        None, "Also log to Weights & Biases.", kind=click.Choice(["offline", "online"])
    )


@dataclass(frozen=True)
class TrackOptions:
    """A controlled track."""

    minutes: float | None = option(
        None, "With --track NAME: end before so many minutes are over; the same command goes on.",
        kind=click.FloatRange(min=0.2),
    )  # fmt: skip
    workers: int | None = option(
        None, "With --track NAME: networks trained at once [default: 1 on a CPU, 8 on a GPU].", bounds=(1, 64)
    )
    room: int = option(128, "MiB that the files of a track take.", bounds=(16, 128))
    done: tuple[Path, ...] = option(
        (), "ledger.json of an earlier run over the track, on another machine: what it finished is passed over.",
        kind=PRESENT,
    )  # fmt: skip
    merge: tuple[Path, ...] = option(
        (), "Folder of a run over a track; give it for each run. Their encoders go to --out.", kind=PRESENT_FOLDER
    )


@dataclass(frozen=True)
class Upkeep:
    """Corpora, recipes and their page."""

    pack: Path | None = option(
        None, "Write the packed --corpus to this file, to be carried along.",
        kind=click.Path(dir_okay=False, path_type=Path),
    )  # fmt: skip
    tune: bool = option(False, "Run the recipe's equal tuning budget for every objective (or for --objective).")
    report: Path | None = option(None, "Refresh the tables of this Markdown file.", kind=PRESENT_FILE)


GOES = {
    "--merge": {"merge", "out"},
    "--pack": {"pack", "corpus"},
    "--report": {"report", "recipe", "out"},
    "--tune": {"tune", "objective", "corpus", "data", "recipe", "threads"},
    "--track NAME": {"track", "data", "out", "device", "threads", "compiled", "minutes", "workers", "room", "done"},
    "--track": {"track", "corpus", "data", "recipe", "out", "threads", "wandb"},
    "--track and --objective": {
        "track", "objective", "corpus", "data", "recipe", "backbone", "seed", "out", "threads", "wandb",
    },
    "--objective list": {"objective"},
    "--objective": {
        "objective", "corpus", "data", "recipe", "backbone", "seed", "rate", "out", "device", "threads", "compiled",
        "wandb",
    },
}  # fmt: skip
"""Job, named by the options that ask for it -> the options it takes."""
OF_TRAINING = ("tune", "rate", "compiled")
"""Options that say how a network is trained."""


def refuse_unheard(given: Iterable[str], *, track: str | None, objective: str | None) -> None:
    """Raises UsageError when the options given ask for no job, or one of them does not go with the job."""
    asked = {name: f"--{name}" for name in ("merge", "pack", "report", "tune", "track", "objective")}
    first = next((flag for name, flag in asked.items() if name in given), None)
    if first is None:
        raise click.UsageError(f"give --objective NAME, or one of {', '.join(list(asked.values())[-2::-1])}")
    if first == "--track":
        first = "--track NAME" if track else "--track and --objective" if objective else "--track"
    elif first == "--objective" and objective == "list":
        first = "--objective list"
    for name in given:
        if name not in GOES[first]:
            fitting = ", or ".join(job for job, takes in GOES.items() if name in takes)
            raise click.UsageError(f"{_flag(name)} does not go with {first}: it goes with {fitting}")
    if {"corpus", "data"} <= set(given):
        raise click.UsageError("give --corpus or --data, not both: each says which images")
    if objective and (idle := [name for name in OF_TRAINING if name in given]) and not _trains(objective):
        raise click.UsageError(f"{_flag(idle[0])} does not go with --objective {objective}, which trains nothing")


def _flag(name: str) -> str:
    return "--compile" if name == "compiled" else f"--{name}"


def _trains(objective: str) -> bool:
    """Whether an objective trains the network; an unknown one is refused by its name, later."""
    from bench.pretrain.job import objectives

    return objective not in objectives() or objectives()[objective].trains
