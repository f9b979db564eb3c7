"""Bytes of a prepared copy that change without a change of size are found, said, and made anew."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from bench.data import intact
from bench.data.load import load_task


@pytest.fixture
def opened(tiny, make_task, tmp_path: Path):
    """(how to open the task, the folder of its prepared copy)."""
    np.savez(tmp_path / "t.npz", **tiny())
    task = make_task(reader="npz", file="t.npz")
    data = load_task(task, folder=tmp_path)
    return lambda: load_task(task, folder=tmp_path), Path(data.train.images.filename).parent


def flip(path: Path, *, keep_time: bool) -> None:
    """Change the last byte; with `keep_time` as a disk does, of which no clock tells."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("keep_time", [False, True])
@pytest.mark.parametrize("name", ["test.labels.npy", "train.images.npy", "val.ids.npy"])
def test_a_flipped_byte_is_found_and_mended(opened, name: str, keep_time: bool) -> None:
    load, folder = opened
    whole = load().sha256
    flip(folder / name, keep_time=keep_time)
    with pytest.warns(UserWarning, match="the prepared copy is damaged .* made anew"):
        again = load()
    assert again.sha256 == whole
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load()


def test_a_header_that_breaks_off_is_made_anew(opened) -> None:
    """One bit can open a bracket that nothing closes, of which numpy raises a TokenError."""
    load, folder = opened
    whole, path = load().sha256, folder / "test.labels.npy"
    path.write_bytes(path.read_bytes().replace(b")", b"(", 1))
    assert load().sha256 == whole


def test_the_first_opening_reads_all_and_later_ones_blocks_by_lot(opened, monkeypatch) -> None:
    load, folder = opened
    monkeypatch.setattr(intact, "BLOCK", 64)
    (folder / intact.CHECKED).unlink()
    load()
    read, real = {}, intact._hashes

    def hashes(path: Path, blocks):
        read[path.name] = len(blocks)
        return real(path, blocks)

    monkeypatch.setattr(intact, "_hashes", hashes)
    load()
    assert read["train.images.npy"] == intact.SAMPLED
    flip(folder / "train.images.npy", keep_time=True)
    monkeypatch.setattr(intact, "_drawn", lambda count: [count - 1])  # the lot falls on the last block
    with pytest.warns(UserWarning, match=r"train\.images\.npy is not what was written"):
        load()


def test_a_store_that_cannot_be_written_to_is_looked_at_whole(opened, monkeypatch) -> None:
    load, folder = opened
    (folder / intact.CHECKED).unlink()
    monkeypatch.setattr(intact, "write_atomic", _full)
    load()
    assert not (folder / intact.CHECKED).exists()
    flip(folder / "test.labels.npy", keep_time=True)
    with pytest.warns(UserWarning, match="its hash is another"):
        load()


def _full(*_: object) -> None:
    raise intact.RunError("read-only")
