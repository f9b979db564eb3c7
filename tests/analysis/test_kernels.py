import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis import bootstrap
from bench.analysis.agreement import friedman, kendall_w, tau_rows


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
