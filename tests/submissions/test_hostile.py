"""Every hostile or broken submission is refused with a message, or shown harmless; none executes anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.discover import members
from bench.errors import UserError
from bench.files import sha256_file
from bench.metrics import calibration
from bench.metrics.base import Comparison, Metric
from bench.metrics.set.auroc import Auroc
from bench.runs.records import Record
from bench.submissions.badge import BadgeFile, badge_of, contents_sha256, write_badge
from bench.submissions.verify import verify
from benchmarks.hostile.base import copy, edit_card, edit_record, write_submission, write_tasks
from benchmarks.hostile.cases import CASES, HARMLESS, MARKER, NEEDS_RERUN


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, Path]:
    """(working folder, tasks, a valid submission, another one)."""
    work = tmp_path_factory.mktemp("hostile")
    tasks = write_tasks(work / "tasks")
    return work, tasks, write_submission(work, tasks), write_submission(work, tasks, "other", seed=1)


@pytest.fixture
def spoilt(made, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the valid submission, spoilt by the case; the working folder is one where a marker would show."""
    work, _, honest, other = made
    place = work / "cases" / request.param.replace(" ", "-")
    place.mkdir(parents=True)
    folder = copy(honest, place)
    monkeypatch.chdir(place)
    CASES[request.param](folder, other)
    yield folder
    assert not list(place.rglob(MARKER)), "something was executed"


def check(made, folder: Path, **options) -> list[str]:
    """Problems and alarms of a verification, or the one message with which the folder is refused."""
    _, tasks, _, other = made
    try:
        report = verify(folder, rescore=True, tasks=tasks, against=[other.parent], **options)
    except UserError as error:
        return [str(error)]
    return report.problems + report.alarms


def test_the_honest_submission_is_accepted(made, tmp_path: Path) -> None:
    _, tasks, honest, _ = made
    report = verify(copy(honest, tmp_path), rescore=True, tasks=tasks, against=[honest.parent])
    assert report.problems == []
    assert report.alarms == []
    assert report.largest_difference == 0.0
    assert report.badge == badge_of(tmp_path / "honest") == "rescored"


def test_the_honest_submission_is_reproduced(made, tmp_path: Path) -> None:
    _, tasks, honest, _ = made
    report = verify(copy(honest, tmp_path), sample=4, seed=1, tasks=tasks)
    assert report.problems == []
    assert report.units == 4
    assert report.badge == "reproduced"


def test_the_temperature_travels_with_the_record(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calibration error is scaled by what was fitted on validation, in the run and when it is rescored."""
    monkeypatch.setattr(calibration, "MIN_CASES", 20)
    _, tasks, _, _ = made
    folder = write_submission(tmp_path, tasks, "calibrated")
    records = [Record.from_json(line) for line in (folder / "tasks" / "records.jsonl").read_text().splitlines()]
    scaled = {r.unit.key for r in records if "ece" in r.metrics.get("test", {})}
    assert scaled == {r.unit.key for r in records if "temperature" in r.chosen}
    assert {"which.knn-v1.100pct.0", "which.linear-v2.100pct.0", "which.linear-v2.10pct.0"} <= scaled
    report = verify(folder, rescore=True, tasks=tasks)
    assert report.problems == []
    assert report.largest_difference == 0.0


def test_a_badge_does_not_survive_a_changed_byte(made, tmp_path: Path) -> None:
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    verify(folder, rescore=True, tasks=tasks)
    assert badge_of(folder) == "rescored"
    path = folder / "tasks" / "records.jsonl"
    path.write_text(path.read_text().replace("medssl run", "medssl  run", 1))
    assert badge_of(folder) == "declared"


def test_a_badge_with_the_right_hash_is_not_believed(made, tmp_path: Path) -> None:
    """Anybody can compute the hash: a badge counts for what a verification here shows, and a refusal ends it."""
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    forged = BadgeFile(
        badge="reproduced", contents_sha256=contents_sha256(folder), verified="2026-01-01", medssl="0.1.0", units=9,
        tolerance=0.0, largest_difference=0.0,
    )  # fmt: skip
    write_badge(folder, forged)
    report = verify(folder, rescore=True, tasks=tasks)
    assert "came with the badge 'reproduced'" in report.alarms[0]
    assert badge_of(folder) == "rescored"
    CASES["edited metric"](folder, folder)
    write_badge(folder, forged.model_copy(update={"contents_sha256": contents_sha256(folder)}))
    kept = (folder / "badge.json").read_bytes()
    assert not verify(folder, rescore=True, tasks=tasks).accepted
    assert badge_of(folder) == "declared"
    assert (folder / "badge.json").read_bytes() == kept


def test_a_refusal_takes_nothing_away_and_ends_with_the_next_acceptance(made, tmp_path: Path, monkeypatch) -> None:
    """A fault of this version must not cost a submission its badge."""
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    verify(folder, rescore=True, tasks=tasks)
    contents, badge = contents_sha256(folder), (folder / "badge.json").read_bytes()
    monkeypatch.setattr(Auroc, "value", lambda self, given: np.full(len(given.weights), 0.5))
    report = verify(folder, rescore=True, tasks=tasks)
    refused = json.loads((folder / "refused.json").read_text())
    assert refused["problems"] == report.problems[:40] != []
    assert (contents_sha256(folder), (folder / "badge.json").read_bytes()) == (contents, badge)
    assert badge_of(folder) == "declared"
    monkeypatch.undo()
    assert verify(folder, rescore=True, tasks=tasks).accepted
    assert badge_of(folder) == "rescored"
    assert not (folder / "refused.json").exists()


class Later(Metric):
    """A secondary metric that was not there when the records were made."""

    name = "later"
    title = "Later"
    targets = ("binary", "multi-class")

    def value(self, given: Comparison) -> np.ndarray:
        return np.ones(len(given.weights))


def with_metric(monkeypatch: pytest.MonkeyPatch, since: int) -> None:
    known = members("bench.metrics.set", "METRIC")
    monkeypatch.setattr(Later, "since", since, raising=False)
    monkeypatch.setitem(known, "later", Later())


@pytest.mark.parametrize(("since", "told"), [(2, ["no record holds 'later', which is a metric here"]), (3, [])])
def test_a_later_secondary_metric_refuses_nobody(made, tmp_path: Path, monkeypatch, since: int, told: list) -> None:
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    with_metric(monkeypatch, since)
    report = verify(folder, rescore=True, tasks=tasks)
    assert (report.problems, report.alarms, report.badge) == ([], told, "rescored")


def test_a_metric_of_some_records_alone_is_refused(made, tmp_path: Path) -> None:
    """Leaving out what does not please is not a later metric."""
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    edit_record(folder, lambda record: record["metrics"]["test"].pop("mcc"))
    report = verify(folder, rescore=True, tasks=tasks)
    assert report.problems == ["some records hold 'mcc', others lack it where it is defined"]


def test_a_metric_that_is_not_known_here_is_refused(made, tmp_path: Path) -> None:
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    edit_record(folder, lambda record: record["metrics"]["test"].update(mine=record["metrics"]["test"]["mcc"]))
    assert "'mine' on 'test' is not what is recomputed" in verify(folder, rescore=True, tasks=tasks).problems[0]


def test_features_alone_cannot_be_reproduced(made, tmp_path: Path) -> None:
    """Labels written into an embeddings file would be rerun without a difference."""
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    np.savez(folder / "which.npz", **{"train/ids": np.array(["train/0"]), "train/pooled": np.ones((1, 2), np.float32)})
    (folder / "weights.safetensors").unlink()
    old = next(line for line in (folder / "encoder.toml").read_text().splitlines() if line.startswith("source"))
    digest = sha256_file(folder / "which.npz")
    new = f'source = {{ adapter = "embeddings", files = {{ which = {{ path = "which.npz", sha256 = "{digest}" }} }} }}'
    edit_card(folder, old, new)
    report = verify(folder, sample=2, seed=0, tasks=tasks)
    assert any("not the network that made them" in problem for problem in report.problems)
    assert badge_of(folder) == "declared"


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 40
    assert set(CASES) >= HARMLESS | NEEDS_RERUN


@pytest.mark.parametrize("spoilt", sorted(set(CASES) - HARMLESS - NEEDS_RERUN), indirect=True)
def test_refused(made, spoilt: Path) -> None:
    problems = check(made, spoilt)
    assert problems
    assert all(len(p) < 1000 and p.isprintable() for p in problems)
    assert badge_of(spoilt) == "declared"


@pytest.mark.parametrize("spoilt", sorted(NEEDS_RERUN), indirect=True)
def test_found_by_a_rerun(made, spoilt: Path) -> None:
    problems = check(made, spoilt, rerun=True)
    assert problems
    assert badge_of(spoilt) == "declared"


@pytest.mark.parametrize("spoilt", sorted(HARMLESS), indirect=True)
def test_harmless(made, spoilt: Path) -> None:
    assert badge_of(spoilt) == "declared"
    assert check(made, spoilt) == []
