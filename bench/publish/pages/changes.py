"""What changed between versions of the boards: a page, an archive of each version, and a feed."""

from bench.publish.history import EVERY, atom, changes, extended, snapshot
from bench.publish.snapshots import History, Snapshot
from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """The page of changes, one archived page a version, `data/history.json` and `feed.xml`."""
    history = extended(site.view.history, snapshot(site.view))
    versions = history.versions
    steps = [(new, changes(old, new) if old else []) for old, new in zip([None, *versions], versions, strict=False)]
    steps.reverse()
    site.page("changes.html", "pages/changes.html", steps=[(s, _grouped(s, c)) for s, c in steps])
    for version in versions:
        since = changes(version, versions[-1]) if version is not versions[-1] else []
        site.page(address(version), "pages/version.html", version=version, since=since, newest=versions[-1])
    site.json("data/history.json", History(versions=versions).model_dump(mode="json"))
    site.file("feed.xml", atom(steps, base=site.view.base))


def address(version: Snapshot) -> str:
    """Address of an archived version within the site."""
    return f"archive/{version.data[:12]}.html"


def _grouped(version: Snapshot, found: list) -> list[tuple[str, list]]:
    titles = {(b.suite, b.board): f"{b.suite_title}, {b.board}" for b in version.boards}
    titles |= {(b.suite, EVERY): f"{b.suite_title}, {EVERY}" for b in version.boards}
    groups: dict[str, list] = {}
    for change in found:
        groups.setdefault(titles.get((change.suite, change.board), f"{change.suite}, {change.board}"), []).append(
            change
        )
    return list(groups.items())


PAGE = Page("changes", write, "Changes", 70, "changes.html")
