"""Watchers get every record, whoever makes it; what Weights & Biases writes offline is opened and read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.runs.fingerprint import fingerprint_of
from bench.runs.options import Resources, RunSpec
from bench.runs.plan import make_plan
from bench.runs.run import run
from benchmarks.wandb_listing import OfflineRun, open_run


@pytest.fixture
def spec(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    monkeypatch.chdir(tmp_path)
    return RunSpec.of("raw-pixels", None, str(squares), only=("which",), threads=1, command="medssl run")


def test_json_lines_hold_every_unit_once_whoever_made_it(spec: RunSpec) -> None:
    for executor in ("serial", "processes"):
        log = Path(f"{executor}.jsonl")
        watched = spec.but(out=executor, executor=executor, watches=(f"jsonl:{log}",), resources=Resources(1))
        records = run(watched)
        *units, last = map(json.loads, log.read_text().splitlines())
        assert sorted(u["unit"] for u in units) == [r.unit.key for r in records]
        assert last == {"event": "finished", "units": len(records)}


def test_tensorboard_holds_every_score(spec: RunSpec) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records = run(spec.but(watches=("tensorboard:tb",)))
    events = EventAccumulator("tb/raw-pixels-squares").Reload()
    scores = [(s.step, round(s.value, 5)) for tag in events.Tags()["scalars"] for s in events.Scalars(tag)]
    assert sorted(scores) == sorted((r.n_labels, round(r.primary.value, 5)) for r in records if r.primary)


def test_wandb_offline_holds_config_scores_tables_and_curves(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    wandb.teardown()  # its session keeps the folder of whoever used it first in this process
    monkeypatch.setenv("WANDB_DIR", ".")
    made = {}
    for encoder in ("raw-pixels", "colour-histogram"):
        made[encoder] = run(spec.but(encoder=encoder, watches=("wandb:offline",)))
    wandb.teardown()
    found = [open_run(folder) for folder in Path("wandb").glob("offline-run-*")]
    assert {f.name for f in found} == {f"{encoder} squares" for encoder in made}, "one run an encoder"
    for offline in found:
        records = made[offline.config["name"]]
        assert offline.config["suite_fingerprint"] == fingerprint_of(
            make_plan(None, Path(spec.what.tasks), spec.what.only)
        )
        assert offline.config["card_sha256"] == records[0].card_sha256
        _holds(offline, records)


def _holds(offline: OfflineRun, records: list) -> None:
    done = [r for r in records if r.primary]
    logged = [value for row in offline.history for key, value in row.items() if key.endswith("/auroc")]
    assert sorted(logged) == pytest.approx(sorted(r.primary.value for r in done))
    table = offline.tables["records"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [(r["task"], r["protocol"], r["budget"], r["seed"], r["value"], r["low"], r["high"]) for r in rows] == [
        (r.unit.task, r.unit.protocol, r.unit.budget, r.unit.seed, *_interval(r)) for r in records
    ]
    assert offline.curves == ["label curve/which/linear-v2"]
    curve = offline.tables["label curve/which/linear-v2_table"]["data"]
    by_labels = {
        n: [r.primary.value for r in done if r.n_labels == n and r.unit.protocol == "linear-v2"] for n, _ in curve
    }
    assert [mean for _, mean in curve] == pytest.approx([sum(v) / len(v) for v in by_labels.values()])
    full = {f"{r.unit.task}/{r.unit.protocol}": r.primary.value for r in done if r.unit.budget == "100%"}
    assert {key: offline.summary[key] for key in full} == pytest.approx(full)


def _interval(record) -> tuple:
    p = record.primary
    return (p.value, p.low, p.high) if p else (None, None, None)


def test_a_watcher_that_fails_never_stops_a_run(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.runs.watch.jsonl import _Lines

    monkeypatch.setattr(_Lines, "record", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.warns(UserWarning, match="stopped: disk full"):
        assert run(spec.but(watches=("jsonl:log.jsonl",)))


@pytest.mark.parametrize(("watch", "message"), [("wnadb:offline", "did you mean 'wandb'"), ("wandb:later", "offline")])
def test_a_wrong_watch_is_one_message_and_leaves_nothing(spec: RunSpec, watch: str, message: str) -> None:
    before = set(Path().rglob("*"))
    with pytest.raises(UserError, match=message):
        run(spec.but(watches=("jsonl:log.jsonl", watch) if watch.startswith("wnadb") else (watch,)))
    assert set(Path().rglob("*")) == before
