"""The flow of the package goes one way: the layers of pyproject.toml, each importing only those below it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports --no-cache` on the package in `folder`."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", LINT, "--no-cache"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


def test_every_import_goes_down():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "One direction of flow KEPT" in done.stdout


def test_an_import_that_goes_up_is_seen(tmp_path):
    shutil.copytree(ROOT / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__", "catalogue"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "bench/data/up.py").write_text("def late():\n    from bench.runs.run import run\n    return run\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "bench.data.up -> bench.runs.run" in done.stdout


def test_every_module_stands_in_a_layer():
    layers = (ROOT / "pyproject.toml").read_text().partition("[tool.importlinter]")[2]
    own = (p for p in (ROOT / "bench").iterdir() if p.is_dir() or p.suffix == ".py")
    parts = {p.name.removesuffix(".py") for p in own if not p.name.startswith("_")}
    assert {part for part in parts if f"bench.{part}" not in layers} == set()
