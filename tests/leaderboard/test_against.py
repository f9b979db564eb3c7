"""When results were made, and which value is the most common."""

import os
from pathlib import Path
from types import SimpleNamespace as Has

import pytest

from bench.leaderboard.against import age, most_common, unknown


def test_the_newest_record_and_file_count(tmp_path: Path) -> None:
    for name, nanoseconds in (("records.jsonl", 5_000), ("records.jsonl.bz2", 9_000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(nanoseconds, nanoseconds))
    dates = ("2026-01-02T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z")
    records = [Has(made_by=Has(created=date)) for date in dates]
    assert age(Has(records=records, folder=tmp_path)) == ("2026-03-01T00:00:00Z", 9_000)


def test_nothing_is_older_than_everything(tmp_path: Path) -> None:
    assert age(Has(records=[], folder=tmp_path)) == ("", 0)


def test_the_first_in_order_of_those_as_frequent() -> None:
    assert most_common(["b", "a", "b", "a", "c"]) == "a"


@pytest.mark.parametrize(
    ("target", "value", "told"),
    [
        ("binary", 1.0, None),
        ("mask", -1.0, None),
        ("number", -1e6, None),
        ("binary", -1e6, "auroc is -1e+06, which no predictions have"),
        ("number", 1e6, "auroc is 1e+06, which no predictions have"),
    ],
)
def test_a_score_that_no_predictions_have_is_a_reason(target: str, value: float, told: str | None) -> None:
    """Over chance it would be beyond the range of a score, and end the boards of everybody."""
    why = unknown({"t": Has(target=target)}, {"p": None})
    record = Has(unit=Has(task="t", protocol="p"), metric="auroc", primary=Has(value=value))
    assert why(None, record) == told
