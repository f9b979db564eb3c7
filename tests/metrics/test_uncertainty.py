from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrics.ranking import auroc
from bench.metrics.resample import resample_counts
from bench.metrics.uncertainty import (
    Difference,
    holm,
    interquartile_mean,
    nest_seeds,
    paired_difference,
    seed_draws,
)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(p):
    """A hypothesis falls when every intersection that holds it falls: the definition, over all subsets."""
    subsets = [s for size in range(1, len(p) + 1) for s in combinations(range(len(p)), size)]
    expected = [max(min(1, len(s) * min(p[j] for j in s)) for s in subsets if i in s) for i in range(len(p))]
    np.testing.assert_allclose(holm(np.array(p)), expected, atol=1e-12)


def delong(positive, first, second):
    """Two correlated AUROCs and the variance of their difference (DeLong et al. 1988), from every pair of cases."""
    placements = []
    for x in (first, second):
        wins = (x[positive][:, None] > x[~positive]) + 0.5 * (x[positive][:, None] == x[~positive])
        placements.append((wins.mean(1), wins.mean(0)))
    (v1, w1), (v2, w2) = placements
    variance = np.var(v1 - v2, ddof=1) / len(v1) + np.var(w1 - w2, ddof=1) / len(w1)
    return v1.mean(), v2.mean(), variance


def test_bootstrap_agrees_with_delong():
    rng = np.random.default_rng(3)
    positive = np.arange(300) < 120
    shared = rng.normal(size=300) + positive
    scores = np.stack([shared + rng.normal(size=300), shared + 1.5 * rng.normal(size=300)], axis=1)
    draws = auroc(np.stack([positive, positive], 1), scores, resample_counts("x", "y", np.arange(300).astype(str)))
    first, second, variance = delong(positive, *scores.T)
    assert draws.mean(0) == pytest.approx((first, second), abs=0.005)
    assert np.std(draws[:, 0] - draws[:, 1]) == pytest.approx(np.sqrt(variance), rel=0.08)


def test_paired_difference_sees_what_the_pairing_shows():
    noise = np.random.default_rng(0).normal(0, 1, 2000)
    assert paired_difference(0.5, 0.4, 0.5 + noise, 0.4 + noise).clear
    assert not paired_difference(0.5, 0.4, 0.5 + noise, 0.4 - noise).clear
    assert not paired_difference(0.5, 0.4, np.full(9, np.nan), np.zeros(9)).clear


def test_nested_seeds_have_the_variance_of_both_levels():
    rng = np.random.default_rng(0)
    seeds, b = 5, 20000
    effects = np.array([-0.3, -0.1, 0.0, 0.15, 0.25])
    cases = rng.normal(0, 0.05, b)
    nested = nest_seeds(effects[:, None] + cases, seed_draws("t", seeds, b))
    expected = 0.05**2 + np.var(effects, ddof=1) / seeds
    assert np.var(nested) == pytest.approx(expected, rel=0.05)
    assert nested.mean() == pytest.approx(effects.mean(), abs=0.005)


def test_a_single_seed_passes_through_and_draws_are_shared():
    x = np.arange(4.0)[None]
    np.testing.assert_array_equal(nest_seeds(x, seed_draws("t", 1, 4)), x[0])
    np.testing.assert_array_equal(seed_draws("t", 5, 9), seed_draws("t", 5, 9))


def test_drawn_seeds_are_pinned():
    """Another draw would change every published interval of several seeds."""
    assert seed_draws("t", 5, 4).tolist() == [[3, 2, 2, 2, 0], [0, 2, 0, 3, 3], [3, 1, 4, 4, 2], [4, 1, 2, 1, 2]]
    assert not np.array_equal(seed_draws("u", 5, 4), seed_draws("t", 5, 4))
    assert np.unique(seed_draws("t", 3, 50)).tolist() == [0, 1, 2]


def test_nested_seeds_by_hand():
    # Two seeds at 1 and 3: drawing the first twice gives 1, a deviation of -1 from the mean 2, scaled by sqrt(2 / 1).
    by_seed, draws = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]]), np.array([[0, 0], [0, 1], [1, 1]])
    np.testing.assert_allclose(nest_seeds(by_seed, draws), [2 - np.sqrt(2), 2, 2 + np.sqrt(2)])


def test_a_difference_by_hand():
    found = paired_difference(0.7, 0.4, np.arange(1001) / 1000 + 0.1, np.zeros(1001))
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.125, 1.075))
    for low, high, clear in [(0.0, 1.0, False), (-1.0, 0.0, False), (-2.0, -1.0, True), (None, None, False)]:
        assert Difference(0.1, low, high).clear is clear


def test_interquartile_mean_ignores_the_ends():
    assert interquartile_mean(np.array([-100, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 100])) == pytest.approx(0.65)
    assert interquartile_mean(np.arange(400.0) ** 2) == pytest.approx(np.mean(np.arange(100.0, 300.0) ** 2))
