"""`medssl compare`: Compare two encoders task by task, with paired intervals."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from bench.cli._options import OWN_CARDS, RECORDS


@click.command("compare")
@click.argument("first")
@click.argument("second")
@click.option("--suite", default=None, help="Suite [default: every suite both have results on].")
@click.option("--budget", "text", default="100%", show_default=True, help="Label budget, e.g. 10% or k=4.")
@RECORDS
@click.option("--tasks", type=click.Path(exists=True, path_type=Path), help=OWN_CARDS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def COMMAND(
    first: str,
    second: str,
    suite: str | None,
    text: str,
    records: tuple[Path, ...],
    tasks: Path | None,
    as_json: bool,
) -> None:
    """Compare encoders FIRST and SECOND: the difference on each task, with its 95 % interval."""
    from bench.budget import Budget
    from bench.cli._print import say_left_out, say_missing
    from bench.errors import UserError
    from bench.leaderboard.collect import collect, default_roots
    from bench.leaderboard.compare import compare
    from bench.strict import nearest
    from bench.submissions.folder import result_folders

    try:
        budget = Budget(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint="--budget") from None
    roots, local = (records, ()) if records else default_roots()
    folders = [folder for root in (*roots, *local) for folder in result_folders(root)]
    both = {f.name for f in folders if f.parent.name == first} & {f.name for f in folders if f.parent.name == second}
    collections = gathered = collect(roots, local=local, tasks=tasks, suites=both if suite is None else both & {suite})
    mine = {name: {e: why for e, why in c.left_out.items() if e in (first, second)} for name, c in collections.items()}
    say_left_out(gathered.left_out, mine)
    found = {
        name: compare(collection, first, second, budget=budget)
        for name, collection in collections.items()
        if {first, second} <= set(collection.results)
    }
    for name in found:
        say_missing(collections[name].at_hand.missing)
    if not any(found.values()):
        names = sorted({f.parent.name for f in folders if suite in (None, f.name)})
        near = [f"did you mean {n!r}?" for e in (first, second) if e not in names and (n := nearest(e, names))]
        fix = near[0] if near else f"there are results of: {', '.join(names) or 'no encoder'}"
        where = f"suite {suite}" if suite else None
        raise UserError(f"no results of both {first!r} and {second!r}", where=where, fix=fix)
    if as_json:
        click.echo(json.dumps({name: [asdict(row) for row in rows] for name, rows in found.items()}, indent=2))
        return
    for name, rows in found.items():
        _print(name, first, second, rows)


def _print(suite: str, first: str, second: str, rows: list) -> None:
    from bench.cli._print import interval_text, out, print_table

    table = [
        {
            "task": row.task,
            "protocol": row.protocol,
            "metric": row.metric,
            "first": f"{row.first:z.3f}",
            "second": f"{row.second:z.3f}",
            "difference [95 %]": interval_text(row.difference, row.low, row.high),
            "": "better" if row.low > 0 else "worse" if row.high < 0 else "",
        }
        for row in rows
    ]
    # Names of encoders are long: as column headings they would leave no room for the task.
    title = f"{suite}: {first} (first) minus {second} (second)"
    print_table(title, table, right=["first", "second", "difference [95 %]"])
    better, worse = sum(row.low > 0 for row in rows), sum(row.high < 0 for row in rows)
    out.print(
        f"{first} is better on {better} and worse on {worse} of {len(rows)}; the intervals of the rest cover 0. "
        f"After Holm's correction {sum(row.p_holm < 0.05 for row in rows)} differences stand at 5 %."
    )
    if left := sum(not row.paired for row in rows):
        out.print(
            f"{left} of {len(rows)} could not be resampled (data or predictions not at hand): their intervals are "
            "approximated from the records, without pairing.",
            soft_wrap=True,
        )
