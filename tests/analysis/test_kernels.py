import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis import bootstrap, permutation
from bench.analysis.agreement import friedman, kendall_w, tau_rows
from bench.analysis.crossed import crossed_contrast
from bench.analysis.table import strata


def test_contrast_p_equals_full_enumeration():
    rng = np.random.default_rng(0)
    y = rng.normal(size=7)
    first = np.array([1, 1, 1, 0, 0, 0, 0], bool)
    blocks = np.zeros(7, int)
    a = permutation.blocked_weights(first, ~first, blocks)
    sums = [y[list(c)].mean() - np.delete(y, c).mean() for c in itertools.combinations(range(7), 3)]
    exact = np.mean(np.abs(sums) >= abs(a @ y) - 1e-12)
    p = permutation.p_contrast(y, a, blocks, 40_000, rng)
    assert p == pytest.approx(exact, abs=0.012)
    assert a @ y == pytest.approx(y[:3].mean() - y[3:].mean())


def test_blocked_weights_are_the_least_squares_estimate_with_stratum_effects():
    rng = np.random.default_rng(1)
    blocks = np.array(list("aaaabbbbbc"))
    first = np.array([1, 0, 0, 0, 1, 1, 1, 0, 0, 1], bool)
    y = rng.normal(size=10)
    design = np.column_stack([first, *(blocks == b for b in "abc")]).astype(float)
    slope = np.linalg.lstsq(design, y, rcond=None)[0][0]
    assert permutation.blocked_weights(first, ~first, blocks) @ y == pytest.approx(slope)


def test_a_stratum_without_both_groups_counts_nothing():
    first = np.array([1, 1, 0, 0], bool)
    assert not permutation.blocked_weights(first, ~first, np.array(list("aabb"))).any()


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_shuffles_stay_within_strata_and_start_with_the_identity(seed, k):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(k, size=9)
    order = permutation.shuffles(blocks, 20, rng)
    assert (order[0] == np.arange(9)).all()
    assert (blocks[order] == blocks).all()
    assert (np.sort(order, axis=1) == np.arange(9)).all()


def test_dispersion_p_matches_one_way_anova_in_its_limit():
    rng = np.random.default_rng(3)
    groups = [rng.normal(0.6 * i, 1, 8) for i in range(3)]
    z = np.concatenate(groups)[:, None]
    onehot = (np.repeat(np.arange(3), 8)[None] == np.arange(3)[:, None]).astype(float)
    p = permutation.p_dispersion(z, onehot, np.zeros(24), 20_000, rng)
    assert p == pytest.approx(stats.f_oneway(*groups).pvalue, rel=0.15)


def test_kendall_w_is_friedmans_chi_squared_rescaled():
    scores = np.random.default_rng(4).normal(size=(12, 10))
    chi2 = stats.friedmanchisquare(*scores.T).statistic
    assert kendall_w(scores) == pytest.approx(chi2 / (12 * 9))
    assert friedman(scores)["chi2"] == pytest.approx(chi2)


def test_kendall_w_with_ties_keeps_that_identity():
    scores = np.random.default_rng(5).integers(0, 4, (6, 5)).astype(float)
    assert kendall_w(scores) == pytest.approx(stats.friedmanchisquare(*scores.T).statistic / (6 * 4))


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_tau_rows_equals_scipy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, (2, 3, 9))
    expected = [stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(tau_rows(x, y), expected, atol=1e-12)


def test_crossed_contrast_is_a_paired_t_test_when_encoders_do_not_vary():
    rng = np.random.default_rng(6)
    gain, level = rng.normal(1, 1, 12), rng.normal(0, 5, 12)
    first, second = np.tile(level + gain, (3, 1)), np.tile(level, (2, 1))
    found = crossed_contrast(first, second)
    expected = stats.ttest_1samp(gain, 0)
    assert found.p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_crossed_contrast_is_a_two_sample_t_test_when_tasks_do_not_vary():
    rng = np.random.default_rng(7)
    x, y = rng.normal(0.5, 1, 6), rng.normal(0, 1, 5)
    found = crossed_contrast(np.tile(x[:, None], 8), np.tile(y[:, None], 8))
    assert found.p == pytest.approx(stats.ttest_ind(x, y).pvalue)


def test_encoder_means_by_hand_with_a_missing_cell():
    values = np.array([[[1.0, 3.0], [10.0, np.nan]]])
    means = bootstrap.encoder_means(values, np.array([0.5, 0.5]), np.array([[1.0, 1.0], [2.0, 0.0]]), np.ones((2, 2)))
    assert means[:, 0] == pytest.approx([(1 + 3 + 10) / 3, 2.0])


def test_cluster_counts_draw_whole_clusters_and_keep_the_number_per_label():
    clusters = np.array(list("aabbcd"))
    labels = np.array([0, 0, 0, 0, 1, 1])
    drawn = bootstrap.cluster_counts(clusters, labels, 50, np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, [0, 2]].sum(1) == 2).all()
    assert (drawn[:, 4:].sum(1) == 2).all()


def test_expanded_interval_needs_two_units_and_widens_the_percentiles():
    draws = np.random.default_rng(0).normal(0, 1, 4000)
    assert bootstrap.expanded(0.0, draws, [1, 5]) == (None, None)
    low, high = bootstrap.expanded(0.0, draws, [4, 4])
    factor = stats.t.ppf(0.975, 6) / stats.norm.ppf(0.975) * np.sqrt(4 / 3)
    assert (low, high) == pytest.approx(tuple(factor * np.quantile(draws, [0.025, 0.975])))


def test_comparable_sets_are_strata_of_their_own() -> None:
    frame = pd.DataFrame(
        {
            "controlled_track": ["ours", None, None],
            "comparable": [None, "lunit-tcga", None],
            "architecture": ["vit", "cnn", "cnn"],
        }
    )
    assert list(strata(frame)) == ["ours/vit", "lunit-tcga/cnn", "/cnn"]
