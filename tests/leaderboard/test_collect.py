"""What is collected: a submitted run once, one card a name, and only what was made with the suite as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace as Has

import pytest

from bench.encoders.card import read_card
from bench.leaderboard import boards
from bench.leaderboard.collect import SuiteResults, collect
from bench.leaderboard.comparable import _folders
from bench.recipes import RECIPES
from bench.runs.fingerprint import fingerprint_of
from bench.runs.plan import make_plan
from bench.submissions.badge import contents_sha256, read_verdicts, write_verdicts
from bench.submissions.verify import verify
from benchmarks.hostile.base import each, edit_every_record, edit_lines, write_submission, write_tasks


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


def test_another_card_under_the_same_name_is_left_out_and_named(made, tmp_path: Path) -> None:
    work, tasks = made
    again = write_submission(tmp_path / "made", tasks, "honest", seed=1)
    runs = tmp_path / "made" / "runs"
    found = collect([work / "submissions"], local=[runs], tasks=tasks)
    assert found["tasks"].results["honest"].folder == work / "submissions" / "honest" / "tasks"
    assert "taken" in found.left_out[runs / "honest" / "tasks"]
    assert read_card(again).sha256 != found["tasks"].cards["honest"].sha256


def suite_results(folder: Path, source: Path, names: list[str], fingerprint: str) -> None:
    """Copies of a submission under other names, of one unit of phantom-mini, with a fingerprint."""
    plan = make_plan("phantom-mini")
    unit = next(unit for task in plan.tasks.values() for unit in plan.units(task) if task.metric == "auroc")
    protocol = plan.protocols[unit.protocol].sha256_on(plan.tasks[unit.task])
    of_suite = {"unit": unit.model_dump(), "protocol_sha256": protocol, "scoring": plan.suite.scoring}
    for name in names:
        target = folder / name
        shutil.copytree(source, target)
        (target / "tasks").rename(target / "phantom-mini")
        card = (target / "encoder.toml").read_text().replace('name = "honest"', f'name = "{name}"')
        (target / "encoder.toml").write_text(card)
        digest = read_card(target).sha256
        path, stated = target / "phantom-mini" / "records.jsonl", of_suite | {"encoder": name, "card_sha256": digest}
        edit_lines(path, lambda records: [next(r for r in records if r["status"] == "done" and r["metric"] == "auroc")])
        edit_lines(path, each(lambda record, stated=stated: record.update(stated)))
        edit_lines(
            path, each(lambda record: record["made_by"].update(suite="phantom-mini", suite_fingerprint=fingerprint))
        )


def test_a_flood_of_another_fingerprint_does_not_displace_the_official_one(made, tmp_path: Path) -> None:
    work, tasks = made
    official = fingerprint_of(make_plan("phantom-mini"))
    suite_results(tmp_path, work / "submissions" / "honest", ["true"], official)
    suite_results(tmp_path, work / "submissions" / "honest", ["flood1", "flood2", "flood3"], "0" * 64)
    (collection,) = collect([tmp_path], tasks=tasks).values()
    assert collection.fingerprint == official
    assert list(collection.results) == ["true"]
    assert set(collection.left_out) == {"flood1", "flood2", "flood3"}
    assert all(official[:12] in why and "0" * 12 in why for why in collection.left_out.values())


def test_results_of_an_older_suite_alone_stand_on_no_board(made, tmp_path: Path) -> None:
    work, tasks = made
    suite_results(tmp_path, work / "submissions" / "honest", ["old"], "0" * 64)
    (collection,) = collect([tmp_path], tasks=tasks).values()
    assert not collection.results
    assert set(collection.left_out) == {"old"}
    assert all(not board.rows for board in boards(collection).values())


def test_verified_results_decide_about_the_data(made, tmp_path: Path) -> None:
    """Declared results on other images, however many, do not push out one that was recomputed."""
    work, tasks = made
    shutil.copytree(work / "submissions" / "honest", tmp_path / "honest")
    verify(tmp_path / "honest", rescore=True, tasks=tasks)
    for n in range(3):
        folder = write_submission(tmp_path / "made", tasks, f"liar{n}", seed=n + 2)
        edit_every_record(folder, lambda record: record.update(data_sha256="0" * 64))
        folder.rename(tmp_path / folder.name)
    shutil.rmtree(tmp_path / "made")
    (collection,) = collect([tmp_path], tasks=tasks).values()
    assert list(collection.results) == ["honest"]
    assert set(collection.left_out) == {"liar0", "liar1", "liar2"}


def test_a_copy_under_another_name_does_not_count_whatever_badge_it_brings(made, tmp_path: Path) -> None:
    """Anybody can write a line that fits the bytes; whose predictions these are is seen all the same."""
    work, tasks = made
    shutil.copytree(work / "submissions" / "honest", tmp_path / "honest")
    verify(tmp_path / "honest", rescore=True, tasks=tasks)
    copied = Path(shutil.copytree(tmp_path / "honest", tmp_path / "copied"))
    card = (copied / "encoder.toml").read_text().replace('name = "honest"', 'name = "copied"')
    (copied / "encoder.toml").write_text(card)
    edit_every_record(copied, lambda r: r.update(encoder="copied", card_sha256=read_card(copied).sha256))
    why = "13 of 13 predictions are exactly those of honest, whose badge is older{}: medssl verify tells"
    (declared,) = collect([tmp_path], tasks=tasks).values()
    assert declared.left_out == {"copied": why.format("")}
    (line,) = read_verdicts(tmp_path).values()
    forged = {"encoder": "copied", "contents_sha256": contents_sha256(copied, "tasks"), "verified": "2099-01-01"}
    write_verdicts(tmp_path, lambda: [line.model_copy(update=forged)])
    (found,) = collect([tmp_path], tasks=tasks).values()
    assert list(found.results) == ["honest"]
    assert found.left_out == {"copied": why.format(", and its badge, rescored, is not verified")}
    (own,) = collect([], local=[tmp_path], tasks=tasks).values()
    assert set(own.results) == {"honest", "copied"}, "one's own runs may be of one encoder under two names"


def test_withdrawn_results_stand_on_no_board_and_ones_own_runs_stay(made, tmp_path: Path) -> None:
    work, tasks = made
    shutil.copytree(work / "submissions", tmp_path / "submissions")
    version = read_card(tmp_path / "submissions" / "honest").version
    entry = (
        f'schema = 1\n[[withdrawn]]\nencoder = "honest"\nversion = "{version}"\ndate = 2026-02-03\nreason = "Why."\n'
    )
    (tmp_path / "submissions" / "withdrawn.toml").write_text(entry)
    (collection,) = collect([tmp_path / "submissions"], tasks=tasks).values()
    assert not collection.results
    assert collection.left_out == {"honest": "withdrawn: Why. (2026-02-03)"}
    (own,) = collect([], local=[tmp_path / "submissions"], tasks=tasks).values()
    assert list(own.results) == ["honest"]
    (tmp_path / "submissions" / "withdrawn.toml").write_text(entry.replace(f'"{version}"', f'"{version}.1"'))
    (later,) = collect([tmp_path / "submissions"], tasks=tasks).values()
    assert list(later.results) == ["honest"]


def test_refused_units_are_finished_and_failed_or_absent_ones_are_not() -> None:
    plan = make_plan("phantom-mini")
    units = [unit for task in plan.tasks.values() for unit in plan.units(task)]
    state = ["refused", "failed"] + ["done"] * (len(units) - 3)
    records = [Has(unit=unit, status=status) for unit, status in zip(units, state, strict=False)]
    found = SuiteResults("phantom-mini", "", {"a": Has(records=records)}, {}, {}, {}, plan=plan).unfinished
    assert found == {("a", u.task, u.protocol, u.budget) for u in (units[1], units[-1])}


def test_tasks_nobody_has_scored_are_told_on_the_boards_they_belong_to() -> None:
    plan = make_plan("phantom-mini")
    diffuse, dense = "phantom-xray-diffuse-mini", "phantom-xray-dense-mini"
    found = SuiteResults("phantom-mini", "", {}, {diffuse: plan.tasks[diffuse]}, {}, {}, plan=plan)
    told = {recipe.name: " ".join(found.unscored(recipe)) for recipe in RECIPES}
    assert told["Overall"].startswith("3 of 4 tasks of phantom-mini have no result yet")
    assert told["Global"].endswith(": phantom-ultrasound-diffuse-mini")
    assert dense in told["Dense"]
    assert told["Survival"] == ""
    assert replace(found, tasks=plan.tasks).unscored(RECIPES[0]) == ()


def test_reading_results_loads_no_networks():
    code = "import sys, bench.publish.site; sys.exit(sorted({'timm', 'torchvision'} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_data_lie_where_the_run_that_used_the_same_card_found_them() -> None:
    tasks = {"a": Has(sha256="1"), "b": Has(sha256="2"), "c": Has(sha256="3")}
    plan = Has(folders={"a": "/runs/a", "b": "/runs/b"}, tasks={"a": Has(sha256="1"), "b": Has(sha256="other")})
    cards = {"c": (Has(sha256="3"), Path("cards")), "b": (Has(sha256="other"), Path("cards"))}
    found = _folders(tasks, {"x": Has(plan=plan), "y": Has(plan=None)}, cards)
    assert found == {"a": Path("/runs/a"), "c": Path("cards")}


def test_kinds_are_those_of_tasks_that_count() -> None:
    tasks = {"a": Has(kind="global", left_out=None), "b": Has(kind="dense", left_out="look-alikes")}
    assert SuiteResults("s", "", {}, tasks, {}, {}).kinds == {"global"}
