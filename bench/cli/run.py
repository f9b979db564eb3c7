"""`medssl run`: Score an encoder on a suite, or on a folder of your own task cards."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click


@click.command("run")
@click.argument("encoder", required=False)
@click.option("--model", help="timm architecture of ENCODER, a weights file without a card, if shapes do not tell it.")
@click.option("--encoders", help="Many instead of one: catalogue:small, a list with commas, a file with a name a line.")
@click.option("--disk", type=click.FloatRange(0.001), help="With --encoders: GB of weights to keep at most.")
@click.option("--suite", default=None, help="Suite by name or TOML file [default: phantom-v1, or your --tasks].")
@click.option(
    "--tasks",
    type=click.Path(exists=True, path_type=Path),
    help="Folder with your own task cards, or one card; alone, it is the suite.",
)
@click.option("--task", "only", multiple=True, help="Only these tasks of the suite: a,b (may be repeated).")
@click.option("--out", default="runs", show_default=True, type=click.Path(path_type=Path), help="Folder for results.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", default="auto", show_default=True, help="auto (bf16 on a GPU that has it), fp32, bf16.")
@click.option("--compile", "compiled", is_flag=True, help="Run the network through torch.compile.")
@click.option("--deterministic", is_flag=True, help="Only algorithms that give the same bits every time.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads [default: all cores].")
@click.option("--batch-size", type=click.IntRange(1, 65536), help="Images a batch; halved when memory runs out.")
@click.option("--no-cache", is_flag=True, help="Do not keep features on disk.")
@click.option("--accept-checksum", is_flag=True, help="Use data whose checksum differs; every record is marked.")
@click.option("--trust-code", is_flag=True, help="Allow an encoder that is a Python file. It can do anything you can.")
@click.option("--allow-outside", is_flag=True, help="Allow weights outside the card's folder.")
@click.option("--executor", default="serial", show_default=True, help="serial, processes, ray, slurm.")
@click.option("--workers", type=click.IntRange(1, 4096), help="Workers of the executor.")
@click.option("--partition", help="SLURM: partition of the jobs.")
@click.option("--minutes", default=240, show_default=True, type=click.IntRange(1, 10**5), help="SLURM: time of a job.")
@click.option("--logs", "log_folder", default="runs/.slurm", show_default=True, help="SLURM: folder of the logs.")
@click.option("--gpus", type=click.IntRange(0, 8), help="SLURM: GPUs of a job [default: 0 with --device cpu, else 1].")
@click.option("--cpus", default=4, show_default=True, type=click.IntRange(1, 1024), help="SLURM: cores of a job.")
@click.option("--address", help="Address of a Ray cluster; for slurm, 'local' tries the jobs on this machine.")
@click.option("--watch", "watches", multiple=True, help="jsonl:FILE, wandb:offline, wandb:online, tensorboard:FOLDER.")
@click.option("--dry-run", is_flag=True, help="Only show units, time, memory and disk to expect.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON lines.")
def COMMAND(
    encoder: str | None, encoders: str | None, disk: float | None, suite: str | None, tasks: Path | None,
    only: tuple[str, ...], out: Path, no_cache: bool, gpus: int | None, dry_run: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Score ENCODER: a folder with encoder.toml, a name of 'medssl list encoders', timm:TAG, hf:OWNER/NAME, or weights.

    Interrupt it whenever you like: the same command goes on where it stopped.
    """
    if (encoder is None) == (encoders is None):
        raise click.UsageError("give one ENCODER, or --encoders")
    from bench.runs.executors._base import Resources
    from bench.runs.provenance import command_line
    from bench.runs.run import RunSpec, run_folder, session

    asked = {field.name: given.pop(field.name) for field in fields(Resources) if field.name in given}
    spec = RunSpec(
        encoder=encoder or "",
        suite=suite or (None if tasks else "phantom-v1"),
        tasks=str(tasks) if tasks else None,
        only=tuple(name.strip() for names in only for name in names.split(",") if name.strip()),
        out=str(out),
        cache=not no_cache,
        command=command_line(),
        resources=Resources(gpus=int(given["device"] != "cpu") if gpus is None else gpus, **asked),
        **given,  # the other options are fields of it by name
    )
    if encoders is not None:
        from bench.cli._many import many

        many(encoders, spec, disk=disk, dry_run=dry_run, as_json=as_json)
        return
    loaded, plan = session(spec)
    _say_made(spec.encoder, loaded.card)
    if dry_run:
        _print_estimate(loaded, plan, spec, as_json)
        return
    folder = run_folder(spec.out, loaded, plan)
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
    from shlex import quote

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

    from bench.cli._print import progress_bar
    from bench.runs.journal import Journal
    from bench.runs.run import run_plan
    from bench.runs.timing import timing

    title, started = f"{loaded.card.name}: {plan.suite.name}", time.perf_counter()
    made: list[Any] = []
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

        records = run_plan(loaded, plan, spec, report, say)
        bar.update(row, completed=plan.n_units, description=title)
    workers = 1 if spec.executor == "serial" else spec.resources.workers or 1
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
    for line in hint(beside) if beside else ():
        out.print(line, markup=False, soft_wrap=True)


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

    from bench.cli._print import out, print_table
    from bench.runs.estimate import estimate

    expected = estimate(loaded, plan, accept_checksum=spec.accept_checksum)
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
    if spec.executor == "slurm":
        out.print(spec.resources.asks(len(plan.selected)), soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
