"""Shares of variance, beside the analysis of variance of statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from bench.analysis.measurement import NotEnough
from bench.analysis.variance import adjusted_share, variance_shares
from tests.analysis.planted import SimulationDesign, plant

PLAN = SimulationDesign(encoders=8, references=1, modalities=2, seeds=1, fractions=(1.0,))


@pytest.fixture(scope="module")
def frame():
    return plant(PLAN)


def test_shares_are_the_two_way_components_of_statsmodels(frame):
    rows = frame[(frame["protocol"] == "linear-v1") & (frame["paradigm"] != "reference")]
    rows = rows.assign(y=100 * rows["score"]).reset_index(drop=True)
    square = anova_lm(smf.ols("y ~ C(encoder) + C(task)", rows).fit())["mean_sq"]
    rest = square["Residual"]
    parts = np.array([(square["C(encoder)"] - rest) / 4, (square["C(task)"] - rest) / 8, rest])
    found = variance_shares(frame, ("linear",))
    assert (found.encoder, found.task, found.rest) == pytest.approx(tuple(parts / parts.sum()))
    assert (found.n_encoders, found.n_tasks) == (8, 4)
    # An AUROC of +-.02 is a score of +-4 points; 1.96 of their standard errors are 4.
    assert found.noise == pytest.approx((4 / 1.96) ** 2 / parts.sum())
    means = rows.groupby(["encoder", "paradigm"])["y"].mean().reset_index()
    assert found.paradigm_of_encoder == pytest.approx(smf.ols("y ~ C(paradigm)", means).fit().rsquared_adj)
    left = rows.assign(left=smf.ols("y ~ C(encoder) + C(task)", rows).fit().resid)
    fits = [smf.ols("left ~ C(paradigm)", part).fit() for _, part in left.groupby("task")]
    within, total = sum(f.ssr for f in fits) / 4, sum(f.centered_tss for f in fits) / 7
    assert found.paradigm_of_rest == pytest.approx(1 - within / total)


def test_a_variance_below_what_noise_makes_is_nothing():
    flat = plant(SimulationDesign(encoders=8, modalities=2, seeds=1, fractions=(1.0,), encoder_sd=0, encoder_kind_sd=0))
    centred = flat[flat["primary"] & flat["protocol"].eq("linear-v1")]
    mean = centred.groupby("encoder")["score"].transform("mean")
    flat.loc[mean.index, "score"] -= mean - 0.6  # each encoder as good as the others on average
    found = variance_shares(flat, ("linear",))
    assert found.encoder == 0
    assert found.task + found.rest == pytest.approx(1)


def test_without_intervals_nothing_is_said_of_noise(frame):
    assert variance_shares(frame.assign(low=np.nan, high=np.nan), ("linear",)).noise is None
    half = frame.assign(low=frame["low"].where(frame["encoder"] == "hybrid-03"))
    whole = variance_shares(frame, ("linear",)).noise
    assert variance_shares(half, ("linear",)).noise == pytest.approx(whole), "those that have an interval"


def test_encoders_with_a_gap_are_left_out(frame):
    names = sorted(frame["encoder"].unique())
    some = frame[~(frame["encoder"].isin(names[3:]) & (frame["task"] == "ct-global-0"))]
    with pytest.raises(NotEnough, match="fewer than three encoders"):
        variance_shares(some[some["encoder"] != names[0]], ("linear",))
    assert variance_shares(some, ("linear",)).n_encoders == 3


def test_too_little_is_refused(frame):
    with pytest.raises(NotEnough, match="no results"):
        variance_shares(frame, ("attentive",))
    with pytest.raises(NotEnough, match="or three tasks"):
        variance_shares(frame[frame["task"].isin(["ct-global-0", "xray-global-0"])], ("linear",))
    three = frame[frame["task"] != "ct-global-0"]
    assert variance_shares(three, ("linear",)).n_tasks == 3
    with pytest.raises(NotEnough, match="every score is the same"):
        variance_shares(frame.assign(score=0.7), ("linear",))


def test_shares_recover_planted_components():
    plan = SimulationDesign(
        encoders=60, encoder_sd=4, encoder_kind_sd=0, encoder_task_sd=3, seed_sd=0, modalities=8, per_modality=(6, 0)
    )
    shares = variance_shares(plant(plan), ("linear-v1",))
    assert shares.encoder == pytest.approx(16 / 89, abs=0.07)
    assert shares.rest == pytest.approx(9 / 89, abs=0.03)
    assert shares.encoder + shares.task + shares.rest == pytest.approx(1)


def test_paradigm_share_is_zero_on_average_for_random_labels_and_one_when_it_decides():
    rng = np.random.default_rng(0)
    labels = np.repeat(list("abcd"), 5)
    shares = [adjusted_share(rng.normal(size=(20, 3)), labels) for _ in range(400)]
    assert np.mean(shares) == pytest.approx(0, abs=0.02)
    assert adjusted_share((labels == "a").astype(float)[:, None], labels) == pytest.approx(1)


def test_paradigm_share_is_the_adjusted_r_squared():
    z, labels = np.random.default_rng(1).normal(size=9), np.array(list("aabbbcccc"))
    fit = smf.ols("z ~ C(g)", pd.DataFrame({"z": z, "g": labels})).fit()
    assert adjusted_share(z[:, None], labels) == pytest.approx(fit.rsquared_adj)
    assert adjusted_share(np.ones((9, 1)), labels) == 0
    assert adjusted_share(z[:3, None], np.array(list("abc"))) == 1, "a group for each encoder explains all"
