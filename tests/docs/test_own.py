"""The protocol and the objective of the docs are saved as the pages say, found, and run."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.discover import members
from bench.metrics import SCORING
from bench.pretrain.recipe import Recipe, read_recipe
from bench.publish.text import metric
from bench.toml import to_toml
from benchmarks.hostile.base import write_tasks
from tests.docs.pages import ROOT, blocks
from tests.docs.reader import Reader

Beside = Callable[[str, str, str], None]


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """Saves a module beside those of a package, as if it lay in its folder."""
    monkeypatch.chdir(tmp_path)

    def save(package: str, name: str, text: str) -> None:
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        home = importlib.import_module(package)
        monkeypatch.setattr(home, "__path__", [*home.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"{package}.{name}", raising=False)
        members.cache_clear()

    yield save
    members.cache_clear()


def shown(page: str, language: str) -> str:
    return next(b.text for b in blocks(ROOT / "docs" / page) if b.language == language)


def test_the_protocol_runs(beside: Beside, tmp_path: Path) -> None:
    squares = write_tasks(tmp_path / "squares", dark=150, bright=190)
    beside("bench.protocols", "nearest_mean", shown("own-protocol.md", "python"))
    head = 'schema = 1\nname = "mine"\ntitle = "Mine"\ntasks = ["which"]\n\n'
    (tmp_path / "mine.toml").write_text(head + shown("own-protocol.md", "toml"))
    reader = Reader(tmp_path, {})
    reader.command(f"medssl run raw-pixels --suite mine.toml --tasks {squares}")
    reader.command(f"medssl runs export scores.jsonl --tasks {squares}")
    assert "nearest-mean-v1" in (tmp_path / "scores.jsonl").read_text()


def test_the_metric_is_scored(beside: Beside, tmp_path: Path) -> None:
    """One file: in the records of a run, exported with its version, on the site by its title."""
    squares = write_tasks(tmp_path / "squares", dark=150, bright=190)
    beside("bench.metrics.set", "spherical", shown("own-metric.md", "python"))
    reader = Reader(tmp_path, {})
    reader.command(f"medssl run raw-pixels --tasks {squares}")
    reader.command(f"medssl runs export scores.jsonl --tasks {squares}")
    table = pd.read_json(tmp_path / "scores.jsonl", lines=True)
    mine = table[table["metric"] == "spherical"]
    assert set(mine["scoring"]) == {SCORING}
    assert mine["value"].between(0, 1).all()
    assert metric("spherical") == "Spherical score"


def test_the_metric_and_the_objective_keep_the_laws(tmp_path: Path) -> None:
    """A test module as each page shows it, run by pytest as an author would."""
    for name in ("metric", "objective"):
        parts = [b.text for b in blocks(ROOT / "docs" / f"own-{name}.md") if b.language == "python"]
        (tmp_path / f"test_{name}.py").write_text("\n".join(parts))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(done.stdout.split(" passed")[0].split()[-1]) == 16


def test_the_versions_are_those_of_the_set() -> None:
    """The table of the page names each metric in the version that brought it."""
    rows = {line.split("|")[1].strip(): line for line in (ROOT / "docs/own-metric.md").read_text().splitlines()
            if re.match(r"\| \d \|", line)}  # fmt: skip
    members.cache_clear()
    for found in members("bench.metrics.set", "METRIC").values():
        assert f"`{found.name}`" in rows[str(found.since)]
        assert all(f"`{found.name}`" in rows[str(version)] for version in found.changes)
    assert set(rows) == {str(version) for version in range(1, SCORING + 1)}


def test_the_objective_trains(beside: Beside, tmp_path: Path) -> None:
    beside("bench.pretrain.objectives", "upright_or_not", shown("own-objective.md", "python"))
    recipe = read_recipe("tiny").model_dump(by_alias=True)
    vit = {"patch": 8, "dim": 16, "depth": 1, "heads": 2}
    sizes = {"size": 32, "corpus_size": 40, "corpus_images": 32, "steps": 4, "views_per_step": 8, "learning_rates": {}}
    small = Recipe.parse(
        recipe | sizes | {"name": "mini", "evaluations": 1, "checkpoints": 1, "vit": vit}, where="mini"
    )
    (tmp_path / "mini.toml").write_text(to_toml(small.model_dump(by_alias=True)))
    images = np.random.default_rng(0).integers(0, 256, (32, 40, 40), dtype=np.uint8)
    np.savez(tmp_path / "scans.npz", images=images)
    Reader(tmp_path, {}).command("medssl pretrain --objective upright-or-not --data scans.npz --recipe mini.toml")
    (card,) = (tmp_path / "pretrained").glob("*/encoder.toml")
    assert "Upright or not" in card.read_text()
    Reader(tmp_path, {}).command(f"medssl check {card.parent}")
