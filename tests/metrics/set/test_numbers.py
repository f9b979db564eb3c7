"""Metrics of numbers are those of other programs, in every resample."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score

from bench.data.dataset import Split
from bench.errors import DataError
from bench.laws.problems import make_task
from bench.metrics.base import Comparison
from bench.metrics.resample import resample_counts
from bench.metrics.scored import score
from bench.metrics.set import metrics_of

RNG = np.random.default_rng(0)
TASK = make_task("number")


def compared(y, p, counts):
    return Comparison(TASK, p[:, None].astype(np.float32), y, counts, 2)


@pytest.mark.parametrize("rounded", [False, True])
def test_each_resample(rounded):
    y = RNG.normal(50, 10, 40)
    p = (y + RNG.normal(0, 8, 40)).astype(np.float32)
    if rounded:
        y, p = np.round(y / 8), np.round(p / 8)
    counts = resample_counts("t", "test", np.arange(40).astype(str), replicates=30)
    found = {m.name: m.value(compared(y, p, counts)) for m in metrics_of("number")}
    assert set(found) == {"r2", "spearman", "error"}
    for i, count in enumerate(counts):
        rows = np.repeat(np.arange(40), count)
        assert found["r2"][i] == pytest.approx(r2_score(y[rows], p[rows]), abs=1e-6)
        assert found["spearman"][i] == pytest.approx(spearmanr(y[rows], p[rows]).statistic, abs=1e-9)
        assert found["error"][i] == pytest.approx(mean_absolute_error(y[rows], p[rows]), abs=1e-5)


def test_equal_numbers_have_no_score():
    ones = np.ones((1, 5), np.uint8)
    found = {m.name: m.value(compared(np.full(5, 3.0), np.arange(5.0), ones))[0] for m in metrics_of("number")}
    assert np.isnan(found["r2"])
    assert np.isnan(found["spearman"])
    assert found["error"] == pytest.approx(1.4)


def test_scores_have_intervals_and_wrong_outputs_are_refused():
    y = RNG.normal(size=30)
    ids = np.array([f"test/{i}" for i in range(30)])
    split = Split(np.zeros((30, 1, 1, 1), np.uint8), y, ids)
    output = (y + RNG.normal(0, 0.3, 30))[:, None].astype(np.float32)
    found = score(TASK, output, split, resamples=resample_counts("t", "test", ids))
    assert found["r2"].low < found["r2"].value < found["r2"].high < 1
    one_missing = np.where(np.arange(30)[:, None] == 3, np.nan, output)
    for wrong in (output[:, 0], output * np.nan, one_missing, output.astype(int)):
        with pytest.raises(DataError, match="predict"):
            score(TASK, wrong, split, resamples=None)
