"""The journal: nothing lost, nothing counted twice, whatever happens between two writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import RunError, UserError
from bench.files import sha256_arrays
from bench.runs.journal import Journal, read_outputs, read_records
from bench.runs.records import Interval, Provenance, Record, Unit

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


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.claim({"encoder_card": "a" * 64, "suite_fingerprint": "b" * 64})
        journal.claim({"encoder_card": "a" * 64, "suite_fingerprint": "b" * 64})
        with pytest.raises(RunError, match="suite fingerprint"):
            journal.claim({"encoder_card": "a" * 64, "suite_fingerprint": "c" * 64})


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
