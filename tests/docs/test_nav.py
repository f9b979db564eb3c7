"""The site of the documentation shows every page, and no page that is not there."""

from __future__ import annotations

import yaml

from tests.docs.pages import ROOT


def _pages(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [page for part in entries for page in _pages(part)]


def test_the_navigation_is_the_folder():
    listed = _pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    there = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(there)
