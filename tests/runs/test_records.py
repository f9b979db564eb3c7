"""A record survives writing and reading unchanged, and refuses what it does not know."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import CardError, SubmissionError
from bench.metrics import SCORING
from bench.metrics.interval import Interval
from bench.runs.records import Cost, Provenance, Record, Unit

BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters that print as nothing; a mark (category M) may stand on no letter, and is none alone."""
finite = st.floats(-1e6, 1e6)
positive = st.floats(0, 1e8)
seen = st.characters(exclude_categories=["C", "Z", "M"], include_characters=" ", exclude_characters=BLANK)
line = st.text(seen, min_size=1, max_size=60).filter(str.strip)
date = st.datetimes(datetime(2021, 1, 1), datetime(2026, 1, 1)).map(lambda at: f"{at.isoformat()}+00:00")
name = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
digest = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
provenances = st.builds(
    Provenance,
    command=st.text(max_size=80),
    created=date,
    medssl=line,
    python=line,
    packages=st.dictionaries(name, line, max_size=3),
    platform=line,
    device=line,
    precision=line,
    threads=st.integers(1, 64),
    suite=line,
    suite_fingerprint=digest,
    checksum_override=st.booleans(),
)
units = st.builds(
    Unit, task=name, protocol=name, budget=st.sampled_from(["1%", "100%", "k=4", "n=16"]), seed=st.integers(0, 10)
)
ends = st.just((None, None)) | st.tuples(finite, finite).map(sorted).map(tuple)
intervals = st.builds(lambda value, both: Interval(value=value, low=both[0], high=both[1]), finite, ends)
records = st.builds(
    Record,
    status=st.sampled_from(["done", "refused", "failed"]),
    reason=st.text(max_size=40),
    encoder=name,
    encoder_version=line,
    card_sha256=digest,
    weights_sha256=st.none() | digest,
    unit=units,
    data_sha256=digest,
    protocol_sha256=digest,
    scoring=st.sampled_from([1, SCORING]),
    n_labels=st.integers(0, 10**6),
    metric=line,
    metrics=st.dictionaries(name, st.dictionaries(name, intervals, max_size=3), max_size=2),
    chosen=st.dictionaries(name, finite | st.integers(-5, 5) | line, max_size=2),
    warnings=st.lists(st.text(max_size=20), max_size=2),
    predictions=st.none() | line,
    predictions_sha256=st.none() | digest,
    made_by=provenances,
    cost=st.builds(Cost, seconds=st.dictionaries(name, positive, max_size=2), peak_memory_mb=st.none() | positive),
)


@given(records)
def test_round_trip_is_exact(record: Record) -> None:
    text = record.to_json()
    again = Record.from_json(text)
    assert again == record
    assert again.to_json() == text


@given(records)
def test_times_are_the_only_difference_between_equal_runs(record: Record) -> None:
    later = record.model_copy(
        update={
            "cost": record.cost.model_copy(update={"seconds": {"solve": 1.5}, "peak_memory_mb": 7.0}),
            "made_by": record.made_by.model_copy(update={"created": "2030-01-01T00:00:00+00:00"}),
        }
    )
    assert later.without_times() == record.without_times()


@given(records, st.data())
def test_an_unknown_key_is_refused_by_name(record: Record, data: st.DataObject) -> None:
    values = json.loads(record.to_json()) | {"surprise": 1, "seal": None}
    with pytest.raises(CardError, match="surprise"):
        Record.from_json(json.dumps(values))


@given(records, st.data())
def test_a_value_that_was_changed_after_it_was_written_breaks_the_seal(record: Record, data: st.DataObject) -> None:
    text = record.to_json()
    digits = [at for at, character in enumerate(text) if character.isdigit()]
    at = data.draw(st.sampled_from(digits))
    changed = text[:at] + str((int(text[at]) + data.draw(st.integers(1, 9))) % 10) + text[at + 1 :]
    try:
        same = json.loads(changed) == json.loads(text)  # beyond the digits a number has room for
    except ValueError:
        same = False
    if same:
        assert Record.from_json(changed) == record
    else:
        with pytest.raises((SubmissionError, CardError)):
            Record.from_json(changed)


@pytest.mark.parametrize("value", ["1e999", '"\\ud800"', "[" * 90 + "]" * 90])
def test_what_cannot_be_sealed_is_refused(value: str) -> None:
    with pytest.raises(SubmissionError, match="changed after it was written"):
        Record.from_json(f'{{"reason": {value}, "seal": "{"0" * 16}"}}')


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    text = '{"metrics": {"test": {"auroc": {"value": %s}}}}' % number  # noqa: UP031
    with pytest.raises((SubmissionError, CardError)):
        Record.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "3", '"x"', "x" * 300_000])
def test_malformed_text_is_refused_with_one_message(text: str) -> None:
    with pytest.raises((SubmissionError, CardError)):
        Record.from_json(text)


def test_unit_keys_are_unique_file_names() -> None:
    keys = {
        Unit(task=t, protocol=p, budget=b, seed=s).key
        for t in ("a", "b")
        for p in ("knn-v1", "linear-v1")
        for b in ("1%", "100%", "k=1", "n=1")
        for s in (0, 1)
    }
    assert len(keys) == 32
    assert not any(set(key) & set("/\\%= ") for key in keys)


@given(records)
def test_a_record_states_the_version_that_scored_it_and_an_unknown_one_is_refused(record: Record) -> None:
    values = json.loads(record.to_json())
    del values["scoring"], values["seal"]
    assert Record.parse(values, where="r").scoring == 1
    values["scoring"] = SCORING + 1
    with pytest.raises(CardError, match=r"scoring version \d+ is not known here .* newer medssl is needed"):
        Record.parse(values, where="r")
