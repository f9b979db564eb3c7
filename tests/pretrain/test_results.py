"""What a run over a comparison leaves: few files, whole, and runs that merge or are refused."""

from __future__ import annotations

import json
import zipfile
from hashlib import sha256

import pytest

from bench.errors import RunError
from bench.pretrain import results as module
from bench.pretrain.ledger import Finished, Ledger, read_ledger
from bench.pretrain.merge import merge
from bench.pretrain.results import ComparisonFolder


def ledger(**changed):
    return Ledger(**({"track": "mini-v1", "recipe": "a" * 64, "corpus": "b" * 64} | changed))


def encoder(folder, weights=b"weights"):
    folder.mkdir(parents=True)
    for name, data in (("encoder.toml", b"card"), ("training.json", b"{}"), ("weights.safetensors", weights)):
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def two(tmp_path):
    """Two runs with an encoder and a trial each; the second knows of the first."""
    first, second = ComparisonFolder(tmp_path / "one", ledger()), ComparisonFolder(tmp_path / "two", ledger())
    first.add_encoder("a", "1" * 64, encoder(tmp_path / "ea"))
    first.add_trial("mae", "0.001", 0, 0.5)
    second.know(read_ledger(tmp_path / "one" / "ledger.json"), where="one")
    second.add_encoder("b", "2" * 64, encoder(tmp_path / "eb", b"other"))
    second.add_trial("mae", "0.01", 0, 0.4)
    return tmp_path / "one", tmp_path / "two"


def test_runs_merge_into_encoder_folders(two, tmp_path):
    merged = merge(two, tmp_path / "out")
    assert set(merged.encoders) == {"a", "b"}
    assert merged.trials == {"mae": {"0.001": {"0": 0.5}, "0.01": {"0": 0.4}}}
    assert (tmp_path / "out" / "b" / "weights.safetensors").read_bytes() == b"other"
    assert (tmp_path / "out" / "a" / "encoder.toml").read_bytes() == b"card"
    assert read_ledger(tmp_path / "out") == merged
    assert json.loads((tmp_path / "out" / "ledger.json").read_text())["encoders"]["a"]["file"] == ""


def test_runs_that_do_not_fit_together_are_refused_and_nothing_is_written(two, tmp_path):
    one, second = two
    cases = {
        "another corpus": ledger(corpus="c" * 64),
        "another recipe": ledger(recipe="c" * 64),
        "another track": ledger(track="x"),
        "other weights for 'a'": ledger(encoders={"a": Finished(run="1" * 64, weights="d" * 64)}),
        "another outcome of the trial of 'mae'": ledger(trials={"mae": {"0.001": {"0": 0.6}}}),
    }
    for message, other in cases.items():
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad" / "ledger.json").write_text(other.text())
        with pytest.raises(RunError, match=message):
            merge([one, second, tmp_path / "bad"], tmp_path / "out")
        with pytest.raises(RunError, match=message):
            ComparisonFolder(tmp_path / "bad", read_ledger(one))
    with pytest.raises(RunError, match="'a' is in none of these runs"):
        merge([second], tmp_path / "out")
    with zipfile.ZipFile(one / "encoders-1.zip", "w") as archive:
        archive.writestr("a/weights.safetensors", b"forged")
    with pytest.raises(RunError, match="does not hold 'a' with the weights"):
        merge(two, tmp_path / "out")
    (one / "encoders-1.zip").write_bytes(b"no zip")
    with pytest.raises(RunError, match="cannot be read"):
        merge(two, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_or_missing_ledger_is_named(tmp_path):
    with pytest.raises(RunError, match=r"ledger.json: is no ledger"):
        read_ledger(tmp_path)
    (tmp_path / "ledger.json").write_text('{"schema": 1, "track": "x"}')
    with pytest.raises(RunError, match="is no ledger"):
        read_ledger(tmp_path)


def test_files_are_few_and_small_and_a_full_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILE_BYTES", 3000)
    run = ComparisonFolder(tmp_path / "run", ledger(), room=15_000)
    count = 0
    while run.has_room(1200):
        noise = sha256(str(count).encode()).digest() * 32
        run.add_encoder(f"e{count}", "1" * 64, encoder(tmp_path / f"e{count}", bytes(a ^ b for a, b in zip(
            noise, bytes(i * 37 % 251 for i in range(1024)), strict=True))))  # fmt: skip
        count += 1
    files = sorted((tmp_path / "run").iterdir())
    assert count > 3
    assert len(files) <= module.FILES
    assert all(path.stat().st_size <= 3000 for path in files if path.suffix == ".zip")
    assert set(read_ledger(tmp_path / "run").encoders) == {f"e{i}" for i in range(count)}
    monkeypatch.setattr(module, "FILE_BYTES", 100)
    with pytest.raises(RunError, match="is full"):
        run.add_encoder("z", "1" * 64, encoder(tmp_path / "z"))


def test_the_same_encoders_give_the_same_bytes(tmp_path):
    for name in ("x", "y"):
        run = ComparisonFolder(tmp_path / name, ledger())
        for which in "ab":
            run.add_encoder(which, "1" * 64, encoder(tmp_path / f"{name}-{which}", which.encode()))
    with zipfile.ZipFile(tmp_path / "x" / "encoders-1.zip") as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}  # not the clock's
    assert [p.read_bytes() for p in sorted((tmp_path / "x").iterdir())] == [
        p.read_bytes() for p in sorted((tmp_path / "y").iterdir())
    ]
