"""Shared fixtures: a private cache for each test session, and the folder of real images where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine draws slowly, which is no fault of a test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
collect_ignore = [] if "MEDSSL_TEST_ON_GPU" in os.environ else ["on_gpu"]  # see features/test_extract.py
os.environ.pop("COLUMNS", None)  # tables are as wide as in a pipe, in every worker


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


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A hub on this machine, empty caches, and nobody logged in."""
    from bench.encoders.hub import snapshot
    from tests.encoders.hub_server import Hub

    with Hub() as server:
        at = "huggingface_hub.constants."
        monkeypatch.setattr(f"{at}ENDPOINT", server.address)
        monkeypatch.setattr(
            f"{at}HUGGINGFACE_CO_URL_TEMPLATE", server.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(f"{at}HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(f"{at}HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
        snapshot.cache_clear()
        yield server
        snapshot.cache_clear()
