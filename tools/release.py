"""`python tools/release.py v1.2.3`: what the change log says of a version; 1 where tag, package and log disagree."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The section of the change log. Raises ValueError where the tag is no version that is ready to be released."""
    version = re.search(r'__version__ = "([^"]+)"', (root / "bench/version.py").read_text(encoding="utf-8"))
    if version is None or tag != f"v{version[1]}":
        raise ValueError(f"the tag is {tag}, bench/version.py says {version and version[1]}")
    log = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## \[{re.escape(tag[1:])}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## \[|\Z)", log, re.M | re.S)
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md has no dated section [{tag[1:]}]")
    waiting = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## \[|\Z)", log, re.M | re.S)
    if waiting and waiting[1].strip():
        raise ValueError("CHANGELOG.md still has changes under [Unreleased]")
    return section[1].strip()


if __name__ == "__main__":
    try:
        print(notes(sys.argv[1]))
    except ValueError as error:
        sys.exit(f"Error: {error}")
