"""What runs on a GPU, tested on one, or on an emulated one: `tests/on_gpu`, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "on_gpu"


@pytest.mark.timeout(900)
def test_what_runs_on_a_gpu() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(FOLDER)]
    done = subprocess.run(
        command, env=os.environ | {"MEDSSL_TEST_ON_GPU": "1"}, cwd=FOLDER.parents[1], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert " passed" in done.stdout
