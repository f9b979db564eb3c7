"""What the numbers mean, and how to cite them."""

from bench.publish.cite import view_bibtex
from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """One page."""
    view = site.view
    address = f"{view.base}archive/{view.fingerprint[:12]}.html" if view.base else ""
    bibtex = view_bibtex(view, address)
    site.page("about.html", "pages/about.html", bibtex=bibtex)


PAGE = Page("about", write, "About", 90, "about.html")
