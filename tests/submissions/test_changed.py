"""What a pull request may do to the folder of submissions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.errors import SubmissionError
from bench.submissions.badge import badge_of, contents_sha256
from bench.submissions.changed import changed


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """(submissions of the base branch, the same as they arrive)."""
    base = tmp_path / "base"
    for name in ("first", "second"):
        (base / name).mkdir(parents=True)
        (base / name / "encoder.toml").write_text(f"name = '{name}'\n")
    write_forged_badge(base / "first")
    return base, Path(shutil.copytree(base, tmp_path / "incoming"))


def write_forged_badge(folder: Path) -> None:
    """A badge that states the right hash: anybody can compute it."""
    badge = {
        "schema_version": 1, "badge": "reproduced", "contents_sha256": contents_sha256(folder),
        "verified": "2026-01-01", "medssl": "0.1.0", "units": 10, "tolerance": 0.005, "largest_difference": 0.0,
    }  # fmt: skip
    (folder / "badge.json").write_text(json.dumps(badge))


def test_new_and_edited_folders_are_named(roots) -> None:
    base, incoming = roots
    assert changed(base, incoming) == []
    (incoming / "second" / "encoder.toml").write_text("name = 'second again'\n")
    shutil.copytree(base / "second", incoming / "third")
    shutil.rmtree(incoming / "first")
    assert changed(base, incoming) == ["second", "third"]


def test_an_author_cannot_bring_a_badge(roots) -> None:
    base, incoming = roots
    write_forged_badge(incoming / "second")
    assert badge_of(incoming / "second") == "reproduced"
    with pytest.raises(SubmissionError, match="badge of its own"):
        changed(base, incoming)


def test_an_edited_folder_keeps_its_old_badge_which_no_longer_holds(roots) -> None:
    base, incoming = roots
    (incoming / "first" / "encoder.toml").write_text("name = 'better'\n")
    assert changed(base, incoming) == ["first"]
    assert badge_of(incoming / "first") == "declared"


@pytest.mark.parametrize("name", ["Upper", "-rf", "a b", "x\nfirst", "o\N{CYRILLIC SMALL LETTER O}", "x" * 70])
def test_other_names_are_refused(roots, name: str) -> None:
    base, incoming = roots
    shutil.copytree(base / "second", incoming / name)
    with pytest.raises(SubmissionError, match="not a folder named like an encoder") as error:
        changed(base, incoming)
    assert str(error.value).isprintable()


def test_what_maintainers_keep_beside_the_folders_is_passed_over(roots) -> None:
    base, incoming = roots
    (base / "diagnostics-phantom-v1.csv").write_text("encoder,card_sha256,rankme\n")
    (incoming / "diagnostics-phantom-v1.csv").write_text("an older one\n")
    assert changed(base, incoming) == []
    (incoming / "diagnostics-phantom-v1.csv").unlink()
    (incoming / "diagnostics-phantom-v1.csv").symlink_to("/etc/passwd")
    with pytest.raises(SubmissionError, match="not a folder"):
        changed(base, incoming)


def test_links_and_loose_files_are_refused(roots) -> None:
    base, incoming = roots
    (incoming / "linked").symlink_to("/etc")
    with pytest.raises(SubmissionError, match="not a folder"):
        changed(base, incoming)
    (incoming / "linked").unlink()
    (incoming / "setup.py").write_text("")
    with pytest.raises(SubmissionError, match="not a folder"):
        changed(base, incoming)
