"""Lines of the GPU benchmark: one that fails or finds no time leaves the others alone, and what came is on the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.errors import UserError
from benchmarks.gpu_lines import Line, Page, measured

FAR = float("inf")


def good(what: str, more: int = 0) -> Iterator[Line]:
    yield Line(what, "1 s", "2 s", "<= 3 s")
    if more:
        raise RuntimeError("CUDA error: an illegal memory access\nmore of it")


def endless() -> Iterator[Line]:
    while True:
        try:
            time.sleep(0.01)
        except Exception:  # as a run that keeps the failure of a unit
            continue
    yield


def test_a_line_that_fails_is_a_line_and_the_others_stand(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page, out = Page(tmp_path / "gpu.md", "cpu"), tmp_path / "gpu.md"
    for what, measure in (("a", good), ("b", partial(good, more=1)), ("c", good)):
        for line in measured(what, partial(measure, what), FAR):
            page.add(line)
            assert line.value in out.read_text(), "written as it comes"
    assert [line.value for line in page.lines] == [
        "1 s",
        "1 s",
        "failed: RuntimeError: CUDA error: an illegal memory access",
        "1 s",
    ]
    assert page.failed
    assert capsys.readouterr().out.count("| 1 s | 2 s | <= 3 s |") == 3
    assert "threads" in out.read_text()


def test_the_time_ends_a_line_that_keeps_failures_and_begins_no_other() -> None:
    deadline = time.monotonic() + 0.2
    (broken,) = measured("a", endless, deadline)
    (never,) = measured("b", partial(good, "b"), deadline)
    assert (broken.value, never.value) == ("broken off: the time was over", "not begun: the time was over")
    assert broken.failed
    assert never.failed
    time.sleep(0.05)  # no alarm is left


def test_a_page_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n")
    with pytest.raises(UserError, match="no table 'gpu'"):
        Page(page, "cpu")


def test_only_the_table_of_a_page_is_written(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    out.write_text("# GPU\n<!-- table gpu -->\nold\n<!-- end gpu -->\nend\n")
    page = Page(out, "cpu")
    page.add(Line("a", "1 s"))
    text = out.read_text()
    assert text.startswith("# GPU\n<!-- table gpu -->\nMeasured on a CPU")
    assert "| a | 1 s |  |  |" in text
    assert text.endswith("<!-- end gpu -->\nend\n")
    assert "old" not in text
