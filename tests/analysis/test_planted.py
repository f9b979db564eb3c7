"""Planted tables hold the scores that were planted, also those below chance."""

import numpy as np
import pandas as pd
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


STILL = SimulationDesign(
    encoders=8, references=2, modalities=4, seeds=1, fractions=(1.0,), encoder_sd=0, encoder_kind_sd=0,
    encoder_task_sd=0, encoder_slope_sd=0, task_slope_sd=0, encoder_loss_sd=0, seed_sd=0,
)  # fmt: skip


def still(**planted: object) -> pd.DataFrame:
    """Scores in points without noise: encoders x tasks, the means of tasks taken off."""
    frame = plant(SimulationDesign(**{**STILL.__dict__, **planted}))
    rows = frame[frame["primary"]]
    wide = 100 * rows.pivot_table(
        index=["architecture", "paradigm", "encoder"], columns=["kind", "task"], values="score"
    )
    reference = wide.xs("reference", level="paradigm").loc["vit"].mean()
    return wide - reference


def lead(wide: pd.DataFrame, kind: str) -> dict[str, float]:
    """Of each paradigm over the reference of the first network, alike on every task of a kind."""
    part = wide[kind].groupby("paradigm").agg(["min", "max"])
    low, high = part.xs("min", axis=1, level=1).min(axis=1), part.xs("max", axis=1, level=1).max(axis=1)
    assert (high - low).max() < 1e-9
    return {name: round(float(x), 9) + 0.0 for name, x in low.items()}


NOTHING = dict.fromkeys(["contrastive", "generative", "hybrid", "predictive", "reference"], 0.0)


def test_nothing_is_planted_unless_asked_for() -> None:
    assert lead(still(), "global") == lead(still(), "dense") == NOTHING


def test_the_lead_of_a_paradigm_turns_with_the_kind() -> None:
    wide = still(kind=6.0)
    assert lead(wide, "global") == {**NOTHING, "contrastive": 3.0, "generative": -3.0}
    assert lead(wide, "dense") == {**NOTHING, "contrastive": -3.0, "generative": 3.0}


def test_hybrids_lead_everywhere() -> None:
    wide = still(hybrid=5.0)
    assert lead(wide, "global") == lead(wide, "dense") == {**NOTHING, "hybrid": 5.0}


def test_the_second_network_leads_by_as_much_as_asked_and_by_twice_on_dense_tasks() -> None:
    wide = still(network=4.0)
    assert lead(wide.loc[["vit"]], "global") == lead(wide.loc[["vit"]], "dense") == NOTHING
    assert lead(wide.loc[["cnn"]], "global") == dict.fromkeys(NOTHING, 4.0)
    assert lead(wide.loc[["cnn"]], "dense") == dict.fromkeys(NOTHING, 8.0)


def test_the_interaction_of_paradigm_and_modality_is_centred_twice_and_as_large_as_asked() -> None:
    wide = still(modality=3.0).droplevel("encoder").loc["vit"]["global"].groupby("paradigm").mean()
    table = wide.T.groupby(lambda task: task.split("-")[0]).mean().T
    assert table.loc["reference"].to_numpy() == pytest.approx(np.zeros(4), abs=1e-9)
    table = table.drop(index="reference").to_numpy()
    assert table.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    assert table.mean(axis=1) == pytest.approx(np.zeros(4), abs=1e-9)
    assert (table**2).sum() / (3 * 3) == pytest.approx(9.0)


def test_the_gain_over_references_changes_by_the_slope_asked_for() -> None:
    frame = plant(SimulationDesign(**{**STILL.__dict__, "fractions": (0.01, 0.1, 1.0), "slope": -2.0}))
    rows = frame[frame["primary"]].assign(ssl=frame["paradigm"] != "reference")
    means = 100 * rows.groupby(["task", "fraction", "ssl"])["score"].mean().unstack()
    gain = (means[True] - means[False]).unstack()
    np.testing.assert_allclose(gain[[0.01, 0.1, 1.0]], np.tile([4.0, 2.0, 0.0], (12, 1)), atol=1e-9)


def test_faint_lesions_cost_contrastive_encoders_more() -> None:
    plans = [SimulationDesign(**{**STILL.__dict__, "subtle": s}) for s in (0.0, 8.0)]
    lost = []
    for frame in map(plant, plans):
        rows = frame[~frame["primary"]]
        wide = 100 * rows.groupby(["paradigm", "metric"])["value"].mean().unstack()
        lost.append(wide["lesion_recall[>10%]"] - wide["lesion_recall[<0.5%]"])
    more = (lost[1] - lost[0]).drop("reference").round(9) + 0.0
    assert more.to_dict() == {"contrastive": 4.0, "generative": -4.0, "hybrid": 0.0, "predictive": 0.0}
    assert lost[0].mean() == pytest.approx(20, abs=1.5)


def test_the_second_site_costs_eight_points() -> None:
    frame = with_shift(plant(STILL), {"hybrid": 5.0})
    means = 100 * frame[frame["primary"]].groupby(["paradigm", "split"])["score"].mean().unstack()
    lost = means["test"] - means["test-shift"]
    assert lost.to_dict() == pytest.approx({**dict.fromkeys(NOTHING, 8.0), "hybrid": 13.0}, abs=0.5)
