"""From a number to its cases: one page a task, two encoders side by side, from the hardest images to the easiest."""

from typing import Any

from bench.publish.model import Cases, SiteView, SuiteView, TaskView
from bench.publish.writer import Page, Site


def address(suite: str, task: str) -> str:
    """Address of the cases of a task."""
    return f"cases/{suite}/{task}.html"


def write(site: Site) -> None:
    """Every page of cases with what all encoders said; the pictures lie beside the site."""
    for suite in site.view.suites:
        for name, task in suite.tasks.items():
            if task.cases and task.cases.answers:
                data = {"name": f"cases/{suite.name}/{name}", "encoders": _data(site.view, task.cases)}
                site.script(f"data/cases/{suite.name}/{name}.js", "receive", data)
                site.page(address(suite.name, name), "pages/cases.html", **_context(site.view, suite, task, task.cases))


def _context(view: SiteView, suite: SuiteView, task: TaskView, cases: Cases) -> dict[str, Any]:
    order = ordered(cases)
    protocol = suite.main.get(task.task.kind, "")
    return {
        "suite": suite, "task": task.task, "cases": cases, "protocol": protocol, "order": order,
        "pair": first_pair(view, order),
        "failed": "Dice 0" if task.task.kind == "dense" else "truth under one half",
    }  # fmt: skip


def ordered(cases: Cases) -> list[str]:
    """Encoders from the best median down."""
    return sorted(cases.answers, key=lambda e: (-cases.answers[e].quartiles[1], e))


def first_pair(view: SiteView, order: list[str]) -> list[str]:
    """The best pretrained encoder, and beside it the best untrained network; else the first two."""
    untrained = [e for e in order if view.encoders[e].card.objective == "random-init"]
    trained = [e for e in order if e not in untrained]
    return [trained[0], untrained[0]] if trained and untrained else order[:2]


def _data(view: SiteView, cases: Cases) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "title": view.encoders[name].title, "values": [round(v, 3) if v == v else None for v in a.values],
            "said": list(a.said), "drawn": list(a.drawn), "failed": a.failed, "of": a.of,
        }
        for name, a in cases.answers.items()
    }  # fmt: skip


PAGE = Page("cases", write)
