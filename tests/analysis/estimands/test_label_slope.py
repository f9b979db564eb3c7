"""Slopes over labels, beside NumPy's least squares."""

import numpy as np
import pandas as pd
import pytest

from bench.analysis.estimands.label_slope import LabelSlope, label_slopes
from bench.analysis.measurement import NotEnough
from tests.analysis.planted import SimulationDesign, plant

PLAN = SimulationDesign(encoders=8, references=2, modalities=2, seeds=2, fractions=(0.01, 0.1, 1.0), slope=-3.0)
BOTH = ["linear", "dense-linear"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return plant(PLAN)


def slopes(rows: pd.DataFrame) -> pd.Series:
    """Least-squares slope of each encoder and task, the mean over seeds; all labels belong to every seed."""
    fractions = sorted(rows["fraction"].unique())
    wide = 100 * rows.pivot_table(index=["encoder", "task"], columns=["fraction", "seed"], values="score")
    lines = [np.stack([wide[f, s if f < 1 else 0] for f in fractions]) for s in (0, 1)]
    return pd.Series(np.mean([np.polyfit(np.log10(fractions), y, 1)[0] for y in lines], axis=0), wide.index)


@pytest.mark.parametrize("fractions", [(0.01, 0.1, 1.0), (0.01, 0.1)])
def test_a_slope_is_that_of_least_squares_for_each_seed(frame, fractions):
    rows = frame[frame["primary"] & frame["fraction"].isin(fractions)]
    found = label_slopes(rows)
    expected = slopes(rows).unstack().loc[found.encoders.index, found.columns["task"]]
    assert found.values.shape == (10, 6, 2)
    np.testing.assert_allclose(found.means, expected.to_numpy())


def test_a_slope_needs_two_fractions(frame):
    rows = frame[frame["primary"]]
    one = (rows["encoder"] == "hybrid-03") & (rows["task"] == "ct-dense-0")
    found = label_slopes(rows[~one | (rows["fraction"] == 0.1)])
    place = list(found.encoders.index).index("hybrid-03"), list(found.columns["task"]).index("ct-dense-0")
    assert np.isnan(found.values[place]).all()
    assert np.isfinite(found.values).sum() == 10 * 6 * 2 - 2
    two = label_slopes(rows[~one | (rows["fraction"] > 0.01)])
    assert np.isfinite(two.values).all()
    with pytest.raises(NotEnough, match="fewer than two label fractions"):
        label_slopes(rows[rows["fraction"] == 0.1])


def test_the_gain_is_set_against_references_of_the_same_network(frame):
    found = LabelSlope(protocols=BOTH).measure(frame)
    rows = frame[frame["primary"]]
    about = rows.drop_duplicates("encoder").set_index("encoder")[["architecture", "paradigm"]]
    each = slopes(rows).reset_index(name="y").assign(kind=lambda f: f["task"].str.split("-").str[1])
    mean = each.groupby(["encoder", "kind"])["y"].mean().groupby("encoder").mean()
    ssl = about["paradigm"] != "reference"
    by = mean.groupby([about["architecture"], ssl]).mean().unstack()
    expected = by[True] - by[False]
    assert [s["effect"] for s in found.details["by_stratum"]] == pytest.approx(expected.tolist())
    assert [s["encoders"] for s in found.details["by_stratum"]] == [5, 5]
    assert found.details["reference"] == "supervised"
    assert found.effect == pytest.approx(expected.mean())
    assert found.groups == {"self-supervised": 8, "supervised": 2}
    assert (found.n_encoders, found.n_tasks, found.n_modalities) == (10, 6, 2)
    assert {row["encoder"] for row in found.chart if row["group"] == "supervised"} == {"reference-08", "reference-09"}
    assert {row["group"] for row in found.chart} == {"self-supervised", "supervised"}


def test_supervised_references_go_before_untrained_ones(frame):
    untrained = frame[frame["paradigm"] == "reference"].assign(
        encoder=lambda f: f["encoder"] + "-x", objective="random-init", score=0.1
    )
    both, first = (LabelSlope(protocols=BOTH).measure(f) for f in (pd.concat([frame, untrained]), frame))
    assert both.effect == pytest.approx(first.effect)
    alone = pd.concat([frame[frame["paradigm"] != "reference"], untrained])
    found = LabelSlope(protocols=BOTH).measure(alone)
    assert (found.details["reference"], found.groups["random-init"]) == ("random-init", 2)


def test_only_tasks_and_networks_with_both_are_compared(frame):
    reference = frame["paradigm"] == "reference"
    found = LabelSlope(protocols=BOTH).measure(frame[~(reference & (frame["task"] == "ct-global-0"))])
    assert found.n_tasks == 5
    one = LabelSlope(protocols=BOTH).measure(frame[~(reference & (frame["architecture"] == "cnn"))])
    assert one.groups == {"self-supervised": 4, "supervised": 1}
    with pytest.raises(NotEnough, match="both pretrained and supervised"):
        LabelSlope(protocols=BOTH).measure(frame[reference == (frame["architecture"] == "cnn")])
    apart = frame[reference == (frame["modality"] == "ct")]
    with pytest.raises(NotEnough):
        LabelSlope(protocols=BOTH).measure(apart)
