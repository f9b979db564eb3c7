"""`medssl site`: Build the leaderboard's pages, or serve them while you work."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from bench.cli._options import OWN_CARDS, Group

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_CARDS = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(path_type=Path)


def _inputs(command: Callable) -> Callable:
    for option in (
        click.option(
            "--records",
            multiple=True,
            type=_FOLDER,
            help="Runs to show as local [default: runs/, without --submissions].",
        ),
        click.option("--submissions", multiple=True, type=_FOLDER, help="Submissions [default: submissions/]."),
        click.option("--tasks", type=_CARDS, help=OWN_CARDS),
        click.option("--history", type=_FILE, help="data/history.json of the site before this one."),
        click.option("--base", default="", help="Address the site will have, for the feed and JSON-LD."),
        click.option("--repository", default="", help="Address of the source repository, for links to code and docs."),
        click.option("--out", default="public", show_default=True, type=_OUT, help="Folder of the site."),
    ):
        command = option(command)
    return command


@click.group("site", cls=Group)
def COMMAND() -> None:
    """Build the leaderboard's pages, or serve them while you work."""


def _step(start: float, line: str) -> None:
    click.echo(f"{time.monotonic() - start:6.0f} s  {line}", err=True)


@COMMAND.command("build")
@_inputs
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1, 2), help="How many processes.")
def _build(out: Path, **inputs: Any) -> None:
    """Build the site from submissions/ and from runs of your own."""
    from bench.cli._print import say_left_out
    from bench.publish.site import build_from

    start = time.monotonic()
    told = partial(_step, start)
    built = build_from(out, **inputs, told=told)
    told(f"{built.files:,} files, {built.megabytes:.0f} MB")
    say_left_out(built.left_out)
    if not built.suites:
        click.echo("It shows no results: none were found that can be used.")
    if built.local:
        click.echo(
            f"It shows runs of your own, on {', '.join(built.local)}; --submissions submissions leaves them out."
        )
    click.echo(f"The site is built: {built.page.resolve().as_uri()}")


@COMMAND.command("serve")
@_inputs
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one.")
def _serve(out: Path, port: int, **inputs: object) -> None:
    """Serve the site on this machine; build it again when records or templates change."""
    from bench.publish.serve import serve

    serve(out, port, inputs, click.echo)
