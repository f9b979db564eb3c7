"""The store: whole or absent, whatever dies; written once, however many ask; damage is seen and mended."""

import os
import signal
import sys
import time

import numpy as np
import pytest

from bench.data import store
from bench.data.load import load_task, read_source
from bench.data.status import status_of
from bench.errors import DataError, RunError


@pytest.fixture
def task(tiny, make_task, tmp_path):
    np.savez(tmp_path / "t.npz", **tiny())
    return make_task(reader="npz", file="t.npz")


def in_child(action):
    """Run `action` in a forked process; returns its wait status."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def die_at_line(number):
    """Kill this process, beyond any clean-up, at the `number`-th line it executes in store.py."""
    left = number

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename != store.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def entry_of(task, tmp_path, cache_home):
    key = store.key_of(task, read_source(task), read_source(task).identity(task, tmp_path).digest)
    return cache_home / "store" / key


def test_killed_at_any_line_and_whole_afterwards(task, tmp_path, cache_home):
    reference = load_task(task, folder=tmp_path).sha256
    folder = entry_of(task, tmp_path, cache_home)
    killed, line = 0, 1
    while True:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        status = in_child(lambda n=line: (die_at_line(n), load_task(task, folder=tmp_path)))
        if folder.is_dir():
            assert store.open_entry(folder.name).sha256 == reference, f"a part of an entry in place, line {line}"
        assert load_task(task, folder=tmp_path).sha256 == reference
        assert [p.name for p in folder.parent.glob(f".{folder.name}.*/")] == [], "leftovers are removed"
        if not os.WIFSIGNALED(status):
            break
        killed, line = killed + 1, line + 17
    assert killed > 30


def test_many_processes_prepare_once(task, tmp_path, monkeypatch):
    log, write = tmp_path / "log", store._write

    def slow(*arguments):
        with open(log, "a") as file:
            file.write("x")
        time.sleep(0.2)
        write(*arguments)

    monkeypatch.setattr(store, "_write", slow)
    children = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert len(load_task(task, folder=tmp_path).train) == 12
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 5
    assert log.read_text() == "x"


@pytest.mark.parametrize("damage", ["shorter", "missing", "no entry", "bad entry", "bad header"])
def test_damage_is_seen_on_opening_and_mended(task, tmp_path, cache_home, damage):
    first = load_task(task, folder=tmp_path).sha256
    folder = entry_of(task, tmp_path, cache_home)
    images, about = folder / "train.images.npy", folder / "entry.json"
    if damage == "shorter":
        os.truncate(images, 200)
    elif damage == "missing":
        images.unlink()
    elif damage == "no entry":
        about.unlink()
    elif damage == "bad entry":
        about.write_text("{")
    else:
        images.write_bytes(bytes(images.stat().st_size))
    assert store.open_entry(folder.name) is None
    assert load_task(task, folder=tmp_path).sha256 == first
    assert store.open_entry(folder.name) is not None


def test_a_flipped_bit_is_found_when_asked(task, tmp_path, cache_home):
    load_task(task, folder=tmp_path)
    assert status_of(task, folder=tmp_path, verify=True).problem == ""
    path = entry_of(task, tmp_path, cache_home) / "train.images.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert not status_of(task, folder=tmp_path).prepared, "a small copy is looked at whole"


def test_refused_data_leave_nothing(tiny, make_task, tmp_path, cache_home):
    arrays = tiny()
    arrays["test_labels"][-1] = 9
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match="test_labels: unknown class '9'; 1 of 6 labels"):
        load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path)
    assert [p for p in (cache_home / "store").iterdir() if p.is_dir()] == []


@pytest.mark.parametrize(("number", "message"), [(28, "free some space"), (30, "MEDSSL_HOME")])
def test_a_disk_that_fails_is_one_message(task, tmp_path, cache_home, monkeypatch, number, message):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store._ArrayFile, "append", fail)
    with pytest.raises(RunError, match=message):
        load_task(task, folder=tmp_path)
    assert [p for p in (cache_home / "store").iterdir() if p.is_dir()] == []
    monkeypatch.undo()
    monkeypatch.setenv("MEDSSL_HOME", str(cache_home))
    assert len(load_task(task, folder=tmp_path).train) == 12


def test_only_what_is_read_decides_the_entry(task, make_task, tmp_path):
    def key(task):
        return store.key_of(task, read_source(task), read_source(task).identity(task, tmp_path).digest)

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "u.npz").write_bytes((tmp_path / "t.npz").read_bytes())
    assert key(make_task(name="other", reader="npz", file="sub/u.npz")) == key(task)
    assert key(make_task(classes=("a", "b", "d"), reader="npz", file="t.npz")) != key(task)
    assert key(make_task(reader="npz", file="t.npz", window=[0.0, 9.0])) != key(task)


def test_phantoms_are_prepared_too():
    from bench.data.task import shipped_tasks

    card = next(t for n, t in shipped_tasks().items() if t.synthetic and n.endswith("-mini") and t.kind == "global")
    few = {key: v for key, v in card.source.items() if key != "sha256"} | {"train": 6, "val": 4, "test": 4, "shift": 0}
    task = card.model_copy(update={"source": few})
    data = load_task(task)
    assert isinstance(data.train.images, np.memmap)
    assert [len(s) for s in data.splits.values()] == [6, 4, 4]
    assert load_task(task).sha256 == data.sha256
