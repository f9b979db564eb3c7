"""How much there is to learn in each phantom task: chance, simple references, a supervised encoder, an oracle.

    python benchmarks/headroom.py                     # all tasks of phantom-v1; writes docs/headroom.md
    python benchmarks/headroom.py --tasks xray-focal  # some tasks; prints only

Frozen encoders go through linear-v2 or dense-linear-v2 at 100 % of the labels. Scores are normalised:
(value - chance) / (1 - chance). A task needs headroom: raw pixels and the colour histogram stay below 90 % of the
oracle, and the oracle reaches at least 0.5.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from oracle import dense_oracle, global_oracle

from bench.data.budgets import subsets
from bench.data.dataset import Split, TaskData
from bench.data.load import load_task
from bench.data.task import Task, read_suite, shipped_tasks
from bench.discover import members
from bench.encoders.load import load_encoder
from bench.features.extract import extract
from bench.files import write_atomic
from bench.leaderboard.frame import normalised
from bench.locate import home
from bench.metrics.scored import score
from bench.phantoms.generate import PhantomPlan, split_of
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.runs.records import Record

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/headroom.md"
ENCODERS = {
    "raw pixels": "raw-pixels",
    "colour histogram": "colour-histogram",
    "random ViT": str(ROOT / "submissions/tiny-vit-random-init"),
    "random CNN": str(ROOT / "submissions/tiny-cnn-random-init"),
    "ImageNet": str(ROOT / "bench/encoders/examples/imagenet-efficientnet-lite0.toml"),
}
COLUMNS = [*ENCODERS, "oracle", "oracle, site 2"]
SIMPLE = ("raw pixels", "colour histogram")
EXTRA, EPOCHS = 700, 8
"""Images drawn for the oracle beside the training split, and the passes of the dense one over them."""


def recorded(data: TaskData, encoder_name: str, runs: Path) -> float | None:
    """The same value from the records of `medssl run` (suite phantom-v1), or None when it is not there."""
    wanted = ("dense-linear-v2" if data.task.kind == "dense" else "linear-v2", "100%", data.task.name, data.sha256)
    for path in runs.glob(f"{load_encoder(encoder_name).card.name}/phantom-v1/records.jsonl"):
        for record in map(Record.from_json, path.read_text().splitlines()):
            unit = record.unit
            if (unit.protocol, unit.budget, unit.task, record.data_sha256) == wanted and record.primary:
                return record.primary.value
    return None


def frozen(data: TaskData, encoder_name: str) -> float:
    """Primary metric on "test" of a frozen encoder under the linear protocol of the task's kind."""
    task = data.task
    encoder = load_encoder(encoder_name)
    features = {
        n: extract(encoder, s.images, dense=task.kind == "dense") for n, s in data.splits.items() if n != "test-shift"
    }
    train, val = (
        Labelled(features[n], data.splits[n].labels, data.splits[n].groups, data.splits[n].images)
        for n in ("train", "val")
    )
    test = {"test": Unlabelled(features["test"], data.tests["test"].images)}
    size = data.train.labels.shape[1:] if task.kind == "dense" else None
    protocol = members("bench.protocols", "PROTOCOL")["dense-linear-v2" if task.kind == "dense" else "linear-v2"]
    every = subsets(task, data.train.labels, data.train.groups, "100%", [0])
    (prediction,) = protocol.predict(Problem(task, train, val, test, size), every)
    return primary(task, prediction.outputs["test"], data.tests["test"])


def primary(task: Task, output: np.ndarray, split) -> float:
    """The task's primary metric without interval."""
    return score(task, output, split, resamples=None)[task.metric].value


def measure(task: Task, runs: Path, columns: tuple[str, ...]) -> dict[str, float]:
    """Column -> primary metric; frozen encoders from records of `runs` where they are there."""
    data, row = load_task(task), {}
    for column in [c for c in columns if c in ENCODERS]:
        value = recorded(data, ENCODERS[column], runs)
        row[column] = frozen(data, ENCODERS[column]) if value is None else value
    return row | (oracle(data) if "oracle" in columns else {})


def oracle(data: TaskData) -> dict[str, float]:
    """The oracle on the test images of both sites."""
    task = data.task
    plan = PhantomPlan(task.modality, task.source["aim"], task.source["seed"])
    train = [data.train, Split(**vars(split_of(plan, "oracle", EXTRA)))]
    if task.kind == "dense":
        predict = dense_oracle(task, train, EPOCHS)
    else:
        predict = global_oracle(task, train, load_encoder(ENCODERS["ImageNet"]))
    second = data.tests.get("test-shift") or Split(**vars(split_of(plan, "test-shift", 120)))
    both = {"oracle": data.tests["test"], "oracle, site 2": second}
    return {column: primary(task, predict(split.images), split) for column, split in both.items()}


def verdict(task: Task, row: dict[str, float]) -> str:
    """ "yes", or what is wrong with the task's headroom."""
    scores = {name: normalised(value, task.chance) for name, value in row.items()}
    if not {"oracle", *SIMPLE} <= scores.keys():
        return "not measured"
    if scores["oracle"] < 0.5:
        return "oracle fails"
    solved = [name for name in SIMPLE if scores[name] >= 0.9 * scores["oracle"]]
    return f"{solved[0]} solves it" if solved else "yes"


def table(rows: dict[str, dict[str, float]]) -> str:
    """The Markdown table, one line a task."""
    tasks = shipped_tasks()
    head = ["task", "metric", "chance", *COLUMNS, "headroom"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 3) + "---|"]
    for name, row in rows.items():
        task = tasks[name]
        cells = [
            name.removeprefix("phantom-"),
            task.metric,
            f"{task.chance:.2f}",
            *(f"{row[c]:.3f}" if c in row else "" for c in COLUMNS),
        ]
        lines.append("| " + " | ".join([*cells, verdict(task, row)]) + " |")
    return "\n".join(lines)


@click.command()
@click.option("--tasks", multiple=True, help="Names without 'phantom-'; default: the whole suite.")
@click.option("--runs", type=click.Path(path_type=Path), default="runs", help="Records to take frozen encoders from.")
@click.option("--column", "columns", multiple=True, type=click.Choice([*ENCODERS, "oracle"]), help="Default: all.")
@click.option("--again", is_flag=True, help="Measure also what has been measured before.")
def main(tasks: tuple[str, ...], runs: Path, columns: tuple[str, ...], again: bool) -> None:
    """Measure what is missing, and write docs/headroom.md when the whole suite was asked for."""
    cards, rows = shipped_tasks(), {}
    for name in [f"phantom-{t}" for t in tasks] or read_suite("phantom-v1").tasks:
        kept = home() / "headroom" / f"{name}.{cards[name].sha256[:16]}.json"
        row = json.loads(kept.read_text()) if kept.is_file() else {}
        missing = tuple(c for c in columns or (*ENCODERS, "oracle") if again or c not in row)
        if missing:
            row |= measure(cards[name], runs, missing)
            write_atomic(kept, json.dumps(row))
            click.echo(f"{name}: {json.dumps({k: round(v, 3) for k, v in row.items()})}")
        rows[name] = row
    click.echo(table(rows))
    if not tasks:
        write_atomic(PAGE, f"{INTRODUCTION}\n{table(rows)}\n")


INTRODUCTION = f"""# Headroom of the phantom tasks

A task measures encoders only if something is left to measure: trivial features must not solve it, and a network that
is trained on it must. This table says so for every task of `phantom-v1`. It is written by `python
benchmarks/headroom.py`; values are the task's primary metric on its test split.

- *raw pixels*, *colour histogram*, *random ViT*, *random CNN* and *ImageNet* (EfficientNet-Lite0, supervised on
  ImageNet) are frozen encoders under `linear-v2` or `dense-linear-v2` with all training labels.
- *oracle* (`benchmarks/oracle.py`) is supervised with the task's own training split and {EXTRA:,} more images from the
  same procedure. Global tasks: a logistic head over every stage of that ImageNet network. Dense tasks: a small U-shaped
  network from scratch. *Oracle, site 2* is the same model on the images of the second site.
- *headroom* is "yes" when, in chance-normalised score, neither raw pixels nor the histogram reach 90 % of the oracle
  and the oracle reaches 0.5.
- An empty cell has not been measured. A task without headroom says why in the last column and is not to be read as a
  measure of encoders until it is drawn anew.
"""

if __name__ == "__main__":
    main()
