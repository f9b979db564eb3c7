import numpy as np
import pytest

from bench.metrics import resample
from bench.metrics.resample import (
    are_informative,
    blocks,
    interval,
    mean_defined,
    percentile_interval,
    ratio,
    resample_counts,
    with_point,
)

IDS = np.array([f"test/{i}" for i in range(40)])
GOLDEN = [[1, 0, 2, 1], [1, 0, 2, 1], [1, 1, 1, 1]]


def test_each_replicate_draws_as_many_cases_as_there_are():
    counts = resample_counts("t", "test", IDS)
    assert counts.shape == (2000, 40)
    assert (counts.sum(axis=1) == 40).all()
    # Binomial(40, 1/40): mean 1, variance 0.975; standard error of the variance over 80,000 draws is about 0.006.
    assert counts.var() == pytest.approx(0.975, abs=0.03)


def test_patients_enter_whole():
    groups = np.repeat(["a", "b", "c", "d"], 10)
    counts = resample_counts("t", "test", IDS, groups, replicates=50).reshape(50, 4, 10)
    assert (counts == counts[:, :, :1]).all()
    assert (counts[:, :, 0].sum(axis=1) == 4).all()


def test_draws_follow_the_ids_and_not_the_rows():
    order = np.random.default_rng(0).permutation(40)
    plain, permuted = (
        resample_counts("t", "test", IDS, replicates=9),
        resample_counts("t", "test", IDS[order], replicates=9),
    )
    np.testing.assert_array_equal(plain[:, order], permuted)


def test_draws_are_frozen():
    counts = resample_counts("breastus", "test", np.array(["a", "b", "c", "d"]), replicates=3)
    np.testing.assert_array_equal(counts, GOLDEN)
    assert not np.array_equal(resample_counts("other", "test", np.array(["a", "b", "c", "d"]), replicates=3), GOLDEN)


def test_longer_runs_begin_with_the_shorter_ones():
    np.testing.assert_array_equal(
        resample_counts("t", "s", IDS, replicates=700)[:300], resample_counts("t", "s", IDS, replicates=300)
    )


def test_the_point_comes_first():
    weights = with_point(np.array([[2, 0], [0, 2]], np.uint8), 2)
    assert weights.tolist() == [[1, 1], [2, 0], [0, 2]]
    assert with_point(None, 3).tolist() == [[1, 1, 1]]


def test_interval_leaves_out_what_is_not_defined():
    assert interval(np.array([np.nan, 1.0])) is None
    mostly = np.full(100, np.nan)
    assert percentile_interval(mostly) == (None, None)
    mostly[:89] = np.linspace(0, 1, 89)
    assert percentile_interval(mostly) == (None, None)
    mostly[:90] = np.linspace(0, 1, 90)
    assert percentile_interval(mostly) == pytest.approx((0.025, 0.975))
    assert interval(np.array([0.5])).low is None
    mostly[89] = np.nan
    assert percentile_interval(mostly) == (None, None)  # 89 of 100 are too few


def test_the_percentiles_of_an_interval_by_hand():
    draws = np.arange(1001) / 1000
    assert percentile_interval(draws) == pytest.approx((0.025, 0.975), abs=1e-12)
    assert percentile_interval(draws, level=0.9) == pytest.approx((0.05, 0.95), abs=1e-12)
    found = interval(np.concatenate([[0.3], draws]))
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.025, 0.975), abs=1e-12)


@pytest.mark.parametrize("rows", [1, 5, 6])
def test_blocks_cover_every_row_once_and_stay_within_64_megabytes(rows):
    wide = (1 << 26) // 8 // 2  # two rows of this many float64 fill a block
    found = list(blocks(rows, wide))
    assert np.concatenate([np.arange(rows)[s] for s in found]).tolist() == list(range(rows))
    assert {s.stop - s.start for s in found} <= {1, 2}
    assert len(found) == -(-rows // 2)
    assert len(list(blocks(rows, 4 * wide))) == rows  # never less than a row
    assert list(blocks(rows, 0)) == [slice(0, rows)]
    assert len(list(blocks(4, wide, itemsize=4))) == 1


def test_ratios_and_means_leave_out_what_is_undefined():
    assert ratio(np.array([1.0, 1.0, -3.0]), np.array([2.0, 0.0, 6.0])).tolist()[::2] == [0.5, -0.5]
    assert np.isnan(ratio(np.array([1.0, 0.0]), np.zeros(2))).all()
    found = mean_defined(np.array([[1.0, np.nan, 4.0], [np.nan, np.nan, np.nan]]))
    assert found[0] == 2.5
    assert np.isnan(found[1])


def test_draws_of_more_than_one_block_are_those_of_one(monkeypatch):
    whole = resample_counts("t", "test", IDS, replicates=30)
    monkeypatch.setattr("bench.metrics.resample.BLOCK_BYTES", 8 * 40 * 7)
    resample._KEPT.clear()
    np.testing.assert_array_equal(resample_counts("t", "test", IDS, replicates=30), whole)


def test_one_patient_is_resampled_into_itself():
    assert not are_informative(resample_counts("t", "test", IDS, np.array(["p"] * 40), replicates=20))
    assert are_informative(resample_counts("t", "test", IDS, np.array(["p"] * 39 + ["q"]), replicates=20))


def test_draws_of_a_task_are_made_once(monkeypatch):
    first = resample_counts("once", "test", IDS, replicates=20)
    assert resample_counts("once", "test", IDS.copy(), replicates=20) is first
    groups = np.repeat(["a", "b"], 20)
    assert resample_counts("once", "test", IDS, groups, replicates=20) is not first
    assert not np.array_equal(resample_counts("once", "val", IDS, replicates=20), first)
    monkeypatch.setattr(resample, "KEPT_BYTES", 1000)  # room for one
    second = resample_counts("other", "test", IDS, replicates=20)
    assert resample_counts("other", "test", IDS, replicates=20) is second
    assert resample_counts("once", "test", IDS, replicates=20) is not first
