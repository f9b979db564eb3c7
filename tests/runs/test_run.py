"""A run: deterministic, resumable, the same whoever executes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import bench
from bench.encoders.card import read_card
from bench.runs.options import Resources, RunSpec
from bench.runs.records import Record
from bench.runs.run import run
from bench.runs.score_task import FLAT
from bench.submissions.folder import read_results


@pytest.fixture
def spec(squares: Path, tmp_path: Path) -> RunSpec:
    return RunSpec.of(
        encoder="raw-pixels", suite=None, tasks=str(squares), out=str(tmp_path / "a"), threads=1, command="medssl run"
    )


def comparable(records: list[Record]) -> list[dict]:
    return [record.without_times() for record in records]


def bytes_of(out: str) -> dict[str, bytes]:
    """Predictions files of a run, by name."""
    return {p.name: p.read_bytes() for p in sorted(Path(out).rglob("predictions/*.npz"))}


def test_two_runs_are_identical_but_for_times(spec: RunSpec, tmp_path: Path) -> None:
    again = spec.but(out=str(tmp_path / "b"), cache=False)
    first, second = run(spec), run(again)
    assert comparable(first) == comparable(second)
    assert bytes_of(spec.what.out) == bytes_of(again.what.out)
    assert {(r.status, r.unit.budget) for r in first if r.status != "done"} == {("refused", "1%")}
    assert {(r.unit.protocol, r.unit.budget) for r in first} >= {("knn-v1", "100%"), ("dense-linear-v2", "10%")}


def test_a_finished_run_does_nothing_again(spec: RunSpec) -> None:
    first, seen = run(spec), []
    assert run(spec, lambda message, record: seen.append(record)) == first
    assert not [record for record in seen if record is not None]


def test_two_suites_share_a_folder_and_the_newest_card_is_shown(spec: RunSpec, tmp_path: Path) -> None:
    first = run(spec)
    kept, other, suite = (
        Path(spec.what.out) / "raw-pixels" / "encoder.toml",
        tmp_path / "other",
        tmp_path / "another.toml",
    )
    other.mkdir()
    card = read_card(kept).model_copy(update={"version": "2", "authors": ["B. Author"]})
    (other / "encoder.toml").write_text(card.to_toml())
    suite.write_text(
        'schema = 1\nname = "another"\ntitle = "Another"\ntasks = ["which"]\n'
        'protocols = [{ name = "knn-v1", budgets = ["100%"] }]\n'
    )
    said: list[str] = []
    run(spec.but(encoder=str(other), suite=str(suite)), say=said.append)
    assert said == []
    assert read_card(kept).sha256 == card.sha256
    assert {result.suite: len(result.records) for result in read_results(kept.parent)} == {
        "another": 1, "squares": len(first),
    }  # fmt: skip


def test_the_learnable_task_is_learnt(spec: RunSpec) -> None:
    scores = {r.unit.key: r.primary.value for r in run(spec) if r.primary}
    assert scores["which.linear-v2.100pct.0"] > 0.9
    assert scores["where.dense-linear-v2.100pct.0"] > 0.3


def test_encoding_tells_how_far_it_is(spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.runs.split_features.TELL_SECONDS", 0.0)
    told: list[str] = []
    where = {"out": str(tmp_path / "told"), "only": ("which",), "cache": False, "batch_size": 7}
    run(spec.but(**where), lambda message, record: told.append(message))
    counts = [message for message in told if "train images" in message]
    total = counts[0].split("encoding ")[1].split()[0]
    assert counts[1] == f"which: encoding 7 of {total} train images"
    assert counts[-1] == f"which: encoding {total} of {total} train images"


def test_batch_size_and_threads_leave_scores_alone(spec: RunSpec, tmp_path: Path) -> None:
    other = spec.but(out=str(tmp_path / "b"), cache=False, batch_size=7, threads=2)
    first, second = (
        {
            (r.unit.key, split, name): m.value
            for r in run(s)
            for split, ms in r.metrics.items()
            for name, m in ms.items()
        }
        for s in (spec, other)
    )
    assert first == pytest.approx(second, abs=1e-4)


def test_processes_give_the_same_records(spec: RunSpec, tmp_path: Path) -> None:
    pool = spec.but(out=str(tmp_path / "b"), executor="processes", resources=Resources(workers=2))
    assert comparable(run(spec)) == comparable(run(pool))
    assert bytes_of(spec.what.out) == bytes_of(pool.what.out)


def test_results_that_hold_are_of_the_suite_as_it_is_now(spec: RunSpec) -> None:
    first = run(spec.but(only=("which",)))
    again = run(spec.but(only=("which",), fingerprint="f" * 64))
    assert {record.made_by.suite_fingerprint for record in again} == {"f" * 64}
    assert [r.predictions_sha256 for r in again] == [r.predictions_sha256 for r in first]


def test_a_damaged_plan_of_a_shipped_suite_is_named_and_written_anew(tmp_path: Path) -> None:
    spec = RunSpec.of("raw-pixels", "phantom-mini", only=("phantom-xray-diffuse-mini",), out=str(tmp_path), threads=1)
    first, said = run(spec), []
    plan = tmp_path / "raw-pixels" / "phantom-mini" / "plan.json"
    whole = plan.read_text()
    plan.write_text(whole[:-1])
    assert run(spec, say=said.append) == first
    assert [line for line in said if "plan.json: is not a readable plan" in line and "written anew" in line] == said
    assert len(said) == 1
    assert plan.read_text() == whole


@pytest.mark.parametrize(("value", "told"), [(0.0, True), (1.0, False)], ids=["flat", "not flat"])
def test_an_encoder_that_tells_nothing_apart_is_told(squares: Path, tmp_path: Path, value: float, told: bool) -> None:
    network = torch.nn.Conv2d(3, 4, 8, stride=8)
    encoder = bench.wrap(network, name="flat", size=32, features=lambda network, x: network(x) * value + 3)
    records = bench.run(encoder, tasks=squares, out=tmp_path, device="cpu").records
    done = [record for record in records if record.status == "done"]
    assert {record.unit.task for record in done} == {"which", "where"}
    assert {FLAT in record.warnings for record in done} == {told}
