"""`medssl check`: Check an encoder before it is run: card, weights, contract, alarms, cost."""

import json
from shlex import quote
from typing import Any

import click

from bench.cli._options import options_of
from bench.runs.options import SUITE, Trust, Where

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
TRUSTED = ("trust_code", "allow_outside")
WORDS = {"ok": "ok", "warning": "look", "problem": "FAILS", "skipped": "skipped"}


@click.command("check")
@click.argument("encoder")
@click.option("--suite", default=None, help="Also say what this suite (name or TOML file) will take.")
@click.option("--images", default=None, type=click.IntRange(0, 2000), help="Phantom images for the alarms; 0: none.")
@options_of(Where, "device", device="cpu")
@options_of(Trust, *TRUSTED)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def COMMAND(
    encoder: str,
    suite: str | None,
    images: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Check ENCODER: a folder with encoder.toml, or anything else that 'medssl run' takes.

    Exit code 1 when something fails.
    """
    from bench.checks.check import check
    from bench.checks.finding import CheckReport
    from bench.cli._print import transient_bar

    found = []
    with transient_bar("phantom images") as seen:
        for finding in check(encoder, suite=suite, images=images, seen=seen, **options):
            found.append(finding)
            if not as_json:
                _print(finding)
    report = CheckReport(encoder, tuple(found))
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, sort_keys=True))
    else:
        _verdict(report)
        if report.passed:
            flags = "".join(f" --{name.replace('_', '-')}" for name in TRUSTED if options[name])
            click.echo(f" Next: medssl run {quote(encoder)} --suite {quote(suite or SUITE)}{flags}")
    if not report.passed:
        raise click.exceptions.Exit(1)


def _print(finding) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from bench.cli._print import out

    row = Table.grid(padding=(0, 2))
    row.add_column(width=7)
    row.add_column(width=24)
    row.add_column(overflow="fold")
    word = Text(WORDS[finding.level], style=STYLES[finding.level])
    row.add_row(word, Text(finding.check), Text(finding.message))
    out.print(Padding(row, (0, 0, 0, 1), expand=False))


def _verdict(report) -> None:
    from bench.cli._print import out

    counts = {level: sum(f.level == level for f in report.findings) for level in ("problem", "warning")}
    if counts["problem"]:
        out.print(f"\n {report.encoder} fails {counts['problem']} of {len(report.findings)} checks.", markup=False)
    elif counts["warning"]:
        out.print(f"\n {report.encoder} can be run; look at {counts['warning']} of its checks first.", markup=False)
    else:
        out.print(f"\n {report.encoder} passes every check.", markup=False)
