"""When results were made, and which value is the most common."""

import os
from pathlib import Path
from types import SimpleNamespace as Has

import pytest

from bench.leaderboard.against import age, minority_labels, most_common
from bench.metrics.interval import Interval
from bench.submissions.consistent import impossible


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
        ("mask", 0.0, None),
        ("number", -1e6, None),
        ("binary", -0.1, "auroc is -0.1, which no predictions have"),
        ("number", 1e6, "r2 is 1e+06, which no predictions have"),
    ],
)
def test_a_score_that_no_predictions_have_is_a_reason(target: str, value: float, told: str | None) -> None:
    """Over chance it would be beyond the range of a score, and end the boards of everybody."""
    metric = {"binary": "auroc", "mask": "dice", "number": "r2"}[target]
    primary = Interval(value=value)
    record = Has(unit=Has(task="t", protocol="p"), status="done", metric=metric, primary=primary)
    record.metrics = {"test": {metric: primary}}
    assert impossible(record, Has(target=target, metric=metric)) == told


@pytest.mark.parametrize(
    ("name", "stated", "told"),
    [
        ("brier", (2.0, 2.0, 2.0), None),
        ("brier", (2.1, 2.1, 2.1), "brier is 2.1, which no predictions have"),
        ("mcc", (-1.0, -1.0, -1.0), None),
        ("accuracy", (0.5, -0.1, 0.6), "accuracy is -0.1, which no predictions have"),
        ("auroc[contrast=low]", (0.5, 0.4, 1.2), "auroc[contrast=low] is 1.2, which no predictions have"),
        ("auroc[site gap]", (0.1, -0.2, 1.1), None),
        ("auroc[site gap]", (-0.1, -0.2, 1.1), "auroc[site gap] is -0.1, which no predictions have"),
        ("dice", (0.5, 0.4, 0.6), "holds 'dice', which is no metric of the target 'binary'"),
        ("of a package of its own", (7.0, None, None), None),
    ],
)
def test_values_beyond_those_of_a_metric(name: str, stated: tuple, told: str | None) -> None:
    value, low, high = stated
    primary = Interval(value=0.5)
    metrics = {"test": {"auroc": primary, name: Interval(value=value, low=low, high=high)}}
    record = Has(unit=Has(task="t"), status="done", metric="auroc", primary=primary, metrics=metrics)
    assert impossible(record, Has(target="binary", metric="auroc")) == told


@pytest.mark.parametrize("verified", [set(), {"c"}])
def test_another_number_of_labels_than_at_the_same_budget(verified: set[str]) -> None:
    def record(n: int) -> Has:
        return Has(unit=Has(task="t", budget="10%", seed=0), data_sha256="d", status="done", n_labels=n)

    results = {name: Has(records=[record(n)]) for name, n in {"a": 40, "b": 40, "c": 4}.items()}
    why = minority_labels(results, verified)
    told = {name: bool(why(result, result.records[0])) for name, result in results.items()}
    assert told == {"a": bool(verified), "b": bool(verified), "c": not verified}
