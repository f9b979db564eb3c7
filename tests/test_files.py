"""Hashes, atomic writes and npz without pickle."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench import files
from bench.errors import RunError, UserError
from bench.files import canonical_json, npz_bytes, read_npz, sha256_arrays, write_atomic
from bench.submissions.intake import inspect_npz

arrays = hnp.arrays(
    st.sampled_from([np.uint8, np.int64, np.float32, np.float64]), hnp.array_shapes(min_dims=0, max_dims=3, max_side=5)
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), arrays, max_size=3))
def test_npz_bytes_round_trip_and_depend_only_on_content(tmp_path_factory, values: dict[str, np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    data = npz_bytes(values)
    assert data == npz_bytes(dict(reversed(values.items())))
    path.write_bytes(data)
    again = read_npz(path)
    assert set(again) == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(again[name], value)
    assert sha256_arrays(again) == sha256_arrays(values)


@given(arrays, arrays)
def test_hash_tells_arrays_apart(a: np.ndarray, b: np.ndarray) -> None:
    same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    assert (sha256_arrays({"x": a}) == sha256_arrays({"x": b})) == same


def test_hash_of_a_large_array_does_not_depend_on_blocks() -> None:
    big = np.arange(5_000_000, dtype=np.int64)
    assert sha256_arrays({"x": big}) == sha256_arrays({"x": np.array(big)})
    assert sha256_arrays({"x": big}) != sha256_arrays({"x": big.reshape(1000, -1)})


def test_an_npz_that_would_unpack_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    path.write_bytes(npz_bytes({"x": np.zeros(1_000_000)}))
    assert path.stat().st_size < 20_000
    with pytest.raises(UserError, match="over the limit"):
        read_npz(path, max_bytes=1_000_000)


def forged(path: Path, method: int, *, claim: int | None = None, dictionary: int | None = None, n: int = 1000) -> Path:
    """An npz of one array of n zeros that says it is `claim` bytes long, or that LZMA needs such a dictionary."""
    with zipfile.ZipFile(path, "w", method) as archive, archive.open("x.npy", "w") as member:
        np.lib.format.write_array(member, np.zeros(n, np.uint8))
    raw = bytearray(path.read_bytes())
    if claim is not None:
        struct.pack_into("<I", raw, raw.rindex(b"PK\x01\x02") + 24, claim)
    if dictionary is not None:
        struct.pack_into("<I", raw, 30 + len("x.npy") + 5, dictionary)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("reader", ["bench.files import read_npz", "bench.submissions.intake import inspect_npz"])
@pytest.mark.skipif(sys.platform == "win32", reason="tells no peak of memory")
def test_an_npz_takes_no_more_memory_than_it_says(tmp_path: Path, method: int, reader: str) -> None:
    path = forged(tmp_path / "bomb.npz", method, claim=1128, n=300_000_000)
    assert path.stat().st_size < 400_000
    code = (
        f"import sys, pathlib, resource\nfrom {reader} as read\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\nbefore = peak()\n"
        "try:\n    read(pathlib.Path(sys.argv[1]))\nexcept Exception as error:\n"
        "    print(peak() - before, error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True).stdout
    grown, _, message = told.partition(" ")
    assert int(grown) < 100_000, told  # kB
    assert path.name in message


def test_a_dictionary_of_gigabytes_is_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "bomb.npz", zipfile.ZIP_LZMA, dictionary=2**32 - 1)
    with pytest.raises(UserError, match=r"bomb\.npz: .*limit exceeded"):
        read_npz(path)
    assert read_npz(forged(tmp_path / "fine.npz", zipfile.ZIP_LZMA))["x"].shape == (1000,)


def test_an_npz_with_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pickle.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="not a readable npz"):
        read_npz(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04broken", b"plain text"])
def test_a_broken_npz_is_one_message(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(data)
    with pytest.raises(UserError, match="npz"):
        read_npz(path)
    assert not zipfile.is_zipfile(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    write_atomic(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match=r"No space left on device.*free some space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_canonical_json_refuses_nan() -> None:
    assert canonical_json({"b": 0.1, "a": [1, None]}) == '{"a":[1,null],"b":0.1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


@given(st.data())
def test_a_damaged_npz_is_one_message_or_still_an_npz(tmp_path_factory, data: st.DataObject) -> None:
    whole = bytearray(npz_bytes({"a/test": np.ones((3, 2), np.float32), "b": np.zeros((2, 4), np.uint8)}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.npz"
    path.write_bytes(whole)
    message = ""
    try:
        inspect_npz(path)
        read_npz(path)
    except UserError as error:
        message = str(error)
    assert len(message) < 600


def folder(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(text)
    return path


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, swaps):
    if not swaps:
        monkeypatch.setattr(files, "_swapped", lambda a, b: False)
    fresh, place = folder(tmp_path / "fresh", "new"), folder(tmp_path / "place", "old")
    files.exchange(fresh, place)
    assert [p.name for p in tmp_path.iterdir()] == ["place"]
    assert (place / "file").read_text() == "new"


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    rename = os.rename

    def across_devices(old, new):
        if Path(old).name == "fresh":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(old, new)

    monkeypatch.setattr(files, "_swapped", lambda a, b: False)
    monkeypatch.setattr(os, "rename", across_devices)
    fresh, place = folder(tmp_path / "fresh", "new"), folder(tmp_path / "place", "old")
    with pytest.raises(OSError, match="cross-device"):
        files.exchange(fresh, place)
    assert (place / "file").read_text() == "old"
    monkeypatch.setattr(Path, "is_mount", lambda path: path == place)
    with pytest.raises(OSError, match="a mount point, which cannot be replaced; name a folder inside it"):
        files.exchange(fresh, place)
