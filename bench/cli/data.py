"""`medssl data`: Fetch, prepare and check the data of tasks."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from bench.cli._options import Group, options_of
from bench.runs.options import Trust
from bench.words import MODALITIES

NAMES = click.argument("names", nargs=-1, metavar="[TASK|SUITE|CARD.toml|FOLDER]...")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
ACCEPT = options_of(Trust, "accept_checksum")
FOLDER = click.option(
    "--folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where files of the cards are looked for first.",
)  # fmt: skip
JOBS = click.option("--jobs", default=4, show_default=True, type=click.IntRange(1, 64), help="How many at a time.")


@click.group("data", cls=Group)
def COMMAND() -> None:
    """Fetch, prepare and check the data of tasks."""


@COMMAND.command()
@NAMES
@click.option("--mirror", envvar="MEDSSL_MIRROR", help="Address of a folder that holds the files by name.")
@click.option(
    "--from-folder", "folders", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copy from this folder instead of downloading (may be repeated).",
)  # fmt: skip
@JOBS
@ACCEPT
@click.option("--dry-run", is_flag=True, help="Only show what is to be downloaded.")
@JSON
def fetch(
    names: tuple[str, ...], mirror: str | None, folders: tuple[Path, ...], jobs: int, accept_checksum: bool,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Download the files of tasks or suites; run again to resume."""
    from bench.cli._data import show_coming, show_fetched, transfer_bar
    from bench.data.choose import chosen_tasks
    from bench.data.fetch import Fetcher, coming_repositories, fetch_repositories, files_of

    if not names:
        raise click.UsageError("name the tasks or suites to fetch, e.g. 'medssl data fetch breastmnist-28'")
    chosen = chosen_tasks(names)
    if dry_run:
        coming = Fetcher(mirror, folders).coming(files_of([task for task, _ in chosen]), jobs)
        coming += coming_repositories(chosen, folders=folders)
        click.echo(json.dumps([asdict(c) for c in coming], indent=1)) if as_json else show_coming(coming)
        return
    with transfer_bar(quiet=as_json) as progress:
        fetcher = Fetcher(mirror, folders, accept_checksum, progress=progress)
        done = fetcher.fetch_all(files_of([task for task, _ in chosen]), jobs)
    done += fetch_repositories(chosen, mirror=mirror, folders=folders)
    if as_json:
        click.echo(json.dumps([asdict(d) for d in done], indent=1, default=str))
    else:
        show_fetched(done)
    sys.exit(1 if any(d.status == "failed" for d in done) else 0)


@COMMAND.command()
@NAMES
@FOLDER
@JOBS
@ACCEPT
def prepare(names: tuple[str, ...], folder: Path | None, jobs: int, accept_checksum: bool) -> None:
    """Write the memory-mapped copies that runs read."""
    from bench.cli._data import counting_bar, show_prepared
    from bench.data.choose import chosen_tasks
    from bench.data.prepare import prepare_all

    if not names:
        raise click.UsageError("name the tasks or suites to prepare, e.g. 'medssl data prepare breastmnist-28'")
    chosen = chosen_tasks(names)
    with counting_bar("preparing", len(chosen)) as finished:
        outcomes = prepare_all(chosen, folder, accept_checksum, jobs, finished)
    sys.exit(1 if show_prepared(outcomes) else 0)


@COMMAND.command()
@NAMES
@FOLDER
@click.option("--verify", is_flag=True, help="Read every byte of the prepared copies again.")
@ACCEPT
@JSON
def status(names: tuple[str, ...], folder: Path | None, verify: bool, accept_checksum: bool, as_json: bool) -> None:
    """Say which files are here, and which tasks are prepared."""
    from bench.cli._data import show_status
    from bench.data.choose import chosen_tasks
    from bench.data.status import status_of

    how = {"verify": verify, "accept_checksum": accept_checksum}
    rows = [status_of(task, folder=folder or own, **how) for task, own in chosen_tasks(names)]
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        show_status(rows)
    sys.exit(1 if any(row.problem for row in rows) else 0)


@COMMAND.command()
@NAMES
@FOLDER
@ACCEPT
@JSON
def check(names: tuple[str, ...], folder: Path | None, accept_checksum: bool, as_json: bool) -> None:
    """Look for mistakes: missing files, leaks between splits, duplicates, odd images."""
    from bench.cli._data import counting_bar, show_report
    from bench.data.check import check_task
    from bench.data.choose import chosen_tasks

    if not names:
        raise click.UsageError("name the tasks to check: a task, a suite, your card.toml, or a folder of cards")
    chosen, reports = chosen_tasks(names), []
    with counting_bar("checking", len(chosen)) as finished:
        for task, own in chosen:
            reports.append(check_task(task, folder=folder or own, accept_checksum=accept_checksum))
            finished(task.name, None)
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in reports], indent=1))
    else:
        for report in reports:
            show_report(report)
    sys.exit(0 if all(report.ok for report in reports) else 1)


@COMMAND.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the task [default: that of the folder].")
@click.option("--modality", type=click.Choice(MODALITIES), help="What the images show, where the files do not say it.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Card to write [default: FOLDER/task.toml]."
)
def new(folder: Path, name: str | None, modality: str | None, out: Path | None) -> None:
    """Look at a folder of images, say what is in it, and write its card."""
    from bench.cli._data import show_survey
    from bench.data.propose import propose, write_proposal
    from bench.data.survey import survey

    seen = survey(folder)
    made = propose(seen, name=name, modality=modality)
    card = write_proposal(made, seen, out or folder / "task.toml")
    show_survey(seen, made, card)


@COMMAND.command()
@NAMES
@FOLDER
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder [default: that of MEDSSL_HOME].")
@click.option("--no-masks", is_flag=True, help="Leave out masks: enough for boards, not for rescoring.")
def labels(names: tuple[str, ...], folder: Path | None, out: Path | None, no_masks: bool) -> None:
    """Write the labels of tasks alone: enough for boards and rescoring where the images are not."""
    from bench.data.choose import chosen_tasks
    from bench.data.load import load_task
    from bench.locate import home
    from bench.submissions.labels import write_labels

    if not names:
        raise click.UsageError("name the tasks or suites whose labels are wanted, e.g. 'medssl data labels open-v1'")
    files = [
        write_labels(load_task(task, folder=folder or own), out or home() / "labels", masks=not no_masks)
        for task, own in chosen_tasks(names)
    ]
    size = sum(path.stat().st_size for path in files)
    click.echo(f"{files[0].parent}: labels of {len(files)} tasks, {size / 1e6:.2f} MB")


@COMMAND.command()
@NAMES
@FOLDER
@click.option("--downloads", is_flag=True, help="Also the files they were made from, where they were fetched.")
def remove(names: tuple[str, ...], folder: Path | None, downloads: bool) -> None:
    """Remove prepared copies of tasks, and what killed processes left behind."""
    from bench.data.choose import chosen_tasks
    from bench.data.remove import remove_task
    from bench.data.store import sweep

    chosen = chosen_tasks(names) if names else []
    freed = sweep() + sum(remove_task(task, folder=folder or own, downloads=downloads) for task, own in chosen)
    click.echo(f"Freed {freed / 1e9:.2f} GB")
