"""Every command and every Python block of the documentation runs, in the order of its page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import EXEMPT, PAGES, ROOT, blocks
from tests.docs.reader import SHORTER, Reader, given_to, installed, set_up, small_suites

PARTS_OF_OTHERS = dict.fromkeys(
    (f"docs/own-{what}.md" for what in ("metric", "protocol", "objective")), "tests/docs/test_own.py follows it"
)
PARTS_OF_OTHERS["docs/extending.md"] = "tests/docs/test_extending.py installs it"
PARTS_OF_OTHERS["docs/road.md"] = "the transcript that `python -m benchmarks.road` writes"
READY_WRITTEN = {"docs/quickstart.md": ["medssl demo"]}
"""What a page takes as done by a command that is exempt (`make demo` runs `medssl demo`)."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, private_home: Path) -> Path:
    return small_suites(tmp_path_factory.mktemp("package"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_runs(page: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(page.relative_to(ROOT))
    if name in PARTS_OF_OTHERS:
        pytest.skip(PARTS_OF_OTHERS[name])
    installed(monkeypatch, package, tmp_path)
    reader, shown = Reader(tmp_path, given_to(name)), list(blocks(page))
    set_up(name, tmp_path, shown)
    for line in READY_WRITTEN.get(name, []):
        reader.command(line)
    for block in shown:
        reader.follow(block)


def test_what_is_not_run_is_named_and_still_there() -> None:
    """An exempt command that no page shows any more is struck off; the list cannot grow unseen."""
    shown = {line for page in PAGES for block in blocks(page) for line in block.commands}
    assert set(EXEMPT) <= shown, set(EXEMPT) - shown
    assert len(EXEMPT) == 56
    assert len(shown - set(EXEMPT)) >= 30


def test_what_is_shortened_is_still_there() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert all(long in text for long in SHORTER)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_has_the_target(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert {"demo": "medssl demo", "test": "-m pytest"}[target] in done.stdout
