"""`medssl submit`: Gather an encoder's runs into a folder for a pull request."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.submissions.bundle import Bundle


@click.command("submit")
@click.argument("encoder", type=click.Path(path_type=Path))
@click.option(
    "--records", "--runs", "runs", default="runs", show_default=True, type=click.Path(path_type=Path),
    help="Folder of your runs.",
)  # fmt: skip
@click.option(
    "--out", default="submissions", show_default=True, type=click.Path(path_type=Path), help="Folder of submissions."
)
@click.option(
    "--suite", "suites", multiple=True, help="Send this run (may be repeated) [default: that of a shipped suite]."
)
@click.option("--with-weights", is_flag=True, help="Also copy the weights, so that anyone can rerun the encoder.")
@click.option("--compact", is_flag=True, help="Keep predictions of the boards at all labels only; needs the weights.")
@click.option(
    "--store", type=click.Path(path_type=Path), help="Put the weights there; the submission keeps their hash alone."
)
def COMMAND(
    encoder: Path,
    runs: Path,
    out: Path,
    suites: tuple[str, ...],
    with_weights: bool,
    compact: bool,
    store: Path | None,
) -> None:
    """Gather the finished runs of ENCODER (a folder with encoder.toml) into a submission."""
    from bench.submissions.bundle import bundle
    from bench.submissions.stored import move_out

    with_weights |= store is not None
    made = bundle(encoder, runs, out, suites, with_weights=with_weights, compact=compact)
    click.echo(f"{made.folder}: {made.n_records} records, {made.size / 1e6:.1f} MB, suites {', '.join(made.suites)}")
    if made.weights and store:
        moved = move_out(made.folder, store)
        count = f"{len(moved.files)} file{'s' if len(moved.files) > 1 else ''}"
        said = f"{count} in {store}, under their hashes; publish that folder, 'verify --store' reads it"
    else:
        said = _weights(made)
    click.echo(f"Weights: {said}")
    for name, tasks in made.own.items():
        click.echo(
            f"{name} is a suite of your own: this publishes the names of its tasks ({', '.join(tasks)}), every score,\n"
            "and what was predicted for each test image. Only who has the data can verify it."
        )
    if made.kept_back:
        click.echo(f"Not sent: your runs on {', '.join(made.kept_back)}")
    folder = quote(str(made.folder))
    click.echo("Next:")
    here = f" --store {quote(str(store))}" if store and made.weights else ""
    click.echo(f"  medssl verify {folder} --rescore{' --sample' if made.weights else ''}{here}")
    click.echo("    (what it writes into badges.jsonl is no part of a pull request)")
    click.echo(f"  git switch -c submit-{made.card.name} && git add {folder}")
    click.echo(f"  git commit -m 'Submit {made.card.name}' && git push, then open a pull request")


def _weights(made: Bundle) -> str:
    from bench.submissions.bundle import public_weights

    if made.weights:
        return "included"
    if place := public_weights(made.card):
        return f"from {place}, as the card says"
    if made.card.source.get("weights"):
        return "not included, so the badge is at most rescored (--with-weights sends them)"
    return "none needed"
