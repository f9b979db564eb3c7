"""The journal: nothing lost, nothing counted twice, whatever happens between two writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.errors import RunError, UserError
from bench.features.probe import Probe
from bench.files import read_npz, sha256_arrays
from bench.metrics.interval import Interval
from bench.runs.journal import SUPERSEDED, Journal, read_outputs, read_records
from bench.runs.records import Provenance, Record, Unit

MADE_BY = Provenance(
    command="medssl run x",
    created="2026-01-01T00:00:00+00:00",
    medssl="0",
    python="3",
    packages={},
    platform="p",
    device="cpu",
    precision="fp32",
    threads=1,
    suite="s",
    suite_fingerprint="0" * 64,
)


def make(task: str = "t", seed: int = 0, status: str = "done") -> tuple[Record, dict[str, np.ndarray]]:
    outputs = {"test": np.full((3, 2), seed + 0.5, np.float32)} if status == "done" else {}
    record = Record(
        status=status,
        encoder="e",
        encoder_version="1",
        card_sha256="1" * 64,
        data_sha256="2" * 64,
        protocol_sha256="3" * 64,
        n_labels=3,
        metric="auroc",
        made_by=MADE_BY,
        unit=Unit(task=task, protocol="knn-v1", budget="100%", seed=seed),
        metrics={"test": {"auroc": Interval(value=0.5 + seed / 10)}} if status == "done" else {},
        predictions=f"predictions/{task}.npz" if status == "done" else None,
        predictions_sha256=sha256_arrays(outputs) if status == "done" else None,
    )
    return record, outputs


def test_sealing_gathers_units_and_their_predictions(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        made = [make("b", 1), make("a", 0), make("a", 2), make("c", 0, "refused")]
        for record, outputs in made:
            journal.write(record, outputs)
        sealed = journal.seal()
    assert [r.unit.key for r in sealed] == sorted(r.unit.key for r, _ in made)
    assert read_records(tmp_path) == sealed
    found = {r.unit.key: outputs for r, outputs in read_outputs(tmp_path, sealed)}
    assert len(found) == 3
    for record, outputs in made[:3]:
        np.testing.assert_array_equal(found[record.unit.key]["test"], outputs["test"])


def test_sealing_twice_or_in_parts_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [make("a", 0), make("a", 1), make("b", 0)]
    with Journal(tmp_path / "whole") as journal:
        for pair in made:
            journal.write(*pair)
        journal.seal()
    with Journal(tmp_path / "parts") as journal:
        for pair in made:
            journal.write(*pair)
            journal.seal()
        journal.seal()
    for name in ("records.jsonl", "predictions/a.npz", "predictions/b.npz"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_failed_units_run_again(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(*make("a", 0, "failed"))
        assert journal.done("a") == set()
        assert [r.status for r in journal.seal()] == ["failed"]
        assert journal.done("a") == set()
        journal.write(*make("a", 0))
        assert journal.done("a") == {"a.knn-v1.100pct.0"}
        assert [r.status for r in journal.seal()] == ["done"]


def test_a_second_run_on_the_folder_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(RunError, match="another run"), Journal(tmp_path):
        pass


def test_a_run_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    for folder, left in ((tmp_path / "runs" / "e" / "s", []), (tmp_path / "kept", ["kept"])):
        if left:
            folder.mkdir()
        with pytest.raises(UserError), Journal(folder):
            raise UserError("refused")
        assert [p.name for p in tmp_path.iterdir()] == left
    refuse_after(Journal(tmp_path / "runs" / "e" / "s"), lambda journal: journal.claim({"suite": "s"}))
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_what_was_done_before_a_refusal_stays(tmp_path: Path) -> None:
    refuse_after(Journal(tmp_path / "s"), lambda journal: journal.write(*make("a", 0)))
    assert len(Journal(tmp_path / "s").records()) == 1


def refuse_after(journal: Journal, step: Callable[[Journal], None]) -> None:
    """A run that comes to `step` and then to data that cannot be read."""

    def run() -> None:
        with journal:
            (journal.folder.parent / "encoder.toml").write_text("schema = 1")
            step(journal)
            raise UserError("cannot be read")

    with pytest.raises(UserError, match="cannot be read"):
        run()
    (journal.folder.parent / "encoder.toml").unlink(missing_ok=True)


def sealed(folder: Path) -> list[Record]:
    """Three sealed units of two tasks."""
    with Journal(folder) as journal:
        for pair in (make("a", 0), make("a", 1), make("b", 0)):
            journal.write(*pair)
        return journal.seal()


def test_what_does_not_hold_leaves_the_records_and_comes_back(tmp_path: Path) -> None:
    first, second, third = sealed(tmp_path)
    with Journal(tmp_path) as journal:
        journal.sort_out({first.unit.key}, lambda record: record)
        assert read_records(tmp_path) == [second, third]
        assert journal.done("a") == {second.unit.key}
        assert journal.superseded == {first.unit.key: first}
        assert journal.seal() == [second, third], "sealing alone loses nothing"
        journal.sort_out((), lambda record: record)
        assert read_records(tmp_path) == [first, second, third]
        assert not (tmp_path / SUPERSEDED).exists()
        assert not journal.lost([first, second, third])


def test_a_unit_that_has_run_again_takes_the_place_of_the_old_record_and_predictions(tmp_path: Path) -> None:
    first, *others = sealed(tmp_path)
    again = first.model_copy(update={"status": "refused", "metrics": {}, "predictions_sha256": None})
    with Journal(tmp_path) as journal:
        journal.sort_out({first.unit.key}, lambda record: record)
        journal.write(again, {})
        assert journal.seal() == [again, *others]
        assert not journal.superseded
    assert not [name for name in read_npz(tmp_path / "predictions" / "a.npz") if name.startswith(first.unit.key)]
    assert len(list(read_outputs(tmp_path, others))) == 2


def test_a_kill_while_units_are_removed_costs_no_predictions(tmp_path: Path) -> None:
    record, outputs = make()
    with Journal(tmp_path) as journal:
        journal.write(record, outputs)
        journal.seal()
        journal.write(record, outputs)
        (tmp_path / "units" / f"{record.unit.key}.npz").unlink()
        assert journal.seal() == [record]
        assert not journal.lost([record])


def test_records_that_hold_are_stamped(tmp_path: Path) -> None:
    sealed(tmp_path)
    with Journal(tmp_path) as journal:
        journal.sort_out((), lambda record: record.model_copy(update={"encoder_version": "2"}))
    assert {record.encoder_version for record in read_records(tmp_path)} == {"2"}


def test_what_a_run_says_of_itself_is_sealed(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.claim({"units": 18})
        assert journal.claimed() == {"units": 18}
        path = tmp_path / "run.json"
        path.write_text(path.read_text().replace("18", "98"))
        assert journal.claimed() == {}
        path.write_text('{"units": 24}')
        assert journal.claimed() == {"units": 24}, "of an earlier version"


def before_records(folder: Path, text: str) -> None:
    path = folder / "records.jsonl"
    path.write_text(text + path.read_text())


def cut_records(folder: Path) -> None:
    path = folder / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-9])


def broken_unit(folder: Path) -> None:
    (folder / "units").mkdir()
    (folder / "units" / "a.knn-v1.100pct.7.json").write_text("nonsense")


@pytest.mark.parametrize(
    ("damage", "left", "message"),
    [
        (lambda folder: before_records(folder, "{\n"), 3, "line 1: is not valid"),
        (cut_records, 2, "line 3: is not valid"),
        (lambda folder: (folder / "records.jsonl").write_bytes(b"\xff\x00\n"), 0, "records.jsonl, line 1"),
        (lambda folder: (folder / "predictions" / "a.npz").write_bytes(b"PK"), 3, "a.npz: is not a readable npz"),
        (broken_unit, 3, "pct.7.json"),
    ],
)
def test_what_is_damaged_is_named_and_never_a_traceback(tmp_path: Path, damage, left: int, message: str) -> None:
    records = sealed(tmp_path)
    damage(tmp_path)
    with Journal(tmp_path) as journal:
        found = journal.records()
        lost = journal.lost(found.values())
        journal.note_missing(found)
        assert len(found) == left
        assert set(lost) == ({r.unit.key for r in records if r.unit.task == "a"} if "a.npz" in message else set())
        assert any(message in line for line in journal.damaged)
        assert len(journal.damaged) == len(set(journal.damaged)) == 1 + 2 * (left == 0), "one line was not three units"
        journal.write(*make("a", 5))
        journal.sort_out(lost, lambda record: record)
        assert "a.knn-v1.100pct.5" in {r.unit.key for r in journal.seal()}
    with Journal(tmp_path) as journal:
        assert not journal.lost(journal.records().values())
        assert not journal.damaged


def test_predictions_of_another_hash_or_none_are_lost(tmp_path: Path) -> None:
    record, outputs = make()
    with Journal(tmp_path) as journal:
        journal.write(record, {"test": outputs["test"] + 1})
        assert set(journal.lost([record])) == {record.unit.key}
        assert set(journal.lost([make("b")[0]])) == {"b.knn-v1.100pct.0"}
        assert not journal.lost([make("b", status="refused")[0]])


def test_a_probe_is_kept_once_within_the_tolerance(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    first, near, other = (Probe({"pooled 8": features * scale}) for scale in (1, 1 + 1e-6, 1.01))
    journal = Journal(tmp_path)
    assert journal.adopt(first).digest == first.digest
    assert journal.adopt(near).digest == first.digest != near.digest
    assert journal.adopt(other).digest == other.digest
    (tmp_path / "probes" / f"{first.digest}.npz").write_bytes(b"PK")
    assert journal.adopt(near).digest == near.digest, "a damaged probe is none"


def test_an_unwritable_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), Journal(tmp_path / "file" / "run"):
        pass


def test_changed_predictions_are_noticed(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        record, outputs = make()
        journal.write(record, {"test": outputs["test"] + 1})
        sealed = journal.seal()
    with pytest.raises(UserError, match="differ from the hash"):
        list(read_outputs(tmp_path, sealed))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("error::ResourceWarning")
def test_records_that_were_read_are_closed(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(*make())
        journal.seal()
    assert len(read_records(tmp_path)) == 1
