"""A parquet file of a few kilobytes that unpacks to gigabytes is refused before it is unpacked."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bench.encoders import embedding_files
from bench.encoders.embedding_files import read_embeddings, write_embeddings
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
