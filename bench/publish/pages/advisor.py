"""The advisor: which encoder for which situation, with its evidence; every answer is made when the site is built."""

from __future__ import annotations

from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """One page; without JavaScript every situation stands below the other."""
    suites = [(s, list(site.view.advice.get(s.name, ()))) for s in site.view.suites]
    site.page("advisor.html", "pages/advisor.html", suites=[(s, found) for s, found in suites if found])


PAGE = Page("advisor", write, "Advisor", 50, "advisor.html")
