from types import SimpleNamespace

import numpy as np
import pytest

from bench.errors import UserError
from bench.leaderboard.compare import _p, compare


def record(task, seed, value, budget="100%", protocol="linear-v1"):
    unit = SimpleNamespace(task=task, protocol=protocol, budget=budget, seed=seed)
    return SimpleNamespace(status="done", unit=unit, primary=SimpleNamespace(value=value))


def collected(records):
    """A collection of one suite: encoder name -> its records."""
    return SimpleNamespace(
        suite="s", at_hand=None, tasks={n: SimpleNamespace(metric="auroc") for n in "xyz"},
        results={name: SimpleNamespace(name=name, records=found) for name, found in records.items()},
    )  # fmt: skip


def key(results, record):
    unit = record.unit
    return results.name, unit.task, unit.protocol, unit.budget, unit.seed


def test_rows_by_hand(monkeypatch):
    """Two encoders on two tasks: means over the seeds both have, paired differences, Holm over the rows."""
    own = np.random.default_rng(0).normal(0, 0.01, (2, 500))
    records = {
        "a": [record("x", 1, 0.7), record("x", 0, 0.9), record("y", 0, 0.6), record("x", 0, 0.1, budget="10%")],
        "b": [record("x", 0, 0.5), record("x", 1, 0.5), record("x", 2, 0.9), record("y", 0, 0.6), record("z", 0, 1.0)],
    }
    collection = collected(records)

    def draws(results, at_hand, wanted):
        assert wanted in ({("linear", "100%")}, {("linear", "10%")})
        mine = own["ab".index(results.name)]
        left = frozenset({("b", "y", "linear-v1", "100%", 0), ("b", "x", "linear-v1", "100%", 2)})
        return {
            key(results, r): r.primary.value + mine for r in results.records
        }, left if results.name == "b" else frozenset()

    monkeypatch.setattr("bench.leaderboard.compare.all_replicates", draws)
    x, y = compare(collection, "a", "b")
    assert (x.paired, y.paired) == (True, False)  # of x, seed 2 is not compared
    assert (x.task, x.protocol, x.metric, x.seeds, y.task, y.seeds) == ("x", "linear-v1", "auroc", 2, "y", 1)
    assert (x.first, x.second, x.difference) == pytest.approx((0.8, 0.5, 0.3))
    assert (y.first, y.second, y.difference) == pytest.approx((0.6, 0.6, 0.0))
    ends = np.quantile(own[0] - own[1], [0.025, 0.975])
    assert (y.low, y.high) == pytest.approx(tuple(ends))
    # Seeds 0 and 1 of a differ by 0.2: drawn again, the mean moves by 0.1 x sqrt(2) either way.
    assert x.high - x.low > 0.25
    assert (x.p_holm, y.p_holm) == pytest.approx((min(1, 2 * x.p), max(min(1, 2 * x.p), y.p)))
    assert [row.task for row in compare(collection, "b", "a")] == ["x", "y"]
    assert compare(collection, "a", "b", budget="10%") == []
    with pytest.raises(UserError, match="unknown encoder with results"):
        compare(collection, "a", "nobody")


def test_a_seed_is_compared_with_the_same_seed(monkeypatch):
    """Seeds 0, 2 against 1, 2: only the label subset of seed 2 was given to both; x has none in common."""
    records = {
        "a": [record("y", 0, 0.9), record("y", 2, 0.6), record("x", 0, 0.9)],
        "b": [record("y", 1, 0.1), record("y", 2, 0.5), record("x", 1, 0.1)],
    }
    noise = np.random.default_rng(0).normal(0, 0.01, 500)
    monkeypatch.setattr(
        "bench.leaderboard.compare.all_replicates",
        lambda results, *_: ({key(results, r): r.primary.value + noise for r in results.records}, frozenset()),
    )
    (row,) = compare(collected(records), "a", "b")
    assert (row.task, row.seeds) == ("y", 1)
    assert (row.first, row.second, row.difference, row.low, row.high) == pytest.approx((0.6, 0.5, 0.1, 0.1, 0.1))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_p_value_is_two_sided_by_hand(sign):
    # 3 of 99 resamples lie on the other side of 0: 2 x (3 + 1) / (99 + 1).
    differences = sign * np.array([0.1] * 96 + [-0.1] * 3)
    assert _p(differences) == pytest.approx(0.08)
    assert _p(np.append(differences, np.nan)) == pytest.approx(0.08)
    assert _p(sign * np.full(99, 0.1)) == pytest.approx(0.02)
    assert _p(np.zeros(99)) == 1.0
