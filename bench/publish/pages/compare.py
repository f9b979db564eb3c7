"""Compare: paired differences between encoders, task by task."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.budget import FULL, Budget
from bench.metrics.names import MetricName
from bench.publish.model import BoardView, Estimate, Pairs, SuiteView
from bench.publish.rerank import LEVEL, base64_shorts, totals
from bench.publish.text import metric, modality
from bench.publish.writer import Page, Site

BUDGET = 24_000
"""Replicate values shipped for each encoder."""
FEWEST, MOST, TOP = 200, 2000, 8


def write(site: Site) -> None:
    """The page, one data file an encoder, and a table of the leaders against each other."""
    paired = [(suite, suite.pairs) for suite in site.view.suites if suite.pairs is not None]
    for suite, pairs in paired:
        _write_data(site, suite, pairs)
    suites = [suite for suite, _ in paired]
    site.page(
        "compare.html", "pages/compare.html", suites=suites, encoders=site.view.encoders,
        leaders=[(s, s.boards[0], leaders(s.boards[0])) for s in suites if s.boards],
    )  # fmt: skip


def _write_data(site: Site, suite: SuiteView, pairs: Pairs) -> None:
    r = min(pairs.replicates.shape[2], MOST, max(FEWEST, BUDGET // max(1, len(pairs.tasks))))
    lines = [*_boards(suite, pairs), *_tasks(suite, pairs), *_strata(suite, pairs), *_budgets(suite, pairs)]
    titles = [{"name": n, "title": site.view.encoders[n].title} for n in pairs.encoders]
    most = max((line.tasks for line in lines), default=0)
    name, about = f"pairs/{suite.name}", [line.about for line in lines]
    t = [round(float(stats.t.ppf(0.975, df)), 6) for df in range(1, most)]
    data = {"name": name, "lines": about, "encoders": titles, "replicates": r, "t": t}
    site.script(f"data/{name}.js", "receive", data)
    paired = [line.draws for line in lines if line.draws is not None]
    for i, encoder in enumerate(pairs.encoders):
        values = [_plain(line.values[i]) for line in lines]
        draws = base64_shorts(np.stack([d[i, :r] for d in paired])) if paired else ""
        site.script(
            f"data/{name}/{encoder}.js", "receive", {"name": f"{name}/{encoder}", "values": values, "shorts": draws}
        )


def _plain(values: np.ndarray) -> Any:
    if values.ndim:
        return [_plain(v) for v in values]
    return None if np.isnan(values) else round(float(values), 5)


@dataclass(frozen=True)
class Line:
    """One line of a comparison: a value for each encoder (e,) with replicates (e, r), or one for each of its tasks too,
    (e, t), of which the page takes the mean and an interval over tasks. Lines with replicates come first.

    view: the choice on the page under which it is shown; part: the heading above it.
    """

    view: str
    part: str
    title: str
    values: np.ndarray
    draws: np.ndarray | None = None
    address: str = ""

    @property
    def tasks(self) -> int:
        """Tasks it is a mean over on the page; 0 for a line that stands for itself."""
        return self.values.shape[1] if self.values.ndim > 1 else 0

    @property
    def about(self) -> dict[str, Any]:
        """What the page needs beside the values."""
        return {
            "about": self.view,
            "part": self.part,
            "title": self.title,
            "address": self.address,
            "tasks": self.tasks,
        }


def _boards(suite: SuiteView, pairs: Pairs) -> list[Line]:
    """Overall, Global and Dense, from the replicates of the boards."""
    found = []
    for board in suite.boards:
        if board.name not in ("overall", "global", "dense"):
            continue
        kinds, ones = [c.kind for c in board.columns], np.ones(len(board.columns))
        _, spread = totals(board.points, board.replicates.transpose(1, 2, 0), kinds, ones)
        place = {row.encoder: k for k, row in enumerate(board.rows)}
        values, draws = np.full(len(pairs.encoders), np.nan), np.full((len(pairs.encoders), spread.shape[1]), np.nan)
        for i, name in enumerate(pairs.encoders):
            if name in place and board.rows[place[name]].score is not None:
                values[i], draws[i] = board.rows[place[name]].score, spread[place[name]]
        found.append(Line("Boards", "Boards", board.title, values, draws, f"boards/{suite.name}/{board.name}.html"))
    return found


def _tasks(suite: SuiteView, pairs: Pairs) -> list[Line]:
    return [
        Line(
            "Tasks", f"{modality(task.modality)}, {task.kind}", task.title, pairs.points[:, t], pairs.replicates[:, t],
            f"tasks/{suite.name}/{name}.html",
        )
        for t, name in enumerate(pairs.tasks) for task in [suite.tasks[name].task]
    ]  # fmt: skip


def _strata(suite: SuiteView, pairs: Pairs) -> list[Line]:
    """The metrics by size and contrast of the lesion on each dense task, with all labels."""
    rows = suite.results
    rows = rows[(rows["budget"] == FULL) & (rows["split"] == "test") & (rows["protocol"] == suite.main.get("dense"))]
    rows = rows[rows["metric"].map(lambda text: MetricName.read(text).stratum != "").astype(bool)]
    heading = "By lesion: mean over tasks, interval over tasks"
    return [
        Line("Lesions", heading, metric(name), _by_task(part, pairs, "value"))
        for name, part in rows.groupby("metric", sort=True)
    ]


def _budgets(suite: SuiteView, pairs: Pairs) -> list[Line]:
    """The score on each task with fewer labels, by kind of task."""
    rows = suite.results
    rows = rows[rows["primary"].astype(bool) & (rows["split"] == "test") & (rows["budget"] != FULL)]
    found, heading = [], "By labels: mean over tasks, interval over tasks"
    for kind, protocol in suite.main.items():
        mine = rows[rows["protocol"] == protocol]
        for budget in sorted(map(Budget, mine["budget"].unique()), key=lambda budget: budget.number):
            values = _by_task(mine[mine["budget"] == budget], pairs, "score")
            found.append(Line("Few labels", heading, f"{budget.words}, {kind}", values))
    return found


def _by_task(rows: pd.DataFrame, pairs: Pairs, value: str) -> np.ndarray:
    """float64 (e, t), NaN where an encoder has none."""
    table = rows.pivot_table(index="encoder", columns="task", values=value, observed=True)
    return table.reindex(pairs.encoders).to_numpy(float)


def leaders(board: BoardView) -> tuple[list[str], list[list[Estimate | None]]]:
    """The first encoders of a board against each other: row less column, with the paired 95 % interval."""
    top = [(i, row.score) for i, row in enumerate(board.rows) if row.rank is not None and row.score is not None][:TOP]
    rows = [i for i, _ in top]
    spread = board.replicates[:, rows].transpose(1, 2, 0)
    _, draws = totals(board.points[rows], spread, [c.kind for c in board.columns], np.ones(len(board.columns)))
    scored = [(score, draw) for (_, score), draw in zip(top, draws, strict=True)]
    table = [[None if a is b else _difference(a[0] - b[0], a[1] - b[1]) for b in scored] for a in scored]
    return [board.rows[i].encoder for i in rows], table


def _difference(value: float, draws: np.ndarray) -> Estimate:
    low, high = np.quantile(draws, LEVEL)  # NaN where replicates are unknown
    return Estimate(value, float(low), float(high))


PAGE = Page("compare", write, "Compare", 30, "compare.html")
