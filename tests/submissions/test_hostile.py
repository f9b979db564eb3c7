"""Every hostile or broken submission is refused with a message, or shown harmless; none executes anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.discover import members
from bench.errors import UserError
from bench.files import sha256_file
from bench.metrics import SCORING, calibration
from bench.metrics.base import Comparison, Metric
from bench.metrics.set.auroc import Auroc
from bench.metrics.set.ece import Ece
from bench.runs.records import Record
from bench.submissions.badge import FILE, badge_of, contents_sha256, read_verdicts
from bench.submissions.sampling import enough
from bench.submissions.verify import verify
from benchmarks.hostile import gaming, memoriser, overlooked, smuggled  # noqa: F401 - they add their cases
from benchmarks.hostile.base import copy, edit_card, edit_record, write_submission, write_tasks
from benchmarks.hostile.cases import ALARMED, CASES, HARMLESS, MARKER, NEEDS_RERUN


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
    assert report.badge == badge_of(tmp_path / "honest", "tasks") == "rescored"


def test_the_honest_submission_is_reproduced(made, tmp_path: Path) -> None:
    _, tasks, honest, _ = made
    few = verify(copy(honest, tmp_path), sample=4, tasks=tasks)
    assert (few.problems, few.units, few.rerun, few.badge) == ([], few.done, 4, "rescored")
    report = verify(tmp_path / "honest", sample=0, tasks=tasks)
    assert (report.problems, report.units, report.badge) == ([], report.done, "reproduced")
    assert report.rerun == enough(report.done)
    (verdict,) = read_verdicts(tmp_path).values()
    assert verdict.text.startswith(f"{report.done} of {report.done} units rescored, {report.rerun} run again")
    weaker = verify(tmp_path / "honest", rescore=True, tasks=tasks)
    assert "an earlier check of the same bytes stands, reproduced" in weaker.alarms[0]
    assert badge_of(tmp_path / "honest", "tasks") == "reproduced"


def test_the_temperature_travels_with_the_record(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calibration error is scaled by what was fitted on validation, in the run and when it is rescored."""
    monkeypatch.setattr(calibration, "MIN_CASES", 20)
    monkeypatch.setattr(Ece, "until", None)  # as in the first two sets of metrics
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
    assert badge_of(folder, "tasks") == "rescored"
    path = folder / "tasks" / "records.jsonl"
    path.write_text(path.read_text().replace("medssl run", "medssl  run", 1))
    assert badge_of(folder, "tasks") == "declared"


def test_a_verdict_inside_a_submission_is_nothing(made, tmp_path: Path) -> None:
    """Anybody can compute the hash: what a submission brings is no badge, wherever in it it lies."""
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path / "a")
    verify(folder, rescore=True, tasks=tasks)
    line = (folder.parent / FILE).read_text().replace("rescored", "reproduced")
    (folder.parent / FILE).unlink()
    for place in (folder / "tasks" / FILE, folder / FILE):
        place.write_text(line)
        assert badge_of(folder, "tasks") == "declared"
        with pytest.raises(UserError, match="not a file a submission may hold"):
            verify(folder, tasks=tasks)
        place.unlink()


def test_a_badge_is_of_one_suite(made, tmp_path: Path) -> None:
    """Results on another suite that come later leave it as it is; another card or other weights do not."""
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    verify(folder, rescore=True, tasks=tasks)
    (folder / "later" / "predictions").mkdir(parents=True)
    (folder / "later" / "records.jsonl").write_text("")
    (folder / "later" / "predictions" / "a.npz").write_bytes(b"x")
    assert badge_of(folder, "tasks") == "rescored"
    assert badge_of(folder, "later") == "declared"
    (folder / "weights.safetensors").write_bytes(b"others")
    assert badge_of(folder, "tasks") == "declared"


def test_a_refusal_takes_nothing_away_and_ends_with_the_next_acceptance(made, tmp_path: Path, monkeypatch) -> None:
    """A fault of this version must not cost a submission its badge."""
    _, tasks, honest, _ = made
    folder = copy(honest, tmp_path)
    verify(folder, rescore=True, tasks=tasks)
    contents = contents_sha256(folder, "tasks")
    monkeypatch.setattr(Auroc, "value", lambda self, given: np.full(len(given.weights), 0.5))
    report = verify(folder, rescore=True, tasks=tasks)
    (verdict,) = read_verdicts(tmp_path).values()
    assert verdict.problems == report.problems[:40] != []
    assert (verdict.badge, verdict.contents_sha256) == ("rescored", contents)
    assert badge_of(folder, "tasks") == "declared"
    monkeypatch.undo()
    assert verify(folder, rescore=True, tasks=tasks).accepted
    assert badge_of(folder, "tasks") == "rescored"


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


LACKED = "no record holds 'later', which is a metric here"


@pytest.mark.parametrize(("since", "told"), [(SCORING, [LACKED]), (SCORING + 1, [])])
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
    report = verify(folder, sample=2, tasks=tasks)
    assert any("not the network that made them" in problem for problem in report.problems)
    assert badge_of(folder, "tasks") == "declared"


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 40
    assert set(CASES) >= HARMLESS | ALARMED | NEEDS_RERUN


@pytest.mark.parametrize("spoilt", sorted(set(CASES) - HARMLESS - ALARMED - NEEDS_RERUN), indirect=True)
def test_refused(made, spoilt: Path) -> None:
    problems = check(made, spoilt)
    assert problems
    assert all(len(p) < 1000 and p.isprintable() for p in problems)
    assert badge_of(spoilt, "tasks") == "declared"


@pytest.mark.parametrize("spoilt", sorted(NEEDS_RERUN - HARMLESS), indirect=True)
def test_found_by_a_rerun(made, spoilt: Path) -> None:
    problems = check(made, spoilt, rerun=True)
    assert problems
    assert badge_of(spoilt, "tasks") == "declared"


@pytest.mark.parametrize("spoilt", sorted(HARMLESS), indirect=True)
def test_harmless(made, spoilt: Path) -> None:
    assert badge_of(spoilt, "tasks") == "declared"
    assert check(made, spoilt, rerun=spoilt.parent.name.replace("-", " ") in NEEDS_RERUN) == []


@pytest.mark.parametrize("spoilt", sorted(ALARMED), indirect=True)
def test_put_before_the_reviewer(made, spoilt: Path) -> None:
    _, tasks, _, other = made
    report = verify(spoilt, rescore=True, tasks=tasks, against=[other.parent])
    assert report.problems == []
    assert all(other.name in alarm for alarm in report.alarms)
    assert report.alarms
