"""Subgroups of a split, and the gap between them: found when it is there, and rarely when it is not."""

import numpy as np
import pytest

from bench.data.dataset import Split
from bench.metrics.names import MetricName
from bench.metrics.subgroups import gap, gaps, subgroups


def split(**traits):
    n = len(next(iter(traits.values())))
    ids = np.array([str(i) for i in range(n)])
    return Split(np.zeros((n, 1, 1, 1), np.uint8), np.zeros(n, np.int64), ids, None, traits)


def test_groups_are_named_and_small_or_lone_ones_left_out():
    site = np.array(["A"] * 12 + ["B"] * 10 + ["C"] * 9 + [""] * 20)
    found = subgroups(split(site=site, sex=np.array(["female"] * 51), contrast=np.zeros(51)))
    assert {name: int(keep.sum()) for name, keep in found.items()} == {"site=A": 12, "site=B": 10}


def test_the_largest_groups_are_kept_when_there_are_many():
    sizes = [10 + i for i in range(40)]
    found = subgroups(split(site=np.repeat([f"s{i:02d}" for i in range(40)], sizes)))
    assert len(found) == 30
    assert "site=s39" in found
    assert "site=s09" not in found


def drawn(rng, means, n, replicates=400):
    """Estimates (g, 1 + B) of group means, by a bootstrap of cases."""
    rows = []
    for mean in means:
        cases = rng.normal(mean, 1, n)
        rows.append([cases.mean(), *cases[rng.integers(0, n, (replicates, n))].mean(1)])
    return np.array(rows)


@pytest.mark.parametrize("groups", [2, 5])
def test_a_gap_that_is_not_there_is_found_as_often_as_the_level_says(groups):
    rng, found = np.random.default_rng(groups), 0
    for _ in range(400):
        found += gap(drawn(rng, [0.0] * groups, 60)).low > 0
    assert 6 <= found <= 34, f"{found} of 400 at a level of 5 %"


def test_a_gap_that_is_there_is_found_with_its_size():
    rng = np.random.default_rng(0)
    intervals = [gap(drawn(rng, [0.0, 0.0, 1.0], 60)) for _ in range(40)]
    assert all(i.low > 0 for i in intervals)
    assert sum(i.low <= 1 <= i.high for i in intervals) >= 35


def test_groups_without_a_value_and_traits_of_one_group_have_no_gap():
    nothing, something = np.full(11, np.nan), np.linspace(0, 1, 11)
    sites = {"auroc[site=A]": something, "auroc[site=B]": nothing}
    sexes = {"auroc[sex=a]": something, "auroc[sex=b]": something + 0.5, "brier[sex=a]": something}
    assert gaps("auroc", {MetricName.read(name): values for name, values in sites.items()}) == {}
    found = gaps("auroc", {MetricName.read(name): values for name, values in sexes.items()})
    assert list(found) == ["auroc[sex gap]"]
    assert found["auroc[sex gap]"].value == 0.5
    often_undefined = np.r_[0.5, np.where(np.arange(10) < 3, np.nan, 0.5)]
    assert gap(np.stack([something, often_undefined])).low is None
    assert gap(np.array([[0.5], [0.75]])).low is None, "no resamples, no ends"
