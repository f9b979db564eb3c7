"""Readers of a stranger's bytes take an input or refuse it with one short, printable message; nothing else."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.encoders.card import EncoderCard
from bench.errors import CardError, SubmissionError
from bench.runs.records import Record
from bench.submissions.intake import inspect_npz
from benchmarks.fuzz.readers import READERS, SEPARATOR, read, seeds
from benchmarks.fuzz.spoilt import inputs


@pytest.mark.parametrize("reader", READERS)
def test_seeds_are_taken(reader: str) -> None:
    assert all(read(reader, seed) for seed in seeds(reader))


@pytest.mark.parametrize("reader", READERS)
def test_spoilt_inputs(reader: str) -> None:
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(reader))
    def law(data: bytes) -> None:
        read(reader, data)

    law()


@given(st.integers(21, 3000))
@settings(max_examples=5, deadline=None)
def test_a_message_does_not_grow_with_the_number_of_problems(n: int) -> None:
    with pytest.raises(CardError) as error:
        EncoderCard.parse({f"key{i}" * 20: i for i in range(n)}, where="card")
    assert len(str(error.value)) < 10_000
    assert "more" in str(error.value)


def test_a_damaged_lzma_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(seeds("npz")[0])
    with zipfile.ZipFile(path) as archive:
        at = archive.infolist()[0].header_offset
    data = bytearray(path.read_bytes())
    data[at + 70 : at + 90] = b"\xff" * 20
    path.write_bytes(bytes(data))
    with pytest.raises(SubmissionError, match=r"npz|header"):
        inspect_npz(path)


HEAD = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,\n"
BROKEN = {"no head": b"no array at all", "head breaks off": b"\x93NUMPY\x01\x00" + bytes([len(HEAD), 0]) + HEAD}


@pytest.mark.parametrize("member", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("reader", ["embeddings", "npz", "bundle"])
def test_a_member_without_the_head_of_an_array_is_refused(reader: str, member: bytes) -> None:
    """numpy hands out bare bytes, or raises tokenize.TokenError; both were found by fuzzing."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("train/ids", "train/pooled"):
            archive.writestr(f"{name}.npy", member)
    data = packed.getvalue()
    if reader == "bundle":
        parts = seeds("bundle")[0].split(SEPARATOR)
        data = SEPARATOR.join([*parts[:2], data, *parts[3:]])
    assert not read(reader, data)


def test_a_record_of_thousands_of_unknown_keys_is_refused_quickly() -> None:
    values = json.loads(seeds("record")[0]) | {"seal": None} | {f"k{i}": 0 for i in range(10_000)}
    with pytest.raises(CardError, match="unknown key"):
        Record.from_json(json.dumps(values))
