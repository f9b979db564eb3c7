"""`medssl list`: List encoders, tasks, protocols, suites or objectives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

Row = dict[str, str]


@click.command("list")
@click.argument("what", type=click.Choice(["encoders", "tasks", "protocols", "suites", "objectives"]))
@click.option(
    "--tasks",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also the task cards of this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def COMMAND(what: str, folder: Path | None, as_json: bool) -> None:
    """List encoders, tasks, protocols, suites or objectives."""
    rows = _LISTS[what](folder)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        show(what, rows)


def show(what: str, rows: list[Row] | None = None) -> None:
    """Print a list as one table, a line each; texts that find no room in a terminal are cut or left out."""
    from bench.cli._print import print_table

    rows = _LISTS[what](None) if rows is None else rows
    print_table(f"{len(rows)} {what}", rows, cut=("title", "licence"))


def _encoders(folder: Path | None) -> list[Row]:
    from bench.encoders.load import reference_cards

    return [
        {
            "name": c.name,
            "paradigm": c.paradigm,
            "objective": c.objective,
            "architecture": c.architecture,
            "title": c.title,
        }
        for c in reference_cards().values()
    ]


def _tasks(folder: Path | None) -> list[Row]:
    from bench.data.task import shipped_tasks, tasks_in

    known = shipped_tasks() | (tasks_in(folder) if folder else {})
    return [
        {
            "name": t.name,
            "kind": t.kind,
            "modality": t.modality,
            "target": t.target,
            "metric": t.metric,
            "title": t.title,
            "licence": t.licence,
        }
        for t in known.values()
    ]


def _protocols(folder: Path | None) -> list[Row]:
    from bench.discover import members

    return [
        {"name": p.name, "kind": p.kind, "board": p.board, "title": p.title}
        for p in members("bench.protocols", "PROTOCOL").values()
    ]


def _suites(folder: Path | None) -> list[Row]:
    from bench.data.task import read_suite, suite_names

    return [
        {"name": s.name, "tasks": str(len(s.tasks)), "protocols": str(len(s.protocols)), "title": s.title}
        for s in map(read_suite, suite_names())
    ]


def _objectives(folder: Path | None) -> list[Row]:
    from bench.pretrain.job import objectives

    found = sorted(objectives().values(), key=lambda o: (o.paradigm, o.name))
    return [{"name": o.name, "paradigm": o.paradigm, "title": o.method} for o in found]


_LISTS: dict[str, Callable[[Path | None], list[Row]]] = {
    "encoders": _encoders,
    "tasks": _tasks,
    "protocols": _protocols,
    "suites": _suites,
    "objectives": _objectives,
}
