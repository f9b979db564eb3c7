"""The protocols: every frozen number, and what each is for."""

from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """One page with all protocols."""
    used: dict[str, list[str]] = {}
    for suite in site.view.suites:
        for protocol in suite.results["protocol"].unique():
            used.setdefault(protocol, []).append(suite.title)
    site.page("protocols.html", "pages/protocols.html", used=used)


PAGE = Page("protocols", write, "Protocols", 60, "protocols.html")
