"""One page a task: images, anchors, distribution of scores, every encoder with its interval."""

import pandas as pd

from bench.budget import FULL, Budget
from bench.publish.model import SiteView, SuiteView, TaskView
from bench.publish.pages.board import axis
from bench.publish.subgroups import leaks, served
from bench.publish.writer import Page, Site


def address(suite: str, task: str) -> str:
    """Address of a task's page within the site."""
    return f"tasks/{suite}/{task}.html"


def write(site: Site) -> None:
    """Every task of every suite, and the list of tasks."""
    site.page("tasks.html", "pages/tasks.html")
    for suite in site.view.suites:
        found = dict(iter(suite.results.groupby("task", sort=False)))
        for name, task in suite.tasks.items():
            rows = found.get(name, suite.results.iloc[:0])
            site.page(address(suite.name, name), "pages/task.html", **_context(site.view, suite, task, rows))


def _context(view: SiteView, suite: SuiteView, task: TaskView, numbers: pd.DataFrame) -> dict:
    main = numbers[
        (numbers["protocol"] == suite.main.get(task.task.kind))
        & (numbers["budget"] == FULL)
        & (numbers["split"] == "test")
        & numbers["primary"]
    ]
    main = main.sort_values(["value", "encoder"], ascending=[False, True])
    marks = [(a.kind, a.value) for a in task.anchors]
    low, high = axis([*main["low"].dropna(), *main["high"].dropna(), *main["value"], *(v for _, v in marks)])
    return {
        "suite": suite,
        "t": task,
        "task": task.task,
        "rows": list(main.itertuples(index=False)),
        "low": low,
        "high": high,
        "encoders": view.encoders,
        "others": _others(suite, task, numbers),
        "marks": marks,
        "served": served(numbers, suite.main),
        "leaks": leaks(numbers, "encoder"),
    }


def _others(suite: SuiteView, task: TaskView, numbers: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Heading -> encoder -> value, for what is not the main number: its other shares of labels first."""
    rest = numbers[(numbers["split"] == "test") & numbers["primary"]]
    main = suite.main.get(task.task.kind)
    rest = rest[~((rest["protocol"] == main) & (rest["budget"] == FULL))]
    found: dict[tuple, dict[str, float]] = {}
    for protocol, text, encoder, value in rest[["protocol", "budget", "encoder", "value"]].itertuples(index=False):
        budget = Budget(text)
        found.setdefault((protocol != main, protocol, budget.number, budget), {})[encoder] = value
    return {
        f"{protocol}, {budget.words}" if other else budget.words: column
        for (other, protocol, _, budget), column in sorted(found.items(), key=lambda item: item[0])
    }


PAGE = Page("task", write, "Tasks", 20, "tasks.html")
