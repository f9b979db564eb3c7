"""How to cite the benchmark, a version of its data, and a view of it."""

from bench.publish.model import SiteView

ADDRESS = "ADDRESS"
"""Stands for the address of the view; the page puts it in."""


def view_bibtex(view: SiteView, address: str = ADDRESS) -> str:
    """BibTeX of a view: the version of the data is in the key and in the note. No address, no `url`."""
    short = view.fingerprint[:12]
    return (
        f"@misc{{medsslbench-{short},\n"
        "  title = {{medssl-bench}: leaderboard of self-supervised image encoders in medicine},\n"
        "  author = {{The medssl-bench maintainers}},\n"
        f"  year = {{{view.date[:4]}}},\n"
        f"  note = {{Data {short}, newest record {view.date[:10]}, medssl-bench {view.version}}}"
        + (f",\n  url = {{{address}}}" if address else "")
        + "\n}"
    )
