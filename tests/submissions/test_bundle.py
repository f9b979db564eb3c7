"""Which run is sent, and what is called finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import SubmissionError
from bench.submissions import bundle

RUNS = {"open-v1": Path("open-v1"), "phantom-v1": Path("phantom-v1"), "mine": Path("mine")}


@pytest.fixture
def lacking(monkeypatch):
    """Run -> the units it has no record of."""
    found: dict[Path, list[str]] = {}
    monkeypatch.setattr(bundle, "make_plan", lambda name: None)
    monkeypatch.setattr(bundle, "_missing", lambda run, plan: found.get(run, []))
    return found


def test_of_several_runs_the_only_whole_one_is_sent(lacking) -> None:
    lacking[RUNS["open-v1"]] = ["x.knn-v1.100pct.0"]
    assert bundle._chosen(RUNS, (), where=Path()) == ["phantom-v1"]
    assert bundle._chosen(RUNS, ("open-v1",), where=Path()) == ["open-v1"]


def test_only_whole_runs_are_called_finished(lacking) -> None:
    with pytest.raises(SubmissionError, match="finished runs of 2 suites") as refused:
        bundle._chosen(RUNS, (), where=Path())
    assert "--suite open-v1 --suite phantom-v1" in str(refused.value)
    lacking |= {RUNS[name]: ["x.knn-v1.100pct.0"] for name in ("open-v1", "phantom-v1")}
    with pytest.raises(SubmissionError, match="no finished run, parts of 2 suites"):
        bundle._chosen(RUNS, (), where=Path())
