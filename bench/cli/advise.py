"""`medssl advise`: Say which encoder suits a modality, a task and a number of labelled images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from bench.words import MODALITIES

SCORE = "score [95 % interval]"


@click.command()
@click.option("--modality", type=click.Choice(MODALITIES), required=True)
@click.option("--task", type=click.Choice(["classification", "segmentation"]), required=True)
@click.option("--labels", type=click.IntRange(min=1), help="Labelled images at hand; default: plenty.")
@click.option("--commercial", is_flag=True, help="Only encoders whose licence allows commercial use.")
@click.option("--max-gflops", type=click.FloatRange(min=0, min_open=True), help="Forward GFLOPs an image may cost.")
@click.option("--records", type=click.Path(exists=True, path_type=Path), help="A run folder, submissions, or a table.")
@click.option("--suite", help="Only the results of this suite.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.option("--validate", is_flag=True, help="Print how the advice fares on tasks it has not seen.")
def COMMAND(modality, task, labels, commercial, max_gflops, records, suite, as_json, validate) -> None:
    """Rank encoders for your situation, with the evidence behind the ranking."""
    from bench.analysis.advisor import Question, advise
    from bench.analysis.markdown import regret
    from bench.analysis.measurement import NotEnough
    from bench.analysis.regret import regret_table
    from bench.analysis.source import read_results_table
    from bench.cli._print import say_source
    from bench.errors import UserError

    found = read_results_table(records, suite)
    say_source(found)
    frame = found.frame
    if validate:
        try:
            click.echo(regret(asdict(row) for row in regret_table(frame)))
        except NotEnough as lack:
            raise UserError(f"the advice cannot be validated: {lack}") from None
        return
    answer = advise(
        frame, Question(modality=modality, task=task, labels=labels, commercial=commercial, max_gflops=max_gflops)
    )
    if as_json:
        click.echo(json.dumps(answer.model_dump(mode="json"), indent=1))
        return
    _print(answer)


def _print(answer) -> None:
    from bench.cli._print import print_table

    encoders = [
        {"encoder": c.name, "paradigm": c.paradigm, SCORE: _span(c), "best in": f"{c.p_best:.0%}"}
        for c in answer.encoders[:10]
    ]
    paradigms = [{"paradigm": c.name, "encoders": c.n_encoders, SCORE: _span(c)} for c in answer.paradigms]
    if encoders:
        print_table("Encoders, best first", encoders, right=[SCORE, "best in"])
    if paradigms:
        print_table("Paradigms", paradigms, right=["encoders", SCORE])
    if answer.tasks:
        click.echo(f"Evidence ({answer.level}): {', '.join(answer.tasks)} at {', '.join(answer.budgets)} labels")
    for note in answer.extrapolated:
        click.echo(note)
    for name, why in sorted(answer.excluded.items()):
        click.echo(f"Not considered: {name} ({why})")
    click.echo(f"Confidence: {answer.confidence}")


def _span(choice) -> str:
    return f"{choice.score:.1f}" + ("" if choice.low is None else f" [{choice.low:.1f}, {choice.high:.1f}]")
