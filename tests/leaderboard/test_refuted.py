"""A record that its own predictions refute is nowhere a result: not on boards, pages, tables, comparisons or claims."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.source import read_results_table
from bench.cli import main
from bench.leaderboard import boards
from bench.leaderboard.collect import collect
from bench.leaderboard.compare import compare
from bench.leaderboard.refuted import TOLD
from bench.locate import home
from bench.publish.site import build_from
from benchmarks.hostile.base import edit_predictions, edit_record, write_submission, write_tasks

FORGED = 0.912345
LINEAR, NEAREST, FEW = "which.linear-v2.100pct.0", "which.knn-v1.100pct.0", "which.linear-v2.10pct.2"


def forge(key: str) -> Callable[[Path], None]:
    """A score a little above the true one, as no check of its range finds it."""
    return lambda folder: edit_record(folder, lambda r: r["metrics"]["test"]["auroc"].update(value=FORGED), key)


def impossible(folder: Path) -> None:
    edit_record(folder, lambda r: r["metrics"]["test"]["auroc"].update(value=1.2), LINEAR)


def others(folder: Path) -> None:
    edit_predictions(folder, lambda arrays: arrays.update({f"{LINEAR}/test": arrays[f"{NEAREST}/test"]}))


def of_no_split(folder: Path) -> None:
    edit_predictions(folder, lambda arrays: arrays.update({f"{LINEAR}/elsewhere": np.eye(2, dtype="f4")}), rehash=True)
    forge(LINEAR)(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two encoders on tasks that lie beside."""
    work = tmp_path_factory.mktemp("refuted")
    tasks = write_tasks(work / "tasks")
    write_submission(work, tasks)
    write_submission(work, tasks, "other", seed=1)
    return work / "runs"


@pytest.fixture
def sent(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of both runs, which a test may change; an empty cache of what was compared before."""
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.mark.parametrize(
    ("spoil", "key", "why"),
    [
        (forge(LINEAR), LINEAR, TOLD),
        (forge(NEAREST), NEAREST, TOLD),
        (forge(FEW), FEW, TOLD),
        (others, LINEAR, TOLD),
        (of_no_split, LINEAR, TOLD),
        (impossible, LINEAR, "auroc is 1.2, which no predictions have"),
    ],
    ids=["linear", "nearest neighbours", "few labels", "other predictions", "another split", "beyond the metric"],
)
def test_what_refutes_itself_is_left_out_of_everything_and_named(sent: Path, spoil, key: str, why: str) -> None:
    spoil(sent / "honest")
    (found,) = collect([sent]).values()
    keys = {r.unit.key for r in found.results["honest"].records}
    assert key not in keys
    assert len(keys) == len(found.results["other"].records) - 1
    assert found.left_out == {"honest": f"which: {why}"}
    assert FORGED not in set(found.frame["value"])
    assert len(compare(found, "honest", "other")) == len(compare(found, "other", "honest")) == 3 - (key != FEW)
    table = read_results_table(sent)
    assert table.left_out["honest"] == f"which: {why}"
    assert FORGED not in set(table.frame["value"])
    rows = {name: {r.encoder: r for r in board.rows} for name, board in boards(found).items()}
    assert ("which" in rows["Overall"]["honest"].missing) == (key == LINEAR)


def test_the_honest_are_compared_with_their_predictions_once(sent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = collect([sent]).values()
    assert not found.left_out
    assert len(list((home() / "held").glob("*/*"))) == 4, "a file an encoder and task"
    monkeypatch.setattr("bench.leaderboard.refuted._unlike", None)
    (again,) = collect([sent]).values()
    assert not again.left_out
    forge(LINEAR)(sent / "honest")
    with pytest.raises(TypeError):
        collect([sent])


def test_pages_and_tables_of_the_site_say_it_in_the_same_words(sent: Path, tmp_path: Path) -> None:
    forge(LINEAR)(sent / "honest")
    build_from(tmp_path / "public", submissions=[sent])
    pages = {p.relative_to(tmp_path / "public"): p for p in (tmp_path / "public").rglob("*.html")}
    assert Path("tasks/tasks/which.html") in pages
    shown = [str(n) for n, p in pages.items() if re.search(r"0?\.912", p.read_text())]
    assert not shown
    for name in ("boards/tasks/global.html", "tasks/tasks/which.html"):
        assert f"<code>honest</code>: which: {TOLD}" in (tmp_path / "public" / name).read_text()
    table = pd.read_parquet(tmp_path / "public/data/results/tasks.parquet")
    assert FORGED not in set(table["value"])
    assert {"honest", "other"} == set(table["encoder"])


def test_commands_say_it_in_the_same_words(sent: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    forge(LINEAR)(sent / "honest")

    def said(*arguments: object) -> tuple[str, str]:
        with pytest.raises(SystemExit) as stop:
            main([*map(str, arguments), "--records", str(sent)])
        assert not stop.value.code
        printed = capsys.readouterr()
        return printed.out, printed.err

    out, _ = said("runs", "show", "honest")
    row = next(line for line in out.splitlines() if "linear-v2" in line and "100%" in line and "which" in line)
    assert row.split("auroc")[1].strip() == f"left out: {TOLD}"
    _, err = said("runs", "export", tmp_path / "x.jsonl")
    assert TOLD in err
    assert FORGED not in {json.loads(line)["value"] for line in (tmp_path / "x.jsonl").read_text().splitlines()}
    out, err = said("leaderboard", "--json")
    json.loads(out)
    assert f"Left out: honest on tasks: which: {TOLD}" in err
    out, _ = said("leaderboard")
    assert f"Left out: honest: which: {TOLD}" in out
