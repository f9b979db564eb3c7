"""Where the time went: shares that add up to the wall time, shared features counted once."""

from __future__ import annotations

import pytest

from bench.runs.records import Cost, Record, Unit
from bench.runs.timing import timing
from tests.runs.test_journal import make


def timed(task: str, seed: int, **seconds: float) -> Record:
    record, _ = make(task, seed)
    unit = Unit(task=task, protocol="knn-v1", budget="100%", seed=seed)
    return record.model_copy(update={"unit": unit, "cost": Cost(seconds=seconds)})


def test_shared_features_count_once() -> None:
    records = [
        timed("a", 0, extract=2.0, solve=1.0, score=0.5),
        timed("a", 1, extract=3.0, solve=1.0, score=0.5),
        timed("b", 0, extract=1.0, solve=2.0),
    ]
    spent = timing(records, 10.0)
    assert (spent.units, spent.forward, spent.solve, spent.statistics) == (3, 4.0, 4.0, 1.0)
    assert spent.rest == pytest.approx(1.0)
    parts = "forward 4.0 s (40%), solve 4.0 s (40%), statistics 1.0 s (10%), I/O and the rest 1.0 s (10%)"
    assert str(spent) == f"3 units in 10.0 s: {parts}"


def test_with_workers_the_rest_is_what_none_of_them_used() -> None:
    spent = timing([timed("a", 0, solve=6.0), timed("b", 0, solve=5.0)], 8.0, workers=2)
    assert spent.rest == pytest.approx(5.0)
    assert "by 2 workers" in str(spent)


def test_a_finished_run_says_so() -> None:
    assert str(timing([], 0.2)) == "nothing was left to do"
