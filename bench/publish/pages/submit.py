"""How to bring an encoder onto the board."""

from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """One page."""
    site.page("submit.html", "pages/submit.html")


PAGE = Page("submit", write, "Submit", 80, "submit.html")
