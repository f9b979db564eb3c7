"""One record of each form that was ever released is read, and means what it meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.runs.records import Record

FORMS = sorted((Path(__file__).parent / "released").glob("*.jsonl"))
FIRST, IDENTITY = "first", "identity"


@pytest.mark.parametrize("path", FORMS, ids=lambda p: p.stem)
def test_a_released_record_is_read_and_written_as_it_is_written_now(path):
    for line in path.read_text().splitlines():
        record = Record.from_json(line, where=path)
        assert record.schema_ == 1
        assert Record.from_json(record.to_json()) == record


def test_the_first_form_was_scored_by_the_first_metrics_and_has_no_identity():
    (record, *_) = map(Record.from_json, (FORMS[0].parent / f"{FIRST}.jsonl").read_text().splitlines())
    assert (record.scoring, record.identity, record.status) == (1, None, "done")
    assert record.primary is not None
    assert record.primary.low <= record.primary.value <= record.primary.high


def test_the_present_form_says_what_was_measured():
    (record, *_) = map(Record.from_json, (FORMS[0].parent / f"{IDENTITY}.jsonl").read_text().splitlines())
    assert record.scoring == 2
    assert record.identity is not None
    assert record.identity.encoder.weights == record.weights_sha256[:16] or record.weights_sha256 is not None
