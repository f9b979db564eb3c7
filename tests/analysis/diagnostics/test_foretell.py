"""How diagnostics order encoders, beside SciPy's tau."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from bench.analysis.diagnostics.foretell import foretelling
from tests.analysis.planted import SimulationDesign, plant

PLAN = SimulationDesign(encoders=8, modalities=2, seeds=1, fractions=(1.0,), sizes=(5e6, 22e6), architectures=("vit",))


def test_tau_and_n_of_each_diagnostic_and_board():
    frame = plant(PLAN)
    rows = frame[frame["primary"] & (frame["budget"] == "100%") & (frame["paradigm"] != "reference")]
    score = rows.pivot_table(index="encoder", columns="kind", values="score")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=8), "y": rng.normal(size=8)}, score.index)
    table.loc[score.index[:5], "y"] = np.nan
    found = foretelling(frame, table, resamples=200).set_index(["diagnostic", "board"])
    assert list(found.index) == [(d, b) for b in ("global", "dense") for d in ("x", "parameters")], (
        "y has three encoders"
    )
    parameters = rows.drop_duplicates("encoder").set_index("encoder")["parameters"]
    for (name, board), row in found.iterrows():
        x = parameters if name == "parameters" else table[name]
        assert row["tau"] == pytest.approx(kendalltau(x.sort_index(), score[board].sort_index()).statistic)
        assert row["n"] == 8
        assert -1 <= row["low"] < row["tau"] < row["high"] <= 1
    table.loc[score.index[4], "y"] = 0.0
    four = foretelling(frame, table, resamples=20).set_index(["diagnostic", "board"])
    assert four.loc[("y", "dense"), "n"] == 4


def test_intervals_are_quantiles_of_encoders_drawn_again():
    frame = plant(PLAN)
    rows = frame[frame["primary"] & (frame["budget"] == "100%") & (frame["kind"] == "global")]
    score = rows[rows["paradigm"] != "reference"].groupby("encoder")["score"].mean().sort_index()
    x = pd.Series(np.random.default_rng(1).normal(size=8), score.index)
    found = foretelling(frame, pd.DataFrame({"x": x}), resamples=300).iloc[0]
    drawn = np.random.default_rng(0).integers(8, size=(300, 8))
    taus = [kendalltau(x.to_numpy()[i], score.to_numpy()[i]).statistic for i in drawn]
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.nanquantile(taus, [0.025, 0.975])))


def test_a_missing_result_moves_no_order_by_the_level_of_its_task():
    still = SimulationDesign(encoders=8, modalities=2, seeds=1, fractions=(1.0,), encoder_task_sd=0, encoder_kind_sd=0)
    frame = plant(SimulationDesign(**{**still.__dict__, "seed_sd": 0.0, "encoder_slope_sd": 0.0}))
    rows = frame[frame["primary"] & (frame["kind"] == "global")]
    score = rows.groupby("encoder")["score"].mean()
    easy = rows.groupby("task")["score"].mean().idxmax()
    gap = frame[~((frame["encoder"] == "hybrid-03") & (frame["task"] == easy))]
    found = foretelling(gap, pd.DataFrame({"x": score}), resamples=20)
    assert found.loc[found["board"] == "global", "tau"].iloc[0] == pytest.approx(1)


def test_without_results_there_is_an_empty_table():
    frame = plant(PLAN)
    found = foretelling(frame[frame["kind"] == "volume"], pd.DataFrame({"x": [1.0]}, ["a"]))
    assert list(found.columns) == ["diagnostic", "board", "tau", "low", "high", "n"]
    assert len(found) == 0
