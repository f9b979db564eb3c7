"""Shared fixtures: a private cache for each test session, and the folder of real images where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every test session has its own cache, so that no test reads what another run left."""
    home = tmp_path_factory.mktemp("medssl-home")
    os.environ["MEDSSL_HOME"] = str(home)
    return home


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images (`MEDSSL_REAL_DATA`); the test is skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "real"
    folder = Path(os.environ.get("MEDSSL_REAL_DATA", default))
    if not (folder / "brainmri.npz").is_file():
        pytest.skip(f"no real images in {folder} (set MEDSSL_REAL_DATA)")
    return folder
