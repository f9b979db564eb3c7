"""Weights beside the repository: one submission and one badge, whether they lie in its folder or in a store."""

from __future__ import annotations

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bench.cli import main
from bench.errors import DataError, SubmissionError
from bench.files import sha256_file
from bench.submissions.badge import badge_of, contents_sha256
from bench.submissions.stored import FILE, move_out, read_stored, whole
from bench.submissions.verify import verify
from benchmarks.hostile.base import copy, write_submission, write_tasks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(tasks, a valid submission with its weights)."""
    work = tmp_path_factory.mktemp("stored")
    tasks = write_tasks(work / "tasks")
    return tasks, write_submission(work, tasks)


@pytest.fixture
def apart(made, tmp_path, monkeypatch) -> tuple[Path, Path]:
    """(a submission without its weights, the store that has them)."""
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    folder, store = copy(made[1], tmp_path / "sent"), tmp_path / "store"
    move_out(folder, store, "https://example.org/weights")
    return folder, store


def test_the_bytes_count_the_same_in_either_place(made, apart):
    folder, store = apart
    assert not list(folder.glob("*.safetensors"))
    assert contents_sha256(folder, "tasks") == contents_sha256(made[1], "tasks")
    with whole(folder, str(store)) as place:
        assert sha256_file(place / "weights.safetensors") == sha256_file(made[1] / "weights.safetensors")
        assert not (place / FILE).exists()
    assert not place.exists()
    before = read_stored(folder)
    assert move_out(folder, store) == before.model_copy(update={"address": None}), "nothing was left to move"


def test_nothing_is_stored_below_a_file(apart):
    folder, _ = apart
    entry = {"sha256": "0" * 64, "bytes": 1}
    (folder / FILE).write_text(json.dumps({"schema": 1, "files": {"README.md/x.pth": entry}}))
    (folder / "README.md").write_text("")
    with pytest.raises(SubmissionError, match="would lie below a file"):
        read_stored(folder)


def test_a_badge_given_with_the_store_stands_without_it(made, apart):
    folder, store = apart
    with pytest.raises(SubmissionError, match=r"weights lie in a store.*--store.*https://example\.org/weights"):
        verify(folder, sample=2, tasks=made[0])
    report = verify(folder, rescore=True, sample=2, tasks=made[0], store=str(store))
    assert (report.problems, report.rerun, report.folder) == ([], 2, folder)
    assert badge_of(folder, "tasks") == "rescored"
    assert not list(folder.glob("*.safetensors")), "the submission is as it was"
    plain = verify(folder, rescore=True, tasks=made[0])
    assert (plain.problems, plain.rerun) == ([], 0)
    assert badge_of(folder, "tasks") == "rescored"


def test_over_the_web(apart, tmp_path):
    folder, store = apart
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(store)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with whole(folder, f"http://127.0.0.1:{server.server_port}") as place:
            assert (place / "weights.safetensors").is_file()
    finally:
        server.shutdown()


def test_other_bytes_under_the_right_name_are_refused(apart):
    folder, store = apart
    (file,) = read_stored(folder).files.values()
    (store / file.sha256).write_bytes(b"others")
    with pytest.raises(DataError, match="has sha256"), whole(folder, str(store)):
        pass


@pytest.mark.parametrize(
    "files",
    [
        {"../weights.safetensors": {"sha256": "0" * 64, "bytes": 1}},
        {"a/../../b.bin": {"sha256": "0" * 64, "bytes": 1}},
        {"tasks/predictions/which.npz": {"sha256": "0" * 64, "bytes": 1}},
        {"encoder.toml": {"sha256": "0" * 64, "bytes": 1}},
        {"w.bin": {"sha256": "0" * 63, "bytes": 1}},
        {"w.bin": {"sha256": "0" * 64, "bytes": 10**13}},
        {"weights.safetensors": {"sha256": "0" * 64, "bytes": 1}},
    ],
)
def test_a_list_that_names_something_else_is_refused(made, tmp_path, files):
    folder = copy(made[1], tmp_path)
    (folder / FILE).write_text(json.dumps({"schema": 1, "files": files}))
    with pytest.raises(SubmissionError, match=r"is no list of stored files"):
        verify(folder, rescore=True, tasks=made[0])


def test_submit_as_typed(made, tmp_path, capsys):
    work, store = made[1].parents[1], tmp_path / "store"
    typed = ["submit", str(work / "honest"), "--records", str(work / "runs"), "--suite", "tasks", "--store", str(store)]
    with pytest.raises(SystemExit) as ended:
        main([*typed, "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"Weights: 1 file in {store}, under their hashes" in said
    assert f"--rescore --sample --store {store}" in said
    assert (tmp_path / "out" / "honest" / FILE).is_file()
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_asking_for_a_rerun_of_what_came_without_weights_refuses_the_question_and_not_the_submission(made, tmp_path):
    folder = copy(made[1], tmp_path / "sent")
    (folder / "weights.safetensors").unlink()
    verify(folder, rescore=True, tasks=made[0])
    assert badge_of(folder, "tasks") == "rescored"
    for more in ({"sample": 0}, {"rerun": True}):
        with pytest.raises(SubmissionError, match=r"came without weights.*--rescore"):
            verify(folder, tasks=made[0], **more)
    assert badge_of(folder, "tasks") == "rescored"
