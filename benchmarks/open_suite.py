"""What the sets of open-v1 are, whether phantom-v1 orders encoders as they do, and how much pretraining seeds differ.

    python benchmarks/open_suite.py [--records runs ...] [--write]     # writes the tables of docs/open.md

Needs the results of both suites (`submissions/`, or run folders). Scores are those at 100 % of the labels under the
linear probes, seeds averaged; orders are compared as `bench.analysis.between` says.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from bench import markers
from bench.analysis.between import Agreement, Between, between, full_label_scores
from bench.data.task import Task, read_suite, shipped_tasks
from bench.leaderboard import boards
from bench.leaderboard.collect import collect, default_roots
from bench.locate import shipped
from bench.pretrain import standings
from bench.pretrain.recipe import read_recipe
from bench.pretrain.report import stories_in

PAGE = Path(__file__).resolve().parents[1] / "docs/open.md"
REAL, PHANTOM = "open-v1", "phantom-v1"
TRACK = "tiny"
"""Whose encoders were pretrained with several seeds."""
UNTRAINED = ("tiny-vit-random-init", "tiny-cnn-random-init")


def sets(found: pd.DataFrame) -> str:
    """The table of the sets."""
    value = found.pivot_table(index="task", columns="encoder", values="value", observed=True)
    imagenet = [name for name in value if str(name).startswith("imagenet-")]
    head = ["set", "modality", "task", "train / val / test", "groups", "licence", "chance", "colour histogram"]
    head += ["raw pixels", "untrained", *(name.removeprefix("imagenet-") for name in imagenet), "best of all", "by"]
    rows = [_row(shipped_tasks()[name], value, imagenet) for name in read_suite(REAL).tasks]
    return markers.table(head, rows, right=range(6, 11 + len(imagenet)))


def _row(task: Task, value: pd.DataFrame, imagenet: list[str]) -> list[object]:
    with open(shipped("tasks") / task.source["index"], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    n = Counter(row["split"] for row in rows)
    known = any(row["group"] for row in rows)
    groups = len({row["group"] or row["id"] for row in rows}) if known else "-"
    got = value.loc[task.name] if task.name in value.index else pd.Series(dtype=float)
    untrained = max((got[name] for name in UNTRAINED if name in got), default=float("nan"))
    best = got.idxmax() if len(got.dropna()) else ""
    cells = [got.get("colour-histogram"), got.get("raw-pixels"), untrained, *(got.get(name) for name in imagenet)]
    shown = [task.name, task.modality, f"{task.target}, {len(task.classes)} classes"]
    shown += [f"{n['train']} / {n['val']} / {n['test']}", groups, task.licence, f"{task.chance:.2f}"]
    return [*shown, *map(_number, cells), _number(got.get(best)), best]


def _number(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.3f}"


def agreement(found: Between) -> str:
    """Kendall's tau between both suites, whole, by kind and by modality and kind."""
    rows = [[_named(a) or "all tasks", a.others, a.tasks, *_tau(a), a.first, _place(a)] for a in found.parts]
    head = ["tasks", "real", "phantom", "encoders", "tau", "95 % interval", "first on real", "its place on phantoms"]
    return markers.table(head, rows, right=[1, 2, 3, 4])


def each_phantom(found: Between) -> str:
    """Kendall's tau of each phantom task with the real tasks of its modality and kind, or of its kind."""
    rows = [[task, _named(a), a.others, *_tau(a)] for task, a in found.by_task.items()]
    head = ["phantom task", "against real tasks of", "tasks", "encoders", "tau", "95 % interval"]
    return markers.table(head, rows, right=[2, 3, 4])


def _named(found: Agreement) -> str:
    return ", ".join(found.part.values())


def _tau(found: Agreement) -> list[object]:
    if found.tau is None:
        return [found.encoders, "not measured", ""]
    return [found.encoders, f"{found.tau:.2f}", f"[{found.low:.2f}, {found.high:.2f}]"]


def _place(found: Agreement) -> str:
    return f"{found.place} of {found.encoders}" if found.first else ""


def main() -> None:
    """Print the tables; with --write also into docs/open.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, nargs="*", default=[], help="run folders beside the submissions")
    parser.add_argument("--write", action="store_true", help="write docs/open.md")
    chosen = parser.parse_args()
    found = collect(default_roots()[0], local=chosen.records, suites=[REAL, PHANTOM])
    told = between(found[PHANTOM].frame, found[REAL].frame, REAL)
    tables = {"sets": sets(full_label_scores(found[REAL].frame))}
    tables |= {"agreement": agreement(told), "phantoms": each_phantom(told)}
    stories, scored = stories_in(default_roots()[0][0], read_recipe(TRACK)), boards(found[REAL])
    tables |= {"seeds": standings.seeds(stories, scored), "spread": standings.spread(stories, scored)}
    for name, text in tables.items():
        print(f"\n{name}\n\n{text}")
    if chosen.write:
        markers.refresh(PAGE, tables)


if __name__ == "__main__":
    main()
