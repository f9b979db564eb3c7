"""What the sets of open-v1 are, whether phantom-v1 orders encoders as they do, and how much pretraining seeds differ.

    python benchmarks/open_suite.py [--records runs ...] [--write]     # writes the tables of docs/open.md

Needs the results of both suites (`submissions/`, or run folders). Scores are those at 100 % of the labels under the
linear probes, seeds averaged. Kendall's tau is over the encoders measured on both suites, without repeat seeds and
without the references that are no network; its interval is a percentile bootstrap over these encoders, and says nothing
about encoders of other kinds.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from bench import markers
from bench.analysis.agreement import bootstrap_rows, tau_rows
from bench.analysis.table import counted, pick, weights
from bench.data.task import Task, read_suite, shipped_tasks
from bench.leaderboard import boards
from bench.leaderboard.collect import Collection, collect, default_roots
from bench.locate import shipped
from bench.pretrain import standings
from bench.pretrain.recipe import read_recipe
from bench.pretrain.report import stories_in

PAGE = Path(__file__).resolve().parents[1] / "docs/open.md"
LINEAR = ["linear-v2", "dense-linear-v2"]
REAL, PHANTOM = "open-v1", "phantom-v1"
TRACK = "tiny"
"""Whose encoders were pretrained with several seeds."""
NO_NETWORK = ("raw-pixels", "colour-histogram")
UNTRAINED = ("tiny-vit-random-init", "tiny-cnn-random-init")
RESAMPLES, FEWEST = 2000, 8
"""Resamples of encoders; encoders below which no tau is given."""


def scores(collection: Collection) -> pd.DataFrame:
    """Primary metric of every encoder and task at 100 % under the linear probes; a row an encoder and task."""
    rows = pick(counted(collection.frame), LINEAR, ssl=False)
    about = ["encoder", "task", "kind", "modality", "origin", "paradigm", "chance"]
    return rows.groupby(about, observed=True)[["value", "score"]].mean().reset_index().astype({"task": str})


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


def agreement(real: pd.DataFrame, phantom: pd.DataFrame) -> str:
    """Kendall's tau between both suites, whole, by kind and by modality and kind."""
    parts: dict[str, Mapping[str, str]] = {"all tasks": {}, "global": {"kind": "global"}, "dense": {"kind": "dense"}}
    shared = sorted(set(_cells(real)) & set(_cells(phantom)))
    parts |= {f"{modality}, {kind}": {"modality": modality, "kind": kind} for modality, kind in shared}
    rows = []
    for name, part in parts.items():
        pair = (_means(_within(real, part)), _means(_within(phantom, part)))
        rows.append([name, _count(real, part), _count(phantom, part), *_tau(*pair)])
    head = ["tasks", "real", "phantom", "encoders", "tau", "95 % interval", "first on real", "its place on phantoms"]
    return markers.table(head, rows, right=[1, 2, 3, 4])


def each_phantom(real: pd.DataFrame, phantom: pd.DataFrame) -> str:
    """Kendall's tau of each phantom task with the real tasks of its modality and kind, or of its kind."""
    rows = []
    for task, found in phantom.groupby("task"):
        about = found.iloc[0]
        part = {"modality": about["modality"], "kind": about["kind"]}
        own = _count(real, part) > 0
        against = part if own else {"kind": about["kind"]}
        rows.append([
            task, ", ".join(against.values()), _count(real, against),
            *_tau(_means(_within(real, against)), _means(found))[:3],
        ])  # fmt: skip
    head = ["phantom task", "against real tasks of", "tasks", "encoders", "tau", "95 % interval"]
    return markers.table(head, rows, right=[2, 3, 4])


def _cells(found: pd.DataFrame) -> Iterator[tuple[str, str]]:
    return zip(found["modality"].astype(str), found["kind"].astype(str), strict=True)


def _within(found: pd.DataFrame, part: Mapping[str, str]) -> pd.DataFrame:
    for column, value in part.items():
        found = found[found[column] == value]
    return found


def _count(found: pd.DataFrame, part: Mapping[str, str]) -> int:
    return _within(found, part)["task"].nunique()


def _means(found: pd.DataFrame) -> pd.Series:
    """Board score of each encoder that has every task: cells alike, origins alike within a cell."""
    table = found.pivot_table(index="encoder", columns="task", values="score", observed=True).dropna()
    columns = found.drop_duplicates("task").set_index("task").loc[table.columns].reset_index().assign(side="")
    mean = table.to_numpy() @ weights(columns[["task", "modality", "kind", "side", "origin"]].astype(str))
    return pd.Series(mean, table.index.astype(str))


def _tau(real: pd.Series, phantom: pd.Series) -> list[object]:
    """Encoders, tau, its interval, the first encoder on real tasks and its place on phantoms."""
    both = pd.DataFrame({"real": real, "phantom": phantom}).dropna().drop(index=list(NO_NETWORK), errors="ignore")
    if len(both) < FEWEST:
        return [len(both), "not measured", "", "", ""]
    x, y = both["real"].to_numpy(), both["phantom"].to_numpy()
    drawn = bootstrap_rows(len(x), RESAMPLES, np.random.default_rng(0))
    low, high = np.nanquantile(tau_rows(x[drawn], y[drawn]), [0.025, 0.975])
    first = both["real"].idxmax()
    place = int(both["phantom"].rank(ascending=False)[first])
    tau = kendalltau(x, y).statistic
    return [len(both), f"{tau:.2f}", f"[{low:.2f}, {high:.2f}]", first, f"{place} of {len(both)}"]


def main() -> None:
    """Print the tables; with --write also into docs/open.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, nargs="*", default=[], help="run folders beside the submissions")
    parser.add_argument("--write", action="store_true", help="write docs/open.md")
    chosen = parser.parse_args()
    found = collect(default_roots()[0], local=chosen.records, suites=[REAL, PHANTOM])
    real, phantom = scores(found[REAL]), scores(found[PHANTOM])
    tables = {"sets": sets(real), "agreement": agreement(real, phantom), "phantoms": each_phantom(real, phantom)}
    stories, scored = stories_in(default_roots()[0][0], read_recipe(TRACK)), boards(found[REAL])
    tables |= {"seeds": standings.seeds(stories, scored), "spread": standings.spread(stories, scored)}
    for name, text in tables.items():
        print(f"\n{name}\n\n{text}")
    if chosen.write:
        markers.refresh(PAGE, tables)


if __name__ == "__main__":
    main()
