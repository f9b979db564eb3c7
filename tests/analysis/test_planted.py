"""Planted tables hold the scores that were planted, also those below chance."""

import numpy as np
import pytest

from tests.analysis.planted import SimulationDesign, plant, with_shift

FAINT = SimulationDesign(
    encoders=8, seeds=1, fractions=(1e-6, 1.0), seed_sd=0.0, encoder_slope_sd=0.0, task_slope_sd=0.0
)
"""Six points a decade less: with a millionth of the labels, encoders of 60 points fall to about 24, many below 0."""


def test_scores_below_chance_stay_what_they_are() -> None:
    frame = plant(SimulationDesign(**{**FAINT.__dict__, "encoder_sd": 30.0}))
    rows = frame[frame["primary"]]
    assert (rows.loc[rows["kind"] == "global", "score"] < -0.05).any()
    assert rows["value"].between(0, 1).all()
    np.testing.assert_allclose(rows["score"], (rows["value"] - rows["chance"]) / (1 - rows["chance"]), atol=1e-12)


def test_a_loss_at_the_second_site_is_the_planted_one_below_chance_too() -> None:
    frame = plant(SimulationDesign(**{**FAINT.__dict__, "encoder_sd": 0.1}))
    shifted = with_shift(frame, dict.fromkeys(frame["paradigm"], 30.0))
    keys = ["encoder", "task", "protocol", "fraction", "seed"]
    test, shift = (
        shifted[(shifted["split"] == name) & shifted["primary"] & (shifted["kind"] == "global")].set_index(keys)
        for name in ("test", "test-shift")
    )
    lost = test["score"] - shift["score"]
    assert (shift["score"] < 0).any()
    assert lost.mean() == pytest.approx(0.38, abs=0.005)
