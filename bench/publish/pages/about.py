"""What the numbers mean, and how to cite them."""

from __future__ import annotations

from bench.publish.cite import ADDRESS, view_bibtex
from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """One page."""
    view = site.view
    bibtex = view_bibtex(view).replace(ADDRESS, f"{view.base or 'https://'}archive/{view.fingerprint[:12]}.html")
    site.page("about.html", "pages/about.html", bibtex=bibtex)


PAGE = Page("about", write, "About", 90, "about.html")
