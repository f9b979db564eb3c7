"""`medssl leaderboard`: Print the boards of a suite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click


@click.command("leaderboard")
@click.option("--suite", default=None, help="Suite [default: every suite with results].")
@click.option("--board", default="Overall", show_default=True, help="Overall, Global, Dense, Low-label, Fine-tune.")
@click.option(
    "--records",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of submissions or runs [default: submissions/ and runs/].",
)
@click.option("--tasks", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of task cards.")
@click.option("--drop-contaminated", is_flag=True, help="Rank without cells that are not known to be clean.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def COMMAND(
    suite: str | None, board: str, records: tuple[Path, ...], tasks: Path | None, drop_contaminated: bool, as_json: bool
) -> None:
    """Rank the encoders whose results lie in submissions/ and runs/."""
    from bench.cli._print import interval_text, out, print_table
    from bench.leaderboard import boards
    from bench.leaderboard.collect import collect, default_roots

    roots, local = (records, ()) if records else default_roots()
    collections = collect(roots, local=local, tasks=tasks)
    if suite:
        from bench.discover import pick

        collections = {suite: pick(collections, suite, what="suite with results")}
    made = {name: boards(c, drop_contaminated=drop_contaminated) for name, c in collections.items()}
    if as_json:
        click.echo(json.dumps({n: {b: t.to_dict() for b, t in m.items()} for n, m in made.items()}, indent=2))
        return
    if not made:
        out.print("No results yet. Score an encoder first: medssl run raw-pixels --suite phantom-mini")
    for name, tables in made.items():
        from bench.discover import pick

        table = pick(tables, board, what="board", where=name)
        rows = [
            {
                "rank": r.rank_text,
                "encoder": r.encoder,
                "paradigm": r.paradigm,
                "tier": r.tier,
                "score [95 % interval]": interval_text(r.score, r.low, r.high),
            }
            for r in table.rows
        ]
        if rows:
            print_table(f"{name}: {board}", rows, right=["rank", "score [95 % interval]"], cut=["paradigm"])
        _print_left_out(collections[name].left_out)


def _print_left_out(reasons: Mapping[str, str]) -> None:
    from bench.cli._print import out

    if reasons:
        out.print(f"{len(reasons)} not shown:")
    for encoder, why in reasons.items():
        out.print(f"  {encoder}: {why}", markup=False)
