"""Results as an array, on rows written by hand."""

import numpy as np
import pandas as pd
import pytest

from bench.analysis.table import (
    ScoreTable,
    centred,
    counted,
    covered,
    pick,
    tabulate,
    versions,
    without_succeeded,
)
from bench.budget import Budget
from bench.errors import UserError
from tests.analysis.planted import SimulationDesign, plant

NAN = float("nan")


@pytest.fixture(scope="module")
def frame():
    return plant(SimulationDesign(encoders=4, references=1, modalities=1, seeds=2, fractions=(0.1, 1.0)))


def table_of(values: np.ndarray, kinds: list[str], sides: list[str] | None = None) -> ScoreTable:
    names = [f"e{i}" for i in range(len(values))]
    columns = pd.DataFrame({"task": [f"t{i}" for i in range(len(kinds))], "kind": kinds, "side": sides or ""})
    return ScoreTable(values[:, :, None], pd.DataFrame({"paradigm": "hybrid"}, index=names), columns)


@pytest.mark.parametrize(
    ("missing", "kept"), [([], True), ([0], True), ([0, 1], False), ([2], True), ([2, 3], False), ([0, 2], True)]
)
def test_an_encoder_is_covered_with_half_of_the_columns_of_every_kind(missing, kept):
    values = np.zeros((2, 4))
    values[1, missing] = NAN
    found = covered(table_of(values, ["dense", "dense", "global", "global"]))
    assert list(found.encoders.index) == (["e0", "e1"] if kept else ["e0"])


def test_an_encoder_is_covered_on_both_sides():
    values = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, NAN]])
    sided = table_of(values, ["global"] * 3, ["more", "more", "less"])
    assert list(covered(sided).encoders.index) == ["e0"]
    assert list(covered(table_of(values, ["global"] * 3)).encoders.index) == ["e0", "e1"]
    assert list(covered(table_of(values, ["global"] * 3), share=0.7).encoders.index) == ["e0"]


def test_means_and_weighted_means_leave_out_what_is_missing():
    values = np.array([[[1.0, 3.0], [10.0, NAN]], [[NAN, NAN], [5.0, 7.0]], [[NAN, NAN], [NAN, NAN]]])
    table = ScoreTable(values, pd.DataFrame(index=list("abc")), pd.DataFrame({"task": ["s", "t"]}))
    np.testing.assert_array_equal(table.means, [[2, 10], [NAN, 6], [NAN, NAN]])
    np.testing.assert_allclose(table.weighted(np.array([0.25, 0.75])), [(1 + 3 + 30) / 5, 6, NAN])


def test_rows_of_one_cell_are_averaged_and_seeds_keep_their_place(frame):
    rows = pick(frame, ["linear"], budget=Budget("10%"))
    again = rows[(rows["encoder"] == "hybrid-03") & (rows["task"] == "xray-global-1") & (rows["seed"] == 1)]
    gone = (rows["encoder"] == "generative-02") & (rows["task"] == "xray-global-0") & (rows["seed"] == 0)
    changed = pd.concat([rows.assign(score=rows["score"].mask(gone)), again.assign(score=again["score"] + 0.1)])
    found = tabulate(changed)
    assert list(found.encoders.index) == ["contrastive-00", "generative-02", "hybrid-03", "predictive-01"]
    assert list(found.columns["task"]) == ["xray-global-0", "xray-global-1"]
    assert found.values.shape == (4, 2, 2)
    assert found.values[2, 1, 1] == pytest.approx(100 * again["score"].iloc[0] + 5)
    assert np.isnan(found.values[1, 0, 0])
    assert np.isfinite(found.values).sum() == 15
    assert tabulate(rows, value="value").values[0, 0, 0] == pytest.approx(100 * rows["value"].iloc[0])


def test_sides_become_columns_of_their_own(frame):
    rows = pick(frame, ["linear"])
    side = (rows["task"] == "xray-global-0").map({True: "more", False: "less"})
    found = tabulate(pd.concat([rows, rows]), pd.concat([side, side.map({"more": "less", "less": "more"})]))
    assert sorted(map(tuple, found.columns[["task", "side"]].to_numpy())) == [
        (f"xray-global-{i}", name) for i in (0, 1) for name in ("less", "more")
    ]
    assert found.n_origins == 2


def test_rows_are_picked_by_protocol_budget_split_metric_and_supervision(frame):
    shift = frame[frame["primary"]].assign(split="test-shift")
    both = pd.concat([frame, shift])
    at = lambda **options: pick(both, ["dense-linear"], **options)  # noqa: E731
    assert set(at()["budget"]) == {"100%"}
    assert (at()["primary"].all(), set(at()["split"])) == (True, {"test"})
    assert set(at(budget=None)["budget"]) == {"10%", "100%"}
    assert set(at(split="test-shift")["split"]) == {"test-shift"}
    assert not at(primary=False)["primary"].all()
    assert "reference" not in set(at()["paradigm"])
    assert "reference" in set(at(ssl=False)["paradigm"])
    assert set(at()["protocol"]) == {"dense-linear-v1"}


def test_two_versions_of_a_protocol_do_not_compare(frame):
    both = pd.concat([frame, frame.assign(protocol=frame["protocol"].str.replace("v1", "v2"))])
    assert versions(frame, ["linear-v9", "knn"]) == ["linear-v1"]
    with pytest.raises(UserError, match="linear-v1 and linear-v2 do not compare"):
        pick(both, ["linear"])


def test_what_is_left_out_or_trained_again_is_not_counted(frame):
    changed = frame.copy()
    changed.loc[changed["task"] == "xray-global-0", "left_out"] = "too easy"
    changed.loc[changed["encoder"] == "hybrid-03", "repeat_of"] = "another"
    found = counted(changed)
    assert "xray-global-0" not in set(found["task"])
    assert "hybrid-03" not in set(found["encoder"])
    assert len(counted(frame)) == len(frame)


def test_a_track_counts_where_its_successor_trained_no_such_network(frame):
    track = {"hybrid-03": "old-v1", "generative-02": "old-v1", "predictive-01": "new-v1"}
    network = {"hybrid-03": "vit", "generative-02": "cnn", "predictive-01": "vit"}
    changed = frame[frame["encoder"].isin([*track, "contrastive-00"])].copy()
    changed["controlled_track"] = changed["encoder"].map(track).astype("category")
    changed["architecture"] = changed["encoder"].map(network).fillna("vit")
    assert set(without_succeeded(changed, {"old-v1": "new-v1"})["encoder"]) == {*track, "contrastive-00"} - {
        "hybrid-03"
    }
    assert without_succeeded(changed, {"old-v1": "newer-v1"}).equals(changed)
    assert without_succeeded(changed, {}).equals(changed)


def test_centring_takes_the_mean_of_a_column_over_encoders_and_seeds():
    values = np.array([[[1.0, 3.0]], [[NAN, 8.0]]])
    table = ScoreTable(values, pd.DataFrame(index=["a", "b"]), pd.DataFrame({"task": ["t"]}))
    np.testing.assert_array_equal(centred(table).values, values - 4)
