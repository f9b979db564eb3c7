"""A site is there whole whatever happens: a full disk or a kill at any write, a link, leftovers."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.errors import RunError
from bench.publish import writer
from bench.publish.writer import MARKER, write_site


def view(fingerprint: str) -> SimpleNamespace:
    return SimpleNamespace(version="0", fingerprint=fingerprint, date="2026-01-01")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a site that was built before, of assets and data without pages."""
    monkeypatch.setattr(writer, "members", lambda *_: {})
    write_site(view("old"), tmp_path / "public", files={"data/a.json": b"old"})
    return tmp_path / "public"


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int, stop) -> list[int]:
    """Call `stop` in the place of the `number`-th write; returns a list that grows with each."""
    calls: list[int] = []
    for owner, name in ((Path, "write_bytes"), (Path, "write_text"), (Path, "mkdir"), (shutil, "copyfile"),
                        (writer, "exchange")):  # fmt: skip
        monkeypatch.setattr(owner, name, counted(getattr(owner, name), calls, number, stop))
    return calls


def counted(real, calls: list[int], number: int, stop):
    """`real`, but for one call."""

    def write(*args, **kwargs):
        calls.append(1)
        return stop() if len(calls) == number else real(*args, **kwargs)

    return write


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_any_write_leaves_the_site_as_it_was(site: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        writes = stop_at(patch, 0, full)
        write_site(view("old"), site, files={"data/a.json": b"old"})
    assert len(writes) > 8
    for number in range(1, len(writes) + 1):
        with pytest.MonkeyPatch.context() as patch:
            stop_at(patch, number, full)
            with pytest.raises(RunError, match="No space left"):
                write_site(view("new"), site, files={"data/a.json": b"new"})
        assert "old" in (site / MARKER).read_text()
        assert [p.name for p in site.parent.iterdir()] == ["public"]


def test_a_kill_at_any_write_leaves_a_whole_site_and_its_leftovers_are_swept(site: Path, monkeypatch) -> None:
    for number in (1, 3, 5, 8):
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                stop_at(patch, number, lambda: os._exit(0))
                write_site(view("new"), site, files={"data/a.json": b"new"})
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert "old" in (site / MARKER).read_text()
    assert len(list(site.parent.iterdir())) > 1
    write_site(view("new"), site)
    assert len(list(site.parent.iterdir())) > 1, "what is young may still be growing"
    monkeypatch.setattr(writer, "GROWING", -1.0)
    write_site(view("new"), site)
    assert [p.name for p in site.parent.iterdir()] == ["public"]


def test_a_link_is_followed_and_stays(site: Path) -> None:
    link = site.parent / "www"
    link.symlink_to(site)
    write_site(view("new"), link)
    assert link.is_symlink()
    assert "new" in (site / MARKER).read_text()


def test_a_folder_that_cannot_be_made_is_a_message(site: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        write_site(view("new"), site / MARKER / "public")
