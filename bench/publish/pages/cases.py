"""From a number to its cases: one page an encoder x task, worst first."""

from __future__ import annotations

from bench.publish.writer import Page, Site


def address(suite: str, task: str, encoder: str) -> str:
    """Address of the cases behind one number."""
    return f"cases/{suite}/{task}/{encoder}.html"


def write(site: Site) -> None:
    """Every page of cases; the pictures lie beside the site."""
    for suite in site.view.suites:
        for name, task in suite.tasks.items():
            for encoder, cases in task.cases.items():
                site.page(
                    address(suite.name, name, encoder), "pages/cases.html", suite=suite, task=task.task, cases=cases,
                    e=site.view.encoders[encoder], protocol=suite.main.get(task.task.kind, ""),
                    others=[n for n in task.cases if n != encoder],
                )  # fmt: skip


PAGE = Page("cases", write)
