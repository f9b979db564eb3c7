"""`medssl run --encoders`: what is to come, and how each encoder ended."""

import json
from dataclasses import asdict
from pathlib import Path

import click


def many(text: str, spec, *, disk: float | None, dry_run: bool, as_json: bool) -> None:
    """Run the encoders of `--encoders` one after the other; exit code 1 when one was left out or a unit failed."""
    from bench.runs.many import expected, names_of, run_many
    from bench.runs.plan import make_plan

    names = names_of(text)
    plan = make_plan(spec.what.suite, Path(spec.what.tasks) if spec.what.tasks else None, spec.what.only)
    coming = expected(names, plan, accept_checksum=spec.trust.accept_checksum)
    if not as_json:
        _forecast(coming, plan, spec)
    elif dry_run:
        click.echo(json.dumps([asdict(e) for e in coming]))
    if dry_run:
        return
    ended = []
    for left in run_many(names, spec, plan, lambda one: _one(one, as_json), None if disk is None else int(disk * 1e9)):
        ended.append(left)
        if left.reason:
            click.echo(f"left out: {left.reason}", err=True)
    if as_json:
        for record in (r for left in ended for r in left.records):
            click.echo(record.to_json())
    else:
        _outcome(ended)
    if any(left.reason or any(r.status == "failed" for r in left.records) for left in ended):
        raise click.exceptions.Exit(1)


def _one(spec, as_json: bool):
    from bench.cli.run import _summary, _with_progress
    from bench.runs.run import run_folder, session

    loaded, plan = session(spec)
    folder = run_folder(spec.what.out, loaded, plan)
    records, spent = _with_progress(loaded, plan, spec, folder)
    if not as_json:
        _summary(records, folder, spent, plan)
    return records


def _forecast(coming, plan, spec) -> None:
    from bench.cli._print import out, print_table
    from bench.cli.run import _duration, _print_asked
    from bench.runs.stand_in import is_prepared

    rows = [
        {
            "encoder": e.encoder,
            "access": e.access,
            "download": "unknown" if e.download is None else f"{e.download / 1e6:.0f} MB",
            "time": "unknown" if e.seconds is None else f"about {_duration(e.seconds)}",
        }
        for e in coming
    ]
    print_table(f"{len(rows)} encoders: {plan.suite.name}", rows, right=["download", "time"])
    known = [e.download for e in coming if e.download is not None]
    times = [e.seconds for e in coming if e.seconds is not None]
    spoken = f"about {_duration(sum(times))} to run" if times else "time not known beforehand"
    out.print(
        f"{sum(known) / 1e9:.2f} GB to download, {spoken}"
        + (f"; {len(coming) - len(known)} sizes and {len(coming) - len(times)} times are not known beforehand")
        * (len(known) + len(times) < 2 * len(coming))
    )
    accept = spec.trust.accept_checksum
    if absent := [task for task in plan.selected if not is_prepared(plan, plan.tasks[task], accept_checksum=accept)]:
        out.print(
            f"{len(absent)} of {len(plan.selected)} tasks are not prepared yet; what their files take: "
            f"medssl data fetch {plan.suite.name} --dry-run",
            soft_wrap=True,
        )
    _print_asked(spec, plan)


def _outcome(ended) -> None:
    from bench.cli._print import print_table

    rows = [{"encoder": e.encoder, "records": len(e.records), "left out because": e.reason} for e in ended]
    print_table(f"{sum(not e.reason for e in ended)} of {len(ended)} encoders", rows, right=["records"])
