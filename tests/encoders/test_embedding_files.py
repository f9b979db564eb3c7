"""A parquet file of a few kilobytes that unpacks to gigabytes is refused before it is unpacked."""

from __future__ import annotations

import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.encoders import embedding_files
from bench.encoders.embedding_files import check_names, read_embeddings, write_embeddings
from bench.encoders.features import Features
from bench.errors import EncoderError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
LIMIT = 1 << 20


def file_of(path: Path, ids, pooled: np.ndarray) -> Path:
    """A file of embeddings; pooled: float32 (n, d)."""
    offsets = np.arange(0, pooled.size + 1, pooled.shape[1], dtype=np.int64)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(pooled.reshape(-1)))
    pq.write_table(pa.table({"split": ["train"] * len(pooled), "id": ids, "pooled": lists}), path)
    return path


@pytest.fixture
def bombs(tmp_path: Path) -> dict[str, Path]:
    """By what expands: equal values in one run, one long id in every row."""
    same = pa.DictionaryArray.from_arrays(pa.array([0] * 1000), ["x" * 2000])
    return {
        "equal values": file_of(tmp_path / "a.parquet", ["a", "b"], np.zeros((2, LIMIT), np.float32)),
        "one long id": file_of(tmp_path / "b.parquet", same, np.zeros((1000, 2), np.float32)),
    }


@pytest.mark.parametrize("kind", ["equal values", "one long id"])
def test_bombs_are_refused_before_they_are_unpacked(bombs, kind, monkeypatch):
    path = bombs[kind]
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(embedding_files, "MAX_BYTES", LIMIT)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(EncoderError, match="unpacks to more than"):
        read_embeddings(path)
    assert tracemalloc.get_traced_memory()[1] < LIMIT
    tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < LIMIT


def test_what_was_written_is_read(tmp_path):
    pooled = np.arange(6, dtype=np.float32).reshape(3, 2)
    splits = {s: ([f"{s}/é{i}" for i in range(3)], Features(pooled + k, None)) for k, s in enumerate(("train", "test"))}
    write_embeddings(tmp_path / "e.parquet", splits)
    for split, (ids, features) in read_embeddings(tmp_path / "e.parquet").items():
        assert ids.tolist() == splits[split][0]
        assert np.array_equal(features.pooled, splits[split][1].pooled)


SPLIT = {"test/ids": np.array(["a", "b"]), "test/pooled": np.eye(2, dtype=np.float32)}


def zipped(path: Path, arrays: list[tuple[str, np.ndarray]]) -> Path:
    """An npz of members under these names, which may repeat."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile tells of a name that repeats
        for name, array in arrays:
            with archive.open(name, "w") as member:
                np.lib.format.write_array(member, array)
    return path


@pytest.mark.parametrize("again", ["test/pooled.npy", "test/pooled"])
def test_an_array_that_is_there_twice_is_refused(tmp_path, again):
    """The second stood in the place of the first without a word."""
    arrays = [(f"{name}.npy", array) for name, array in SPLIT.items()]
    assert read_embeddings(zipped(tmp_path / "a.npz", arrays))["test"][1].vectors.shape == (2, 2)
    for read in (read_embeddings, check_names):
        with pytest.raises(EncoderError, match="holds the array 'test/pooled' twice"):
            read(zipped(tmp_path / "b.npz", [*arrays, (again, SPLIT["test/pooled"][::-1])]))


@pytest.mark.parametrize(
    ("pooled", "message"),
    [(np.zeros((2, 0), np.float32), "has no features"), (np.full((2, 2), 1e300), "values beyond those of float32")],
)
def test_features_that_are_none_are_refused(tmp_path, pooled, message):
    arrays = [("test/ids.npy", SPLIT["test/ids"]), ("test/pooled.npy", pooled)]
    with pytest.raises(EncoderError, match=message):
        read_embeddings(zipped(tmp_path / "a.npz", arrays))


def test_a_small_file_unpacks_to_no_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_files, "SURE", LIMIT)
    arrays = [("test/ids.npy", SPLIT["test/ids"]), ("test/pooled.npy", np.zeros((2, LIMIT), np.float32))]
    with pytest.raises(EncoderError, match="over the limit"):
        read_embeddings(zipped(tmp_path / "a.npz", arrays))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("id", [1, 2], "id is int64, expected text"),
        ("split", [1, 2], "split is int64, expected text"),
        ("pooled", [1.0, 2.0], "pooled is double, expected lists of floats"),
        ("pooled", [[1, 2], [3, 4]], "pooled is list.*int64.*, expected lists of floats"),
        ("pooled", [["1,5"], ["2,5"]], "pooled is list.*string.*, expected lists of floats"),
    ],
)
def test_columns_of_another_type_are_refused(tmp_path, column, values, message):
    table = {"split": ["test", "test"], "id": ["a", "b"], "pooled": [[1.0, 0.0], [0.0, 1.0]]}
    pq.write_table(pa.table(table | {column: values}), tmp_path / "a.parquet")
    with pytest.raises(EncoderError, match=message):
        read_embeddings(tmp_path / "a.parquet")


def test_a_flipped_bit_of_a_parquet_file_is_found(tmp_path):
    features = Features(np.random.default_rng(0).random((40, 8), np.float32), None)
    path = tmp_path / "a.parquet"
    write_embeddings(path, {"test": ([f"i{n}" for n in range(40)], features)})
    good, told = path.read_bytes(), 0
    pages = len(good) - 8 - int.from_bytes(good[-8:-4], "little")  # behind them pyarrow may end the process itself
    for at in range(4, pages, 13):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            ids, found = read_embeddings(path)["test"]
            assert np.array_equal(found.vectors, features.vectors)
            assert list(ids) == [f"i{n}" for n in range(40)]
        except EncoderError:
            told += 1
    assert told > pages / 13 / 2
