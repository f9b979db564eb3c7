"""Crossed random effects: equal to known tests in their limits, and honest when data sets and encoders both vary."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.crossed import _noncentrality, axis, contrast, spread_of_means, spread_of_parts
from bench.analysis.measurement import NotEnough
from bench.analysis.table import strata
from bench.analysis.units import Units

ONE = np.array(["vit small"])


def units(values: np.ndarray, blocks: np.ndarray, weight: np.ndarray | None = None) -> Units:
    values, n = np.array(values, float), values.shape[1]
    for name in np.unique(blocks):
        values[blocks == name] -= values[blocks == name].mean(axis=0)
    about = pd.DataFrame({"side": "more", "kind": "global", "origin": [f"o{i:02}" for i in range(n)]})
    return Units(values, about, np.full(n, 1 / n) if weight is None else weight)


def halves(first: np.ndarray, second: np.ndarray) -> tuple[Units, np.ndarray, np.ndarray]:
    x, blocks = np.repeat([1.0, 0.0], [len(first), len(second)]), np.repeat(ONE, len(first) + len(second))
    return units(np.vstack([first, second]), blocks), x, blocks


def test_a_contrast_is_a_paired_t_test_when_encoders_do_not_vary() -> None:
    rng = np.random.default_rng(6)
    gain, level = rng.normal(1, 1, 12), rng.normal(0, 5, 12)
    found = contrast(*halves(np.tile(level + gain, (3, 1)), np.tile(level, (2, 1))))
    expected = stats.ttest_1samp(gain, 0)
    low, high = expected.confidence_interval()
    assert (found.p, found.low, found.high) == pytest.approx((expected.pvalue, low, high))


def test_a_contrast_is_a_two_sample_t_test_when_data_sets_do_not_vary() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(0.5, 1, 6), rng.normal(0, 1, 5)
    found = contrast(*halves(np.tile(x[:, None], 8), np.tile(y[:, None], 8)))
    assert found.p == pytest.approx(stats.ttest_ind(x, y).pvalue)
    assert found.effect == pytest.approx(x.mean() - y.mean())


def test_an_effect_is_the_least_squares_one_with_a_level_for_each_stratum() -> None:
    rng = np.random.default_rng(1)
    blocks, x, y = np.array(list("aaaabbbbb")), np.array([1, 0, 0, 0, 1, 1, 1, 0, 0.0]), rng.normal(size=9)
    design = np.column_stack([x, *(blocks == b for b in "ab")])
    slope = np.linalg.lstsq(design, y, rcond=None)[0][0]
    assert contrast(units(np.tile(y[:, None], 4), blocks), x, blocks).effect == pytest.approx(slope)


def test_what_only_differs_between_strata_is_no_effect() -> None:
    blocks, x = np.array(list("aabb")), np.array([1, 1, 0, 0.0])
    with pytest.raises(NotEnough, match="no stratum"):
        axis(x[:, None], blocks)


def test_a_spread_is_one_way_anova_when_data_sets_do_not_vary() -> None:
    rng = np.random.default_rng(3)
    parts = [rng.normal(0.6 * i, 1, 8) for i in range(3)]
    groups, blocks = np.repeat(np.eye(3), 8, axis=0), np.repeat(ONE, 24)
    found = spread_of_means(units(np.tile(np.concatenate(parts)[:, None], 5), blocks), groups, blocks)
    assert found.p == pytest.approx(stats.f_oneway(*parts).pvalue)


def test_a_modality_with_one_data_set_cannot_be_told_from_it() -> None:
    blocks, groups = np.repeat(ONE, 8), np.repeat(np.eye(2), 4, axis=0)
    made = units(np.random.default_rng(0).normal(size=(8, 4)), blocks)
    with pytest.raises(NotEnough, match="single data set"):
        spread_of_parts(made, groups, blocks, np.array(list("abcd")), np.array(["global"] * 4))


@pytest.mark.parametrize("paradigm_by_set", [0.0, 4.0])
def test_a_true_null_is_rejected_about_as_often_as_said(paradigm_by_set: float) -> None:
    """300 draws: 5 % is 15, of which chance leaves 6 to 25 (99 %). Where nothing varies by data set, fewer may be."""
    rng, draws = np.random.default_rng(11), 300
    group, blocks = np.arange(32) % 4, np.array(["vit", "cnn"])[np.arange(32) // 4 % 2]
    two, onehot, modality = group < 2, np.eye(4)[group], np.arange(16) // 2
    weight = np.tile([1.0, 2.0], 8) / 24
    rejected, inside = np.zeros(3), 0
    for _ in range(draws):
        y = rng.normal(0, 4, (32, 1)) + rng.normal(0, 3, (32, 16))
        y = y + rng.normal(0, paradigm_by_set, (4, 16))[group] + 5.0 * (blocks == "cnn")[:, None]
        one = contrast(units(y[two], blocks[two], weight), (group[two] == 0).astype(float), blocks[two])
        whole = units(y, blocks, weight)
        means = spread_of_means(whole, onehot, blocks)
        parts = spread_of_parts(whole, onehot, blocks, modality, np.zeros(16))
        rejected += np.array([one.p, means.p, parts.p]) < 0.05
        inside += one.low <= 0 <= one.high
    least = 6 if paradigm_by_set else 1
    assert ((rejected >= least) & (rejected <= 25)).all(), rejected / draws
    assert 0.915 <= inside / draws <= 0.985


def test_intervals_of_spreads_hold_the_truth() -> None:
    rng, held = np.random.default_rng(5), 0
    blocks, onehot = np.repeat(ONE, 32), np.eye(4)[np.arange(32) % 4]
    lead = np.array([-3.0, -1.0, 1.0, 3.0])
    for _ in range(100):
        y = rng.normal(0, 3, (32, 1)) + rng.normal(0, 3, (32, 12)) + rng.normal(0, 2, (4, 12))[np.arange(32) % 4]
        found = spread_of_means(units(y + (onehot @ lead)[:, None], blocks), onehot, blocks)
        held += found.low <= lead.std(ddof=1) <= found.high
    assert 0.88 <= held / 100 <= 1


def test_the_closed_form_for_a_clear_spread_meets_the_exact_one() -> None:
    for quantile in (0.025, 0.975):
        exact, closed = (_noncentrality(ratio, 3, 20.0, quantile) for ratio in (1000.0, 1000.1))
        assert closed == pytest.approx(exact, rel=0.01)
    assert np.isfinite(_noncentrality(1e30, 3, 20.0, 0.025))


def test_network_and_size_make_a_stratum() -> None:
    frame = pd.DataFrame({"architecture": ["vit", "vit", "cnn", "none"], "parameters": [86e6, 22e6, 24e6, 0]})
    assert list(strata(frame)) == ["vit base", "vit small", "cnn small", "none"]
