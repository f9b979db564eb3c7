"""`medssl demo`: Score the reference encoders on a small phantom suite and build the site."""

import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import Any

import click

ENCODERS = ("raw-pixels", "colour-histogram", "random-init-cnn", "random-init-vit")


@click.command("demo")
@click.option("--suite", default="phantom-mini", show_default=True, help="Suite to score them on.")
@click.option("--out", default="runs", show_default=True, type=click.Path(path_type=Path), help="Folder for results.")
@click.option(
    "--site", default="public", show_default=True, type=click.Path(path_type=Path), help="Folder for the site."
)
def COMMAND(suite: str, out: Path, site: Path) -> None:
    """Score four reference encoders on a suite and build the site of the results. Nothing is downloaded."""
    from bench.cli._print import progress_bar
    from bench.leaderboard.collect import collect
    from bench.publish.site import build
    from bench.runs.options import RunSpec
    from bench.runs.run import run_plan, session

    with progress_bar() as bar:
        for name in ENCODERS:
            spec = RunSpec.of(name, suite, out=str(out), command=f"medssl run {name} --suite {suite}")
            encoder, plan = session(spec)
            row = bar.add_task(name, total=plan.n_units)

            def report(message: str, record: object, name: str = name, row: Any = row) -> None:
                bar.update(row, description=(message and f"{name}: {message}") or name, advance=0 if message else 1)

            run_plan(encoder, plan, spec, report)
            bar.update(row, description=name, completed=plan.n_units)
    click.echo(f"Scored {len(ENCODERS)} reference encoders on {suite}; records are in {out}/")
    page = build(collect([], local=[out]), site)
    click.echo("The site is built. Open it in a browser:")
    click.echo(f"  {page.resolve().as_uri()}")
    activate = Path(sys.prefix) / "bin" / "activate"
    if not shutil.which("medssl") and activate.exists():
        click.echo(f"First let your shell find medssl:  . {quote(str(activate))}")
    click.echo("Next, your own encoder:  medssl new my-encoder")
