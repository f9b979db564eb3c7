"""A run of one's own that has been submitted stands once on a board; another card under its name is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.errors import SubmissionError
from bench.leaderboard.collect import collect
from benchmarks.hostile.base import write_submission, write_tasks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(working folder with submissions/ and runs/ of one encoder, its tasks)."""
    work = tmp_path_factory.mktemp("twice")
    tasks = write_tasks(work / "tasks")
    write_submission(work, tasks)
    return work, tasks


def test_a_submitted_run_stands_once(made) -> None:
    work, tasks = made
    (collection,) = collect([work / "submissions"], local=[work / "runs"], tasks=tasks).values()
    assert list(collection.results) == ["honest"]
    assert collection.local == frozenset()


def test_another_card_under_the_same_name_is_refused(made, tmp_path: Path) -> None:
    work, tasks = made
    shutil.copytree(work / "runs", tmp_path / "runs")
    card = tmp_path / "runs" / "honest" / "encoder.toml"
    card.write_text(card.read_text().replace("Seeded ResNet-10", "Another title"))
    for path in (tmp_path / "runs").rglob("records.jsonl"):
        path.unlink()
    shutil.copytree(work / "runs" / "honest" / "local", tmp_path / "again" / "honest" / "local")
    shutil.copy(card, tmp_path / "again" / "honest" / "encoder.toml")
    with pytest.raises(SubmissionError, match=r"taken|another version of the card"):
        collect([work / "submissions"], local=[tmp_path / "again"], tasks=tasks)
