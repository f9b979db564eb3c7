"""`medssl analyze`: Judge every claim of the ledger on the results at hand."""

import json
from pathlib import Path

import click


@click.command()
@click.option("--records", type=click.Path(exists=True, path_type=Path), help="A run folder, submissions, or a table.")
@click.option("--suite", "--board", "suite", help="Only the results of this suite.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write analysis.json and pictures here.")
@click.option("--diagnostics", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="CSV of label-free diagnostics, one row an encoder [default: the shipped ones].")  # fmt: skip
@click.option("--claims", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of claims of your own, h1.toml and so on [default: the ledger].")  # fmt: skip
@click.option("--report", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Markdown page whose marked tables are written anew.")  # fmt: skip
def COMMAND(records, suite, as_json, out, diagnostics, claims, report) -> None:
    """Judge every claim of the ledger, or of yours, on the results at hand."""
    from bench import markers
    from bench.analysis.claim import read_ledger
    from bench.analysis.markdown import tables
    from bench.analysis.report import analyse, charts
    from bench.analysis.source import read_diagnostics, read_results_table
    from bench.analysis.style import save
    from bench.analysis.verdict import Verdict
    from bench.cli._print import say_source
    from bench.files import write_atomic

    read = read_results_table(records, suite)
    say_source(read)
    frame = read.frame
    ledger = read_ledger(claims) if claims else None
    found = analyse(frame, ledger, diagnostics=read_diagnostics(diagnostics) if diagnostics else read.diagnostics)
    text = json.dumps(found, indent=1, sort_keys=True, allow_nan=False)
    if out:
        write_atomic(out / "analysis.json", text + "\n")
        for name, chart in charts(frame, found):
            save(chart, out / f"{name}.svg")
    if report:
        markers.refresh(report, tables(found))
    if as_json:
        click.echo(text)
        return
    for values in found["verdicts"]:
        verdict = Verdict.model_validate(values)
        click.echo(verdict)
        for part in verdict.parts:
            click.echo(f"     {part}")
        evidence = f" ({verdict.n_encoders} encoders, {verdict.n_tasks} source data sets)" if verdict.n_encoders else ""
        click.echo(f"     {verdict.reason}{evidence}")
    for board, shares in found["variance"].items():
        if "missing" not in shares:
            parts = f"encoder {shares['encoder']:.0%}, task {shares['task']:.0%}, encoder x task {shares['rest']:.0%}"
            own = f"{shares['paradigm_of_encoder']:.0%} of encoder, {shares['paradigm_of_rest']:.0%} of encoder x task"
            click.echo(f"Variance, {board}: {parts}; paradigm explains {own}")
