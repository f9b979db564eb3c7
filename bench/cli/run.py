"""`medssl run`: Score an encoder on a suite, or on a folder of your own task cards."""

from pathlib import Path
from shlex import quote
from typing import Any

import click

from bench.cli._options import Grouped, options_of
from bench.runs.options import SUITE, RunSpec, Trust, What, Where


@click.command("run", cls=Grouped)
@click.argument("encoder", required=False)
@options_of(What, suite=None)
@options_of(Where)
@options_of(Trust)
@click.option("--encoders", help="Many instead of one: catalogue:small, a list with commas, a file with a name a line.")
@click.option("--disk", type=click.FloatRange(0.001), help="With --encoders: GB of weights to keep at most.")
@click.option("--dry-run", is_flag=True, help="Only show units, time, memory and disk to expect.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON lines.")
def COMMAND(
    encoder: str | None, suite: str | None, tasks: str | None, only: tuple[str, ...], encoders: str | None,
    disk: float | None, dry_run: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Score ENCODER: a folder with encoder.toml, a name of 'medssl list encoders', timm:TAG, hf:OWNER/NAME, or weights.

    Interrupt it whenever you like: the same command goes on where it stopped.
    """
    if (encoder is None) == (encoders is None):
        raise click.UsageError("give one ENCODER, or --encoders")
    from bench.runs.provenance import command_line
    from bench.runs.run import run_folder, session

    if suite == "" or "" in only:
        raise click.UsageError("--suite or --task is empty: was a variable of the shell not set?")
    named = tuple(name.strip() for names in only for name in names.split(",") if name.strip())
    suite = suite or (None if tasks else SUITE)
    spec = RunSpec.of(encoder or "", suite, tasks, only=named, command=command_line(), **options)
    if encoders is not None:
        from bench.cli._many import many

        many(encoders, spec, disk=disk, dry_run=dry_run, as_json=as_json)
        return
    loaded, plan = session(spec)
    _say_made(spec.what.encoder, loaded.card)
    if dry_run:
        _print_estimate(loaded, plan, spec, as_json)
        return
    folder = run_folder(spec.what.out, loaded, plan)
    records, spent = _with_progress(loaded, plan, spec, folder)
    if as_json:
        for record in records:
            click.echo(record.to_json())
    else:
        _summary(records, folder, spent, plan)
    if any(r.status == "failed" for r in records):
        raise click.exceptions.Exit(1)


def _say_made(encoder: str, card) -> None:
    """Say what a card made of a file assumes, and what is missing on it."""
    from bench.cli._print import err
    from bench.encoders.from_file import without_card

    if not without_card(Path(encoder)):
        return
    read_as = card.source.get("model") or card.source["adapter"]
    err.print(f"{encoder} has no card: read as {read_as}. {card.description}", markup=False, soft_wrap=True)
    missing = "Nobody says its paradigm, objective and licence, so it counts in no claim; a card of your own:"
    err.print(f"{missing} medssl new NAME --from {quote(encoder)}", markup=False, soft_wrap=True)


def _with_progress(loaded, plan, spec, folder: Path):
    """Records of the whole run, and where the time of this call went."""
    import time

    from bench.cli._print import err, now_and_then, progress_bar
    from bench.runs.journal import Journal
    from bench.runs.run import run_plan
    from bench.runs.timing import timing

    title, started = f"{loaded.card.name}: {plan.suite.name}", time.perf_counter()
    made: list[Any] = []
    off_terminal = None if err.is_terminal else now_and_then()
    with progress_bar() as bar:
        row = bar.add_task(title, total=plan.n_units)

        def say(line: str) -> None:
            bar.console.print(line, markup=False, soft_wrap=True)

        def report(message: str, record: object) -> None:
            if not made:
                kept = sum(len(Journal(folder).done(t)) for t in plan.selected)
                bar.update(row, completed=kept - (record is not None))
            if record is not None:
                made.append(record)
            bar.update(row, description=message or None, advance=0 if record is None else 1)
            if off_terminal:
                state = bar.tasks[row]
                off_terminal(f"{state.description} ({state.completed:.0f} of {plan.n_units} units done)")

        records = run_plan(loaded, plan, spec, report, say)
        bar.update(row, completed=plan.n_units, description=title)
    workers = 1 if spec.where.executor == "serial" else spec.where.resources.workers or 1
    return records, timing(made, time.perf_counter() - started, workers)


def _summary(records, folder: Path, spent, plan) -> None:
    from bench.budget import FULL, NONE
    from bench.cli._print import interval_text, out, print_table
    from bench.cli._references import hint, on_tasks
    from bench.runs.score_task import DATA

    beside = _collected(folder) if plan.origin else None
    over = on_tasks(beside, folder.parent.name) if beside else {}
    for title, budget in (("All labels", FULL), ("No labels", NONE)):
        rows = [
            {
                "task": r.unit.task,
                "protocol": r.unit.protocol,
                "metric": r.metric,
                "score [95 % interval]": interval_text(r.primary.value, r.primary.low, r.primary.high),
                "chance": f"{plan.tasks[r.unit.task].chance:.3f}",
                **{h: over.get((r.unit.task, r.unit.protocol, h)) for _, _, h in over},
            }
            for r in records
            if r.status == "done" and r.unit.budget == budget and r.unit.seed == 0
        ]
        if rows:
            print_table(title, rows, right=["score [95 % interval]", "chance", *{h for _, _, h in over}])
    for status in ("refused", "failed"):
        reasons = sorted({f"{r.unit.task}, {r.unit.protocol}: {r.reason}" for r in records if r.status == status})
        if reasons:
            out.print(f"{sum(r.status == status for r in records)} units {status}:")
            for reason in reasons[:12]:
                out.print(f"  {reason}", markup=False)
    _print_about_data(records)
    warned = sorted({w for r in records for w in r.warnings if not w.startswith(DATA)})
    if warned:
        out.print(f"Warnings: {'; '.join(warned[:5])}", markup=False)
    out.print(f"{len(records)} records in {folder}", markup=False, soft_wrap=True)
    out.print(f"Time: {spent}", markup=False, soft_wrap=True)
    for encoder, why in beside.left_out.items() if beside else ():
        out.print(f"Not compared: {encoder}: {why}", markup=False, soft_wrap=True)
    for line in hint([beside] if beside else []):
        out.print(line, markup=False, soft_wrap=True)
    if failed := sum(r.status == "failed" for r in records):
        out.print(f"Next: the same command tries the {failed} failed units again", soft_wrap=True)
    else:
        root = folder.parent.parent
        where = "" if root == Path("runs") else f" --records {quote(str(root))}"
        out.print(f"Next: medssl leaderboard --suite {folder.name}{where}", markup=False, soft_wrap=True)


def _collected(folder: Path):
    """The suite of a run folder, with every encoder's results on it."""
    from bench.leaderboard.collect import collect

    return collect([], local=[folder.parent.parent], suites=[folder.name]).get(folder.name)


def _print_about_data(records) -> None:
    """What is known about the data of each task: conversions, leaks, duplicates."""
    from bench.cli._print import out
    from bench.runs.score_task import DATA

    about = sorted({(r.unit.task, w.removeprefix(DATA)) for r in records for w in r.warnings if w.startswith(DATA)})
    for task, note in about:
        out.print(f"Data of {task}: {note}", markup=False, soft_wrap=True)


def _print_estimate(loaded, plan, spec, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from bench.cli._print import out, passing_line, print_table
    from bench.runs.estimate import estimate

    with passing_line() as told:
        expected = estimate(loaded, plan, accept_checksum=spec.trust.accept_checksum, told=told)
    if as_json:
        click.echo(json.dumps(asdict(expected) | {"seconds": expected.seconds, "disk_bytes": expected.disk_bytes}))
        return
    rows = [
        {
            "task": t.task,
            "units": t.units,
            "images": t.images,
            "encode": _duration(t.encode_seconds),
            "solve": _duration(t.solve_seconds),
            "features": f"{t.feature_bytes / 1e6:.0f} MB",
        }
        for t in expected.tasks
    ]
    print_table(
        f"{loaded.card.name}: {plan.suite.name}", rows, right=["units", "images", "encode", "solve", "features"]
    )
    out.print(
        f"{plan.n_units} units, about {_duration(expected.seconds)}, {expected.memory_bytes / 1e9:.1f} GB of memory, "
        f"{expected.disk_bytes / 1e9:.2f} GB of disk ({expected.disk_free / 1e9:.0f} GB free)"
    )
    absent = sum(not t.prepared for t in expected.tasks)
    if absent:
        out.print(
            f"{absent} of {len(rows)} tasks are not prepared yet: noise stood for their images. Preparing comes on top."
        )
    _print_asked(spec, plan)


def _print_asked(spec, plan) -> None:
    """What a cluster will be asked for, where one is."""
    from bench.cli._print import out

    if spec.where.executor == "slurm":
        out.print(spec.where.asked.asks(len(plan.selected)), soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
