"""What a pull request may do to the folder of submissions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import SubmissionError
from bench.submissions.changed import changed, deleted


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """(submissions of the base branch, the same as they arrive)."""
    base = tmp_path / "base"
    for name in ("first", "second"):
        (base / name).mkdir(parents=True)
        (base / name / "encoder.toml").write_text(f"name = '{name}'\n")
    (base / "badges.jsonl").write_text("{}\n")
    (base / "withdrawn.toml").write_text("schema = 1\n")
    return base, Path(shutil.copytree(base, tmp_path / "incoming"))


def test_new_and_edited_folders_are_named(roots) -> None:
    base, incoming = roots
    assert changed(base, incoming) == []
    (incoming / "second" / "encoder.toml").write_text("name = 'second again'\n")
    shutil.copytree(base / "second", incoming / "third")
    shutil.rmtree(incoming / "first")
    assert changed(base, incoming) == ["second", "third"]


def test_what_is_deleted_or_replaced_is_told(roots) -> None:
    base, incoming = roots
    assert deleted(base, incoming) == []
    shutil.rmtree(incoming / "first")
    (base / "second" / "weights.pt").write_text("x")
    assert deleted(base, incoming) == ["first/", "second/weights.pt"]
    command = [sys.executable, "-m", "bench.submissions.changed", str(base), str(incoming)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = ["Deletes first/", "Deletes second/weights.pt", "Replaces second, which is here already"]
    assert done.stderr.splitlines() == told
    assert (done.returncode, done.stdout) == (0, "second\n")


def test_the_folder_of_submissions_is_no_link(roots) -> None:
    """One to the folder that is here would show no difference, and delete all of it once it is merged."""
    base, incoming = roots
    shutil.rmtree(incoming)
    incoming.symlink_to(base)
    with pytest.raises(SubmissionError, match="is a link or a file"):
        changed(base, incoming)
    incoming.unlink()
    incoming.write_text("")
    with pytest.raises(SubmissionError, match="is a link or a file"):
        changed(base, incoming)


@pytest.mark.parametrize("name", ["badges.jsonl", "withdrawn.toml"])
@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("mine"), lambda path: link(path)])
def test_verdicts_and_withdrawals_are_the_maintainers(roots, name: str, change) -> None:
    base, incoming = roots
    change(incoming / name)
    with pytest.raises(SubmissionError, match="changed or deleted"):
        changed(base, incoming)


@pytest.mark.parametrize("name", ["badges.jsonl", "withdrawn.toml"])
def test_no_folder_takes_the_name_of_what_maintainers_keep(roots, name: str) -> None:
    base, incoming = roots
    (base / name).unlink()
    (incoming / name).unlink()
    shutil.copytree(base / "first", incoming / name)
    with pytest.raises(SubmissionError, match="the name of a file that maintainers keep"):
        changed(base, incoming)


def link(path: Path) -> None:
    """The same bytes, by way of a link."""
    path.rename(path.with_suffix(".old"))
    path.symlink_to(path.with_suffix(".old"))


def test_an_author_cannot_bring_a_badge(roots) -> None:
    base, incoming = roots
    (incoming / "second" / "badge.json").write_text("{}")
    with pytest.raises(SubmissionError, match=r"badge\.json"):
        changed(base, incoming)


@pytest.mark.parametrize("name", ["con", "nul", "aux.v1", "com1", "a."])
def test_names_that_break_a_checkout_on_windows_are_refused(roots, name: str) -> None:
    base, incoming = roots
    shutil.copytree(base / "second", incoming / name)
    with pytest.raises(SubmissionError, match="Windows"):
        changed(base, incoming)


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
