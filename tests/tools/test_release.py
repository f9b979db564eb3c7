"""A release is refused until tag, package and change log agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lowest import lowest
from tools.release import notes

LOG = """# Changelog

## [Unreleased]
{waiting}
## [1.2.0] - 2026-01-31

### Added
- A thing.

## [1.1.0] - 2025-12-01
- Old.
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/version.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(LOG.format(waiting=""))
    return tmp_path


def test_the_notes_are_the_section_of_the_version(project):
    assert notes("v1.2.0", project) == "### Added\n- A thing."


def test_another_tag_is_refused(project):
    with pytest.raises(ValueError, match=r"the tag is v1\.3\.0, bench/version\.py says 1\.2\.0"):
        notes("v1.3.0", project)


def test_an_undated_or_missing_section_is_refused(project):
    (project / "CHANGELOG.md").write_text(LOG.format(waiting="").replace(" - 2026-01-31", ""))
    with pytest.raises(ValueError, match="no dated section"):
        notes("v1.2.0", project)


def test_changes_that_wait_are_refused(project):
    (project / "CHANGELOG.md").write_text(LOG.format(waiting="- Something.\n"))
    with pytest.raises(ValueError, match="under"):
        notes("v1.2.0", project)


def test_the_lowest_versions_are_those_of_every_direct_dependency():
    text = '[project]\ndependencies = ["a>=1.2"]\n[project.optional-dependencies]\nx = ["b-c>=3"]\nall = ["me[x]"]\n'
    assert lowest(text) == ["a==1.2", "b-c==3"]
