"""`medssl leaderboard`: Print the boards of a suite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli._options import OWN_CARDS, RECORDS

if TYPE_CHECKING:
    from bench.leaderboard.board import Board, BoardRow
    from bench.leaderboard.collect import SuiteResults
    from bench.leaderboard.volumes import VolumeCosts
    from bench.recipes import BoardRecipe

SCORE = "score [95 % interval]"


@click.command("leaderboard")
@click.option("--suite", default=None, help="Suite [default: those of your runs; every suite where you have none].")
@click.option(
    "--board",
    help="Overall, Global, Dense, Low-label, Volumes, Numbers, Survival, Fine-tune [default: the suite's first].",
)
@RECORDS
@click.option("--tasks", type=click.Path(exists=True, path_type=Path), help=OWN_CARDS)
@click.option("--drop-contaminated", is_flag=True, help="Rank without cells that are not known to be clean.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def COMMAND(
    suite: str | None,
    board: str | None,
    records: tuple[Path, ...],
    tasks: Path | None,
    drop_contaminated: bool,
    as_json: bool,
) -> None:
    """Rank the encoders whose results lie in submissions/ and runs/."""
    from bench.cli._print import err, out, passing_line, say_left_out, say_missing
    from bench.cli._references import hint
    from bench.discover import pick
    from bench.leaderboard import boards
    from bench.leaderboard.collect import collect, default_roots
    from bench.leaderboard.find import suites_in

    roots, local = (records, ()) if records else default_roots()
    there = suites_in([*roots, *local])
    if suite:
        pick(dict.fromkeys(there), suite, what="suite, or one without results:")
    wanted = [suite] if suite else suites_in(local) or there
    collections = collect(roots, local=local, tasks=tasks, suites=wanted)
    say_left_out(collections.left_out)
    with passing_line() as told:
        made = {
            n: boards(c, _wanted(c, board, as_json), drop_contaminated=drop_contaminated, told=told)
            for n, c in collections.items()
        }
    for collection in collections.values():
        say_missing(collection.at_hand.missing)
    if as_json:
        say_left_out({}, {n: c.left_out for n, c in collections.items()})
        click.echo(json.dumps({n: {b: t.to_dict() for b, t in m.items()} for n, m in made.items()}, indent=2))
        return
    if not made:
        click.echo("No results yet. Score an encoder first: medssl run raw-pixels --suite phantom-mini")
    for name, tables in made.items():
        _print(collections[name], tables, board)
    for line in hint(list(collections.values())):
        out.print(line, markup=False, soft_wrap=True)
    if others := [name for name in there if name not in wanted]:
        err.print(f"There are also results on {' and '.join(others)}: --suite NAME", markup=False, soft_wrap=True)


def _wanted(collection: SuiteResults, board: str | None, every: bool) -> list[BoardRecipe]:
    """The boards that are shown: every one, the one asked for, or the first."""
    from bench.leaderboard import recipes_of

    there = recipes_of(collection)
    return there if every else [r for r in there if r.name == board] if board else there[:1]


def _print(collection: SuiteResults, tables: Mapping[str, Board], board: str | None) -> None:
    from bench.cli._print import out, print_table
    from bench.leaderboard.volumes import volume_costs

    name = board or next(iter(tables), "")
    if name not in tables:
        out.print(f"{collection.suite}: no results for a board{f' {name}' if name else ''}", markup=False)
    elif (table := tables[name]).rows:
        costs = volume_costs(collection.results)
        rows = [_row(row, table, collection) for row in sorted(table.rows, key=lambda row: bool(row.missing))]
        rows = [row | _volume(costs.get(str(row["encoder"]))) for row in rows] if costs else rows
        right = ["rank", *(c for c in rows[0] if c == SCORE or c.endswith(" a volume") or c.startswith("over "))]
        print_table(f"{collection.suite}: {name}", rows, right=right, cut=["paradigm"])
        for row in table.rows:
            if row.why_unranked:
                out.print(f"  {row.encoder} has no rank: {row.why_unranked}", markup=False, soft_wrap=True)
        for note in table.notes:
            out.print(f"  {note}", markup=False, soft_wrap=True)
    for encoder, why in collection.left_out.items():
        out.print(f"  Left out: {encoder}: {why}", markup=False, soft_wrap=True)


def _volume(costs: VolumeCosts | None) -> dict[str, str]:
    if costs is None:
        return {"takes": "", "s a volume": "", "MB a volume": ""}
    memory = "" if costs.memory_mb is None else f"{costs.memory_mb:,.0f}"
    return {"takes": costs.takes, "s a volume": f"{costs.seconds:.3g}", "MB a volume": memory}


def _row(row: BoardRow, table: Board, collection: SuiteResults) -> dict[str, object]:
    from bench.cli._print import interval_text
    from bench.cli._references import on_board

    cells: dict[str, object] = {
        "rank": row.rank_text,
        "encoder": row.encoder,
        "paradigm": row.paradigm,
        "tier": row.tier,
        SCORE: "" if row.score is None else interval_text(row.score, row.low, row.high),
    }
    over = {r.encoder: on_board(table, r.encoder, collection) for r in table.rows}
    cells |= {column: over[row.encoder].get(column) for cells in over.values() for column in cells}
    if any(r.missing for r in table.rows):
        cells["tasks"] = f"{len(row.tasks)} of {len(row.missing) + len(row.tasks)}" + (
            " (missing)" if row.missing else ""
        )
    return cells
