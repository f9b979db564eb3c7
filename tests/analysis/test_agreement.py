"""Agreement of rankings, beside SciPy and on tables worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.agreement import concordance, kendall_w, tau_matrix, tau_rows
from bench.analysis.measurement import NotEnough
from tests.analysis.planted import SimulationDesign, plant

SMALL = SimulationDesign(encoders=8, references=1, modalities=3, seeds=1, fractions=(1.0,))
SCORE = {"index": "encoder", "values": "score"}


def test_kendall_w_is_friedmans_chi_squared_rescaled():
    scores = np.random.default_rng(4).normal(size=(12, 10))
    chi2 = stats.friedmanchisquare(*scores.T).statistic
    assert kendall_w(scores) == pytest.approx(chi2 / (12 * 9))


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


def test_agreement_of_identical_boards_is_one():
    frame = plant(SimulationDesign(encoders=8, encoder_task_sd=0, seed_sd=0, encoder_kind_sd=0))
    assert concordance(frame, ["linear-v1"])["all"] == pytest.approx(1)
    assert tau_matrix(frame, "modality", ["linear-v1"]).to_numpy() == pytest.approx(np.ones((8, 8)))


def test_tau_of_two_modalities_is_scipys_over_the_means_of_encoders():
    frame = plant(SMALL)
    found = tau_matrix(frame[frame["modality"].isin(["ct", "mri"])], "modality", ["linear"])
    rows = frame[(frame["protocol"] == "linear-v1") & (frame["paradigm"] != "reference")]
    means = rows.pivot_table(columns="modality", **SCORE)
    expected = stats.kendalltau(means["ct"], means["mri"]).statistic
    assert (list(found.index), list(found.columns)) == (["ct", "mri"], ["ct", "mri"])
    assert found.to_numpy() == pytest.approx(np.array([[1.0, expected], [expected, 1.0]]))
    with pytest.raises(NotEnough, match="fewer than two values of modality"):
        tau_matrix(frame[frame["modality"] == "ct"], "modality", ["linear"])


@pytest.mark.parametrize("shared", [2, 3])
def test_two_parts_need_three_encoders_in_common(shared):
    frame = plant(SMALL)
    names = sorted(frame.loc[frame["paradigm"] != "reference", "encoder"].unique())[: shared + 1]
    frame = frame[frame["encoder"].isin(names)]
    frame = frame[(frame["encoder"] != names[-1]) | (frame["modality"] == "ct")]
    found = tau_matrix(frame, "modality", ["linear"])
    assert np.isfinite(found.loc["ct", "mri"]) == (shared == 3)
    assert np.isfinite(found.loc["mri", "ct"]) == (shared == 3)
    assert (np.diag(found) == 1).all()


def test_concordance_is_kendalls_w_over_tasks_and_within_each_modality_of_several():
    frame = plant(SMALL)
    frame = frame[(frame["modality"] != "ct") | ~frame["task"].str.endswith("-global-1")]
    rows = frame[(frame["protocol"] == "linear-v1") & (frame["paradigm"] != "reference")]
    table = rows.pivot_table(columns="task", **SCORE)
    w = lambda t: stats.friedmanchisquare(*t.to_numpy()).statistic / (t.shape[1] * (len(t) - 1))  # noqa: E731
    expected = {"all": w(table)}
    for name in ("mri", "xray"):
        ranks = table.filter(like=name).rank().sum(axis=1)
        expected[name] = 12 * ((ranks - ranks.mean()) ** 2).sum() / (2**2 * (8**3 - 8))
    assert concordance(frame, ["linear"]) == pytest.approx(expected), "ct has one task: nothing to agree with"


@pytest.mark.parametrize("whole", [2, 3])
def test_concordance_counts_encoders_without_a_gap(whole):
    frame = plant(SMALL)
    names = sorted(frame.loc[frame["paradigm"] != "reference", "encoder"].unique())
    gap = frame["encoder"].isin(names[whole:]) & (frame["task"] == "ct-global-0")
    kept = frame[~gap]
    if whole < 3:
        with pytest.raises(NotEnough, match="fewer than three encoders"):
            concordance(kept, ["linear"])
    else:
        pd.testing.assert_series_equal(
            pd.Series(concordance(kept, ["linear"])),
            pd.Series(concordance(frame[frame["encoder"].isin(names[:whole])], ["linear"])),
        )
