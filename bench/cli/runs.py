"""`medssl runs`: List, show, clean or export your runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli._options import OWN_CARDS, Group

if TYPE_CHECKING:
    from bench.runs.journal import Journal
    from bench.runs.records import Record

_folder = click.option(
    "--records",
    "--runs",
    "root",
    default="runs",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of your runs.",
)


@click.group("runs", cls=Group)
def COMMAND() -> None:
    """List, show, clean or export the runs below a folder."""


@COMMAND.command("list")
@_folder
def list_runs(root: Path) -> None:
    """One line a run: encoder, suite, units done of how many, whether it is finished."""
    from bench.cli._print import print_table

    rows = [_row(folder) for folder in _folders(root)]
    if not any(row["own tasks"] for row in rows):
        rows = [{key: value for key, value in row.items() if key != "own tasks"} for row in rows]
    if rows:
        print_table(f"Runs in {root}", rows, right=["units", "refused"])
    else:
        click.echo(f"No runs in {root}/. Start one: medssl run raw-pixels --suite phantom-mini")


@COMMAND.command("show")
@click.argument("encoder")
@click.option("--suite", help="Only this suite.")
@_folder
def show(encoder: str, suite: str | None, root: Path) -> None:
    """Every unit of a run with its primary metric and interval."""
    from bench.cli._print import err, interval_text, print_table
    from bench.runs.journal import Journal

    for folder in _chosen(root, encoder, suite):
        journal = Journal(folder)
        records = list(journal.records().values())
        for message in journal.damaged:
            err.print(f"Damaged: {message}", markup=False, soft_wrap=True)
        against = _against(folder, records)
        rows = [
            {
                "task": r.unit.task,
                "protocol": r.unit.protocol,
                "budget": r.unit.budget,
                "seed": r.unit.seed,
                "metric": r.metric,
                "score [95 % interval]": f"left out: {against[r.unit.key]}"
                if r.unit.key in against
                else interval_text(r.primary.value, r.primary.low, r.primary.high)
                if r.primary
                else f"{r.status}: {r.reason}",
            }
            for r in records
        ]
        print_table(f"{encoder}, {folder.name}", rows, right=["budget", "seed"])


def _against(folder: Path, records: list[Record]) -> dict[str, str]:
    """Unit key -> why a record of a run is no result, of those that contradict themselves."""
    from bench.cli._print import say_left_out
    from bench.data.task import shipped_tasks
    from bench.errors import UserError
    from bench.leaderboard.at_hand import AtHand
    from bench.leaderboard.refuted import refuted
    from bench.runs.kept import kept_plan

    try:
        plan = kept_plan(folder)
    except UserError as error:
        say_left_out({folder: str(error)})
        return {}
    folders = {name: Path(place) for name, place in plan.folders.items()} if plan else {}
    at_hand = AtHand(plan.tasks if plan else shipped_tasks(), folders)
    return {key: why for (_, key), why in refuted({folder: records}, at_hand).items()}


@COMMAND.command("clean")
@click.argument("encoder")
@click.option("--suite", help="Only this suite.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_folder
def clean(encoder: str, suite: str | None, yes: bool, root: Path) -> None:
    """Remove the runs of an encoder."""
    for folder in _chosen(root, encoder, suite):
        if yes or click.confirm(f"Remove {folder}?"):
            shutil.rmtree(folder)
            click.echo(f"Removed {folder}")
    if not any((root / encoder).glob("*/")):
        shutil.rmtree(root / encoder, ignore_errors=True)


@COMMAND.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--encoder", help="Only this encoder.")
@click.option("--tasks", type=click.Path(exists=True, path_type=Path), help=OWN_CARDS)
@_folder
def export(file: Path, encoder: str | None, tasks: Path | None, root: Path) -> None:
    """Write every metric as one table: FILE ends in .csv, .parquet or .jsonl."""
    import pandas as pd

    from bench.cli._print import say_left_out
    from bench.errors import UserError
    from bench.files import write_atomic
    from bench.leaderboard.collect import collect
    from bench.leaderboard.frame import csv_text

    if file.suffix not in (".csv", ".parquet", ".jsonl"):
        raise UserError(f"unknown ending {file.suffix!r}", where=file, fix="use .csv, .parquet or .jsonl")
    found = collect([], local=[root], tasks=tasks)
    say_left_out(found.left_out, {name: c.left_out for name, c in found.items()})
    frames = [c.frame.assign(suite=name) for name, c in found.items() if encoder in (None, *c.results)]
    if not frames:
        raise UserError(f"no results{f' of {encoder!r}' if encoder else ''}", where=root, fix="see 'medssl runs list'")
    table = pd.concat(frames)
    if encoder:
        table = table[table["encoder"] == encoder]
    if file.suffix == ".jsonl":
        write_atomic(file, table.to_json(orient="records", lines=True))
    elif file.suffix == ".csv":
        write_atomic(file, csv_text(table))
    else:
        write_atomic(file, table.to_parquet(index=False))
    click.echo(f"{file}: {len(table)} rows")


def _row(folder: Path) -> dict[str, str | int | None]:
    """What `runs list` says of a run. Finished: every unit of its suite is done or refused."""
    from bench.errors import UserError
    from bench.runs.journal import Journal
    from bench.runs.kept import kept_plan

    row: dict[str, str | int | None] = {"encoder": folder.parent.name, "suite": folder.name}
    journal = Journal(folder)
    try:
        records, kept, planned = journal.records(), kept_plan(folder), _planned(journal)
        wrong = journal.damaged[0] if journal.damaged else ""
    except UserError as error:
        wrong = str(error)
    if wrong:
        return row | {"units": None, "refused": None, "state": f"unreadable: {wrong}", "own tasks": None}
    over = [record.status for record in records.values() if record.status != "failed"]
    sealed = (folder / "records.jsonl").exists()
    return row | {
        "units": f"{len(over)} of {planned}",
        "refused": over.count("refused"),
        "state": "finished" if sealed and len(over) == planned else "in part" if sealed else "interrupted",
        "own tasks": kept.origin if kept else None,
    }


def _planned(journal: Journal) -> int:
    """Units of the suite. Raises UserError for a run of an earlier version, which did not keep it, without its plan."""
    if isinstance(units := journal.claimed().get("units"), int):
        return units
    from bench.submissions.bundle import plan_of_run  # loads every protocol, which is slow

    return len(plan_of_run(journal.folder).keys)


def _folders(root: Path) -> list[Path]:
    """Run folders below `root`. Raises UserError for one that is not there, unless nothing has run yet."""
    from bench.errors import UserError

    if not root.is_dir() and (root.exists() or root != Path("runs")):
        raise UserError("no such folder", where=root, fix="--records takes the folder that 'medssl run --out' wrote to")
    found = {p.parent for pattern in ("*/*/records.jsonl", "*/*/run.json") for p in root.glob(pattern)}
    return sorted(found)


def _chosen(root: Path, encoder: str, suite: str | None) -> list[Path]:
    from bench.errors import UserError
    from bench.strict import did_you_mean

    found = [f for f in _folders(root) if f.parent.name == encoder and suite in (None, f.name)]
    if not found:
        names = sorted({f.parent.name for f in _folders(root)})
        if encoder in names:
            suites = ", ".join(f.name for f in _folders(root) if f.parent.name == encoder)
            raise UserError(f"no run of {encoder!r} on {suite!r}", where=root, fix=f"there are runs on: {suites}")
        fix = did_you_mean(encoder, names, f"runs of: {', '.join(names) or 'no encoder'}")
        raise UserError(f"no run of {encoder!r}", where=root, fix=fix)
    return found
