"""Names of suites of one's own tasks: from the folder, and never two folders under one name."""

from __future__ import annotations

import re
import shutil
from itertools import islice
from pathlib import Path

import pytest

from bench.data.task import suite_names
from bench.errors import CardError
from bench.runs.kept import KeptPlan, keep_plan, kept_plan
from bench.runs.own_name import own_names, plain_name
from bench.runs.plan import Plan, make_plan, plan_of
from bench.strict import NAME

CARD = """schema = 1
name = "NAME"
title = "Own"
modality = "mixed"
target = "binary"
classes = ["a", "b"]
licence = "x"
corpus = "x"
source = { reader = "npz", file = "own.npz" }
"""


def tasks_at(folder: Path, name: str = "which") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(CARD.replace("NAME", name))
    return folder


def run_of(plan: Plan, out: Path, encoder: str = "x") -> Plan:
    """What a run leaves in `out` of its plan."""
    keep_plan(out / encoder / plan.suite.name, plan.kept())
    return plan


def named(tasks: Path, out: Path, suite: str | Path | None = None) -> str:
    return make_plan(suite, tasks, out=out).suite.name


@pytest.mark.parametrize("folder", ["mine", "Études du foie (2024)", "肺", "x" * 200, "...", "phantom-v1", "a b/c d"])
def test_a_name_is_valid_whatever_the_folder_is_called(tmp_path: Path, folder: str) -> None:
    for name in islice(own_names(tmp_path / folder), 20):
        assert re.fullmatch(NAME, f"{name}-phantom-mini"), name
    assert named(tasks_at(tmp_path / folder), tmp_path / "runs") not in suite_names()


def test_a_suite_is_named_after_its_folder_however_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, out = tasks_at(tmp_path / "mine"), tmp_path / "runs"
    (tmp_path / "link").symlink_to(mine)
    monkeypatch.chdir(mine)
    places = [Path(), Path("../mine"), mine, tmp_path / "link"]
    assert {named(place, out) for place in places} == {"mine"}
    assert named(mine / "which.toml", out) == "which"
    assert named(mine, out, "phantom-mini") == "mine-phantom-mini"
    assert plain_name("Größe 3") == "grosse-3"


def test_two_folders_of_one_name_get_two_names_and_keep_them(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    first, second = (tasks_at(tmp_path / place / "mine") for place in ("a", "b"))
    assert run_of(make_plan(None, first, out=out), out).suite.name == "mine"
    assert run_of(make_plan(None, second, out=out), out).suite.name == "b-mine"
    assert [named(place, out) for place in (first, second)] == ["mine", "b-mine"]
    shutil.rmtree(out / "x" / "mine")
    assert named(second, out) == "b-mine", "its other runs are called so"


def test_a_corrected_card_keeps_the_name_and_a_moved_folder_too(tmp_path: Path) -> None:
    out, mine = tmp_path / "runs", tasks_at(tmp_path / "a" / "mine")
    run_of(make_plan(None, mine, out=out), out)
    tasks_at(mine, "another")
    assert named(mine, out) == "mine"
    (mine / "another.toml").unlink()
    mine.rename(tmp_path / "mine")
    assert named(tmp_path / "mine", out) == "mine"
    tasks_at(tmp_path / "mine", "another")
    assert named(tmp_path / "mine", out) != "mine", "other cards at another place are other tasks"


def test_results_that_kept_no_plan_are_not_mixed_with(tmp_path: Path) -> None:
    (tmp_path / "runs" / "x" / "mine" / "units").mkdir(parents=True)
    assert named(tasks_at(tmp_path / "a" / "mine"), tmp_path / "runs") == "a-mine"


def test_a_suite_file_never_shares_a_name(tmp_path: Path) -> None:
    out, file = tmp_path / "runs", tmp_path / "file.toml"
    text = 'schema = 1\nname = "road"\ntitle = "R"\ntasks = ["which"]\n'
    text += '[[protocols]]\nname = "knn-v1"\nbudgets = ["100%"]\n'
    file.write_text(text)
    first, second = (tasks_at(tmp_path / place) for place in ("a", "b"))
    assert run_of(make_plan(file, first, out=out), out).suite.name == "road"
    assert named(first, out, file) == "road"
    with pytest.raises(CardError, match="another suite 'road'"):
        make_plan(file, second, out=out)
    file.write_text(text.replace("road", "phantom-mini"))
    with pytest.raises(CardError, match="comes with medssl"):
        make_plan(file, first, out=out)


def test_what_is_kept_is_the_plan(tmp_path: Path) -> None:
    plan = make_plan(None, tasks_at(tmp_path / "mine"), out=tmp_path)
    keep_plan(tmp_path / "kept", plan.kept())
    assert plan_of(kept_plan(tmp_path / "kept")) == plan
    (tmp_path / "kept" / "plan.json").write_text('{"schema": 1}')
    with pytest.raises(CardError, match=r"plan\.json.*suite"):
        kept_plan(tmp_path / "kept")
    assert kept_plan(tmp_path) is None


def test_a_protocol_that_is_not_installed_is_no_part_of_the_plan(tmp_path: Path) -> None:
    kept = make_plan(None, tasks_at(tmp_path / "mine"), out=tmp_path).kept()
    values = kept.model_dump(mode="json", by_alias=True)
    values["suite"]["protocols"].append({"name": "mine-v9", "budgets": ["100%"], "seeds": 1})
    assert plan_of(KeptPlan.parse(values, where="test")).protocols.keys() == plan_of(kept).protocols.keys()
