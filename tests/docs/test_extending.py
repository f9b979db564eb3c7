"""The package of `docs/extending.md` is built from the pages, installed, and each of its parts is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hostile.base import write_tasks
from tests.docs.pages import ROOT, Block, blocks
from tests.docs.reader import CARD

OTHERS = {"nearest_mean": "own-protocol.md", "spherical": "own-metric.md", "upright_or_not": "own-objective.md"}
TASK = """schema = 1
name = "drawn"
title = "Drawn squares"
kind = "global"
modality = "mixed"
target = "binary"
classes = ["dark", "bright"]
metric = "auroc"
licence = "CC0"
corpus = "none"
source = { reader = "squares" }
"""
SUITE = """schema = 1
name = "mine"
title = "Mine"
tasks = ["drawn"]

[[protocols]]
name = "nearest-mean-v1"
budgets = ["100%"]
seeds = 1
"""


def shown(page: str, language: str = "python") -> list[Block]:
    return [b for b in blocks(ROOT / "docs" / page) if b.language == language]


def named(page: str) -> dict[str, str]:
    """File name -> text of the Python blocks that begin with their name."""
    return {b.text.split(":")[0].split('"""')[1].strip(): b.text for b in shown(page) if b.text.startswith('"""')}


def run(*words: str, cwd: Path, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), *([str(site)] if site else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "MEDSSL_HOME": str(cwd / "home")}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=280
    )


def medssl(*words: str, cwd: Path, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run("-c", "from bench.cli import main; main()", *words, cwd=cwd, site=site)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed into a folder of its own."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site-packages")
    (source / "my_parts").mkdir()
    (source / "pyproject.toml").write_text(shown("extending.md", "toml")[0].text)
    files = {f"{name}.py": shown(page)[0].text for name, page in OTHERS.items()} | named("extending.md")
    for name, text in {"__init__.py": "", **files}.items():
        (source / "my_parts" / name.removesuffix('"""')).write_text(text)
    (source / "my_parts" / "test_nearest_mean.py").rename(target / "test_nearest_mean.py")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, timeout=280)
    return target


def test_protocol_task_source_and_metric_of_a_package(site: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/drawn.toml").write_text(TASK)
    (tmp_path / "mine.toml").write_text(SUITE)
    done = medssl("run", "raw-pixels", "--suite", "mine.toml", "--tasks", "tasks", cwd=tmp_path, site=site)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for p in (tmp_path / "runs").rglob("*.jsonl") for line in p.read_text().splitlines()]
    assert {r["unit"]["protocol"] for r in records if "unit" in r} == {"nearest-mean-v1"}
    assert all("spherical" in str(r) for r in records if "unit" in r)


def test_objective_and_page_of_a_package(site: Path, tmp_path: Path) -> None:
    listed = medssl("list", "objectives", "--json", cwd=tmp_path, site=site)
    assert "upright-or-not" in listed.stdout, listed.stderr
    code = "from bench.discover import members; print([*members('bench.publish.pages', 'PAGE')])"
    assert "'hello'" in run("-c", code, cwd=tmp_path, site=site).stdout
    assert "'hello'" not in run("-c", code, cwd=tmp_path).stdout


def test_the_laws_hold_for_a_protocol_of_a_package(site: Path, tmp_path: Path) -> None:
    done = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", str(site / "test_nearest_mean.py"), cwd=tmp_path, site=site
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "failed" not in done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 12


def test_a_source_in_a_file_runs_when_it_is_trusted(tmp_path: Path) -> None:
    write_tasks(tmp_path / "my-tasks", dark=150, bright=190)
    (tmp_path / "mean_colour.py").write_text(named("extending.md")["mean_colour.py"])
    (tmp_path / "mine").mkdir()
    card = CARD.format(name="mine", sha256="0" * 64).splitlines()
    kept = [line for line in card if not line.startswith("source.")]
    (tmp_path / "mine/encoder.toml").write_text("\n".join([*kept, 'source.adapter = "mean-colour"']) + "\n")
    words = ("run", "mine/encoder.toml", "--tasks", "my-tasks", "--executor", "processes", "--workers", "2")
    refused = medssl("--plugin", "mean_colour.py", *words, cwd=tmp_path)
    assert refused.returncode == 2
    assert "--trust-code" in refused.stderr
    unknown = medssl(*words, cwd=tmp_path)
    assert unknown.returncode == 2
    assert "mean-colour" in unknown.stderr
    done = medssl("--plugin", "mean_colour.py", "--trust-code", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "runs").rglob("*.jsonl"))
