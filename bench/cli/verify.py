"""`medssl verify`: Check a submission and give it a badge."""

import json
from pathlib import Path

import click

from bench.cli._options import options_of
from bench.runs.options import Trust


@click.command("verify")
@click.argument("submission", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rescore", is_flag=True, help="Recompute every metric and interval from the predictions.")
@click.option("--rerun", is_flag=True, help="Also recompute from the weights.")
@click.option(
    "--sample",
    type=click.IntRange(0),
    is_flag=False,
    flag_value=0,
    help="Rerun this many units, drawn by lot, instead of all; without a number as many as 'reproduced' takes.",
)
@click.option("--nonce", default="", help="Repeat the draw of an earlier verification (see badges.jsonl).")
@click.option("--tasks", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of task cards.")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Suite file of your own (may be repeated).",
)
@click.option("--store", help="Folder or address that holds weights kept beside the repository (stored.json).")
@options_of(Trust, "trust_code")
@click.option("--minutes", default=240.0, show_default=True, help="What takes longer is stopped.")
@click.option("--memory", default=32.0, show_default=True, help="GB of memory it may take.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def COMMAND(
    submission: Path,
    rescore: bool,
    rerun: bool,
    sample: int | None,
    nonce: str,
    tasks: Path | None,
    suites: tuple[Path, ...],
    store: str | None,
    trust_code: bool,
    minutes: float,
    memory: float,
    as_json: bool,
) -> None:
    """Check SUBMISSION: schema, fingerprint, ids and hashes; with options, every number. Executes nothing it brings.

    Weights that are here are loaded, in a process of its own, and held to the contract of 'medssl check'.
    """
    from bench.cli._apart import SELF, apart, bound_memory, is_apart
    from bench.submissions.encoder import is_at_hand

    if is_apart():
        bound_memory()
    elif rerun or sample is not None or trust_code or store or is_at_hand(submission):
        raise click.exceptions.Exit(apart([*SELF, *_arguments()], minutes=minutes, gigabytes=memory))
    from bench.leaderboard.collect import default_roots
    from bench.submissions.verify import SHOWN, verify

    report = verify(
        submission,
        rescore=rescore,
        rerun=rerun,
        sample=sample,
        nonce=nonce,
        tasks=tasks,
        suites=suites,
        against=default_roots()[0],
        trust_code=trust_code,
        store=store,
    )
    if as_json:
        click.echo(
            json.dumps(
                {
                    "submission": str(report.folder),
                    "accepted": report.accepted,
                    "badge": report.badge,
                    "checked": report.checked,
                    "problems": report.problems,
                    "alarms": report.alarms,
                    "done": report.done,
                    "units": report.units,
                    "primary": report.condensed,
                    "rerun": report.rerun,
                    "largest_difference": report.largest_difference,
                },
                indent=2,
            )
        )
    else:
        for line in report.checked:
            click.echo(f"  checked  {line}")
        for line in report.alarms[:SHOWN]:
            click.echo(f"  LOOK     {line}")
        for line in report.problems[:SHOWN]:
            click.echo(f"  WRONG    {line}")
        if len(report.problems) > SHOWN:
            click.echo(f"  ... and {len(report.problems) - SHOWN} more")
        verdict = f"accepted, badge: {report.badge}" if report.accepted else "refused; see badges.jsonl"
        click.echo(f"{submission}: {verdict}")
    if not report.accepted:
        raise click.exceptions.Exit(2)


def _arguments() -> list[str]:
    """This command as it was given."""
    context = click.get_current_context()
    found = ["verify"]
    for option in context.command.params:
        given = context.params[option.name]
        if isinstance(option, click.Argument):
            found.append(str(given))
        elif getattr(option, "is_flag", False):
            found += [option.opts[0]] if given else []
        else:
            values = given if option.multiple else (given,)
            found += [f"{option.opts[0]}={value}" for value in values if value not in (None, "")]
    return found
