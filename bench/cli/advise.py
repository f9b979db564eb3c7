"""`medssl advise`: Say which encoder suits a modality, a task and a number of labelled images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from bench.words import MODALITIES

SCORE = "score [95 % of new tasks]"


@click.command()
@click.option("--modality", type=click.Choice(MODALITIES), required=True)
@click.option("--task", type=click.Choice(["classification", "segmentation"]), required=True)
@click.option("--labels", type=click.IntRange(min=1), help="Labelled images at hand; default: plenty.")
@click.option("--commercial", is_flag=True, help="Only encoders whose licence allows commercial use.")
@click.option("--open", "open_access", is_flag=True, help="Only weights that anybody gets, without an account.")
@click.option("--max-size", type=click.IntRange(min=8), help="Largest image side, in pixels, an encoder may need.")
@click.option("--max-gflops", type=click.FloatRange(min=0, min_open=True), help="Forward GFLOPs an image may cost.")
@click.option(
    "--records",
    type=click.Path(exists=True, path_type=Path),
    help="Your own results: a run folder counts beside what is shipped, a saved table alone.",
)
@click.option("--suite", help="Only the results of this suite.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.option("--validate", is_flag=True, help="Print how the advice fares on tasks it has not seen.")
def COMMAND(
    modality, task, labels, commercial, open_access, max_size, max_gflops, records, suite, as_json, validate
) -> None:
    """Rank encoders for your situation, with the evidence behind the ranking."""
    from bench.analysis.advisor import Question, advise
    from bench.analysis.markdown import regret
    from bench.analysis.measurement import NotEnough
    from bench.analysis.regret import regret_table, said
    from bench.analysis.source import read_results_table
    from bench.cli._print import say_source
    from bench.errors import UserError

    found = read_results_table(records, suite, beside=True)
    say_source(found)
    frame = found.frame
    if validate:
        try:
            click.echo(regret(asdict(row) for row in regret_table(frame)))
        except NotEnough as lack:
            raise UserError(f"the advice cannot be validated: {lack}") from None
        return
    question = Question(
        modality=modality, task=task, labels=labels, commercial=commercial, open_access=open_access,
        max_gflops=max_gflops, max_size=max_size,
    )  # fmt: skip
    answer = advise(frame, question)
    if as_json:
        click.echo(json.dumps(answer.model_dump(mode="json"), indent=1))
        return
    _print(answer, found.suite)
    try:
        click.echo(said(regret_table(frame)))
    except NotEnough as lack:
        click.echo(f"How such advice fares on data sets it has not seen cannot be told: {lack}.")


def _print(answer, suite) -> None:
    from bench.cli._print import print_table

    click.echo(answer.headline)
    rows = [{"encoder": c.name, "paradigm": c.paradigm, SCORE: _span(c)} for c in answer.encoders[:10]]
    if rows:
        title = f"The first {answer.together} cannot be told apart" if answer.together > 1 else "Encoders, best first"
        print_table(title if answer.level == "direct" else "The order over all other tasks", rows, right=[SCORE])
    if answer.baselines and answer.encoders:
        rows = [{"reference": c.name, SCORE: _span(c)} for c in answer.baselines]
        print_table("To be read against, never advised", rows, right=[SCORE])
    if answer.level == "direct":
        click.echo(f"Evidence: {', '.join(answer.tasks)} at {', '.join(answer.budgets)} of the labels")
    for note in answer.notes:
        click.echo(note)
    for name, why in sorted(answer.excluded.items()):
        click.echo(f"Not considered: {name} ({why})")
    click.echo(f"Confidence: {answer.confidence}")
    if answer.level == "direct" and answer.encoders and suite:
        click.echo(f"Next: medssl run {answer.encoders[0].name} --tasks YOUR-TASKS, then ask again with --records runs")


def _span(choice) -> str:
    return f"{choice.score:z.1f} [{choice.low:z.1f}, {choice.high:z.1f}]"
