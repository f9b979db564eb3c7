"""Two small tasks of one's own, a global and a dense one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hostile.base import write_tasks


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of cards and files: is the square bright (global), where is it (dense). Easy enough to be learnt."""
    return write_tasks(tmp_path_factory.mktemp("own") / "squares", dark=150, bright=190)
