import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from bench.leaderboard.board import _dot
from bench.leaderboard.standing import random_weightings, rank_range, ranks_of, tiers, win_rate


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_ranks_equal_scipy(scores):
    x = np.array(scores, float)
    np.testing.assert_array_equal(ranks_of(x), rankdata(-x, method="min"))
    np.testing.assert_array_equal(ranks_of(np.stack([x, -x], 1)), rankdata(-np.stack([x, -x], 1), "min", axis=0))


def test_rank_range_of_separated_and_of_tied_encoders():
    rng = np.random.default_rng(0)
    draws = np.array([0.9, 0.5, 0.5, 0.1])[:, None] + 0.01 * rng.normal(size=(4, 2000))
    low, high = rank_range(draws)
    assert low.tolist() == [1, 2, 2, 4]
    assert high.tolist() == [1, 3, 3, 4]


def test_a_tier_ends_where_the_difference_to_its_head_is_clear():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 2000)
    points = np.array([0.80, 0.79, 0.50, 0.795])
    paired = points[:, None] + noise + rng.normal(0, 0.01, (4, 2000))
    assert tiers(points, paired).tolist() == [1, 1, 2, 1]
    # Unpaired noise of the same width ties everyone but the last.
    assert tiers(points, points[:, None] + rng.normal(0, 0.1, (4, 2000))).tolist() == [1, 1, 2, 1]
    assert tiers(points, points[:, None] + rng.normal(0, 0.3, (4, 2000))).tolist() == [1, 1, 1, 1]
    # Paired and nearly free of own noise: a hundredth is enough.
    assert tiers(points, points[:, None] + noise).tolist() == [1, 3, 4, 2]


def test_unknown_replicates_separate_nobody():
    assert tiers(np.array([0.9, 0.1]), np.full((2, 10), np.nan)).tolist() == [1, 1]


def test_win_rate_by_hand():
    points = np.array([[0.9, 0.5], [0.5, 0.5], [0.1, 0.9]])
    # Encoder 0 wins 2 + (1 tie, 1 loss); 1: one win, one loss + one tie, one loss; 2: none + both.
    assert win_rate(points) == pytest.approx([2.5 / 4, 1.5 / 4, 2 / 4])
    assert win_rate(points[:2]) == pytest.approx([1.5 / 2, 0.5 / 2])
    assert np.isnan(win_rate(points[:1])).all()


def test_equal_encoders_keep_their_order_and_the_first_heads_the_tier():
    # Both at 0.5. Against the first, which varies, 0.2 is a tie; against the second, which does not, it would be none.
    draws = np.stack([np.tile([0.1, 0.9], 50), np.full(100, 0.5), np.full(100, 0.2)])
    assert tiers(np.array([0.5, 0.5, 0.2]), draws).tolist() == [1, 1, 1]


def test_weightings_are_the_same_each_time_and_lie_on_the_simplex():
    first = random_weightings(5)
    np.testing.assert_array_equal(first, random_weightings(5))
    np.testing.assert_allclose(first.sum(1), 1)
    assert first.shape == (1000, 5)
    # Pinned: another draw would change every published weighting.
    np.testing.assert_allclose(random_weightings(2)[0], PINNED, atol=1e-12)
    # A weight of a uniform point on the simplex of 5 has mean 1/5 and variance 4 / (25 x 6).
    np.testing.assert_allclose(first.var(0), 4 / 150, rtol=0.15)


PINNED = [0.39412514981207625, 0.6058748501879236]


@pytest.mark.parametrize(("times", "inside"), [(25, True), (24, False)])
def test_a_rank_range_reaches_what_a_fortieth_of_the_resamples_show(times, inside):
    # Of 1,000 resamples the outermost 24 on each side are left out, the 25th is in.
    draws = np.tile(np.array([[0.9], [0.5], [0.1]]), 1000)
    draws[:2, :times] = draws[1::-1, :times]
    draws[1:, -times:] = draws[:0:-1, -times:]
    low, high = rank_range(draws)
    assert low.tolist() == [1, 1 if inside else 2, 2 if inside else 3]
    assert high.tolist() == [2 if inside else 1, 3 if inside else 2, 3]


def test_a_rank_range_leaves_out_a_fortieth_on_each_side():
    # 1,000 resamples: the first encoder is second in 20 of them (2 %), the third is second in 50 (5 %).
    draws = np.tile(np.array([[0.9], [0.5], [0.1]]), 1000)
    draws[:2, :20] = draws[1::-1, :20]
    draws[1:, -50:] = draws[:0:-1, -50:]
    low, high = rank_range(draws)
    assert low.tolist() == [1, 2, 2]
    assert high.tolist() == [1, 3, 3]


def test_a_weighted_sum_leaves_out_tasks_of_no_weight_in_any_draw():
    values, nan = np.array([1.0, 10.0, 100.0]), float("nan")
    weights = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    assert _dot(weights, np.array([1.0, 10.0, nan])).tolist() == [1.0, 20.0]
    assert _dot(weights[:, 0], np.array([1.0, nan, nan])) == 1.0
    assert _dot(weights, values).tolist() == [1.0, 20.0]
