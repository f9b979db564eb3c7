"""Crossed random effects: equal to known tests in their limits, and honest when data sets and encoders both vary."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.crossed import (
    Spread,
    Term,
    _noise,
    _noncentrality,
    axis,
    contrast,
    spread_of_means,
    spread_of_parts,
)
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


def test_the_size_of_a_spread_and_its_interval_are_those_of_one_way_anova() -> None:
    rng = np.random.default_rng(3)
    parts = [rng.normal(1.5 * i, 1, 8) for i in range(3)]
    groups, blocks = np.repeat(np.eye(3), 8, axis=0), np.repeat(ONE, 24)
    found = spread_of_means(units(np.tile(np.concatenate(parts)[:, None], 5), blocks), groups, blocks)
    within, between = np.mean([p.var(ddof=1) for p in parts]), 8 * np.var([p.mean() for p in parts], ddof=1)
    assert found.effect == pytest.approx(np.sqrt((between - within) / 8))
    for limit, quantile in ((found.low, 0.975), (found.high, 0.025)):
        shift = 8 * 2 * limit**2 / within
        assert limit > 0
        assert stats.ncf.cdf(between / within, 2, 21, shift) == pytest.approx(quantile, abs=1e-6)


def test_groups_closer_than_chance_makes_them_have_no_spread() -> None:
    parts = np.array([[0.0, 1.0, 2.0], [0.1, 1.0, 1.9], [0.0, 1.1, 2.0]])
    groups, blocks = np.repeat(np.eye(3), 3, axis=0), np.repeat(ONE, 9)
    found = spread_of_means(units(np.tile(parts.reshape(-1, 1), 4), blocks), groups, blocks)
    assert (found.effect, found.low, found.high) == (0, 0, 0)
    assert found.p == pytest.approx(stats.f_oneway(*parts).pvalue)


def test_without_noise_a_spread_is_known() -> None:
    groups, blocks = np.repeat(np.eye(2), 2, axis=0), np.repeat(ONE, 4)
    assert spread_of_means(units(np.zeros((4, 3)), blocks), groups, blocks) == Spread(0, 0, 0, 1.0)
    none = contrast(units(np.zeros((4, 3)), blocks), groups[:, 0], blocks)
    assert (none.effect, none.error, none.p) == (0, 0, 1)


def test_a_spread_of_parts_is_the_mean_squares_of_plain_loops() -> None:
    rng = np.random.default_rng(12)
    group, part = np.repeat(np.arange(2), 4), np.repeat(np.arange(2), 3)
    y = rng.normal(0, 1, (8, 6)) + 2 * np.where(group[:, None] == part, 1, -1)
    cell = np.array([[y[group == g][:, part == p].mean() for p in range(2)] for g in range(2)])
    by_encoder = np.stack([y[:, part == p].mean(axis=1) for p in range(2)], axis=1)
    by_set = np.stack([y[group == g].mean(axis=0) for g in range(2)])
    both = cell - cell.mean(0) - cell.mean(1, keepdims=True) + cell.mean()
    signal = 4 * 3 * (both**2).sum()
    own = by_encoder - by_encoder.mean(1, keepdims=True) - (cell - cell.mean(1, keepdims=True))[group]
    encoders = Term(3 * (own**2).sum() / 6, 6)
    own = by_set - by_set.mean(0) - (cell - cell.mean(0))[:, part]
    sets = Term(4 * (own**2).sum() / 4, 4)
    rest = Term(((y - by_encoder[:, part] - by_set[group] + cell[group][:, part]) ** 2).sum() / 24, 24)
    noise = encoders.square + sets.square - rest.square
    assert noise > max(encoders.square, sets.square), "else this shows nothing"
    df = noise**2 / sum(term.square**2 / term.df for term in (encoders, sets, rest))
    blocks = np.repeat(ONE, 8)
    found = spread_of_parts(units(y, blocks), np.eye(2)[group], blocks, part, np.zeros(6))
    assert found.effect == pytest.approx(np.sqrt((signal - noise) / 12))
    assert found.p == pytest.approx(stats.f.sf(signal / noise, 1, df))


def test_noise_adds_what_varies_less_what_is_counted_twice() -> None:
    assert _noise(Term(10, 4), Term(6, 5), Term(2, 20)) == (14, pytest.approx(14**2 / (100 / 4 + 36 / 5 + 4 / 20)))
    assert _noise(Term(3, 4), Term(2, 5), Term(4, 20)) == (3, 4), "never below the larger of the two"
    assert _noise(Term(2, 5), Term(3, 4), Term(2, 20)) == (3, 4)
    assert _noise(Term(9, 0.5), Term(9, 0.5), Term(0, 9)).df == 1, "no less than one degree of freedom"


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


def test_network_size_and_track_make_a_stratum() -> None:
    frame = pd.DataFrame({"architecture": ["vit", "vit", "cnn", "none"], "parameters": [86e6, 22e6, 24e6, 0]})
    frame["controlled_track"] = [None, "small-v1", float("nan"), None]
    assert list(strata(frame)) == ["vit base", "vit small small-v1", "cnn small", "none"]
    assert list(strata(frame.astype("category"))) == list(strata(frame))
