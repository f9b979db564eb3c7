"""A gap between groups of encoders, beside plain differences of means."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from bench.analysis.estimands.gap import Gap, _filled, _standard, _varies, by_stratum, title
from bench.analysis.measurement import NotEnough
from bench.analysis.table import ScoreTable
from bench.analysis.units import Units
from tests.analysis.planted import SimulationDesign, plant

BOTH = ["linear", "dense-linear"]
PLAN = SimulationDesign(encoders=16, references=1, modalities=3, seeds=1, fractions=(0.1, 1.0), kind=4.0, network=7.0)
STRATA = ["small CNNs", "small transformers"]
PAIR = {"group": ["contrastive"], "against": ["generative"]}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return plant(PLAN)


def outcomes(frame: pd.DataFrame, budget: str = "100%") -> pd.DataFrame:
    """Global and dense score in points of each encoder, tasks alike within a kind: each modality has as many."""
    rows = frame[frame["primary"] & (frame["paradigm"] != "reference") & (frame["budget"] == budget)]
    return 100 * rows.pivot_table(index=["architecture", "paradigm", "encoder"], columns="kind", values="score")


def lead(y: pd.Series) -> pd.Series:
    """Contrastive less generative, in each network."""
    means = y.groupby(["architecture", "paradigm"]).mean().unstack()
    return means["contrastive"] - means["generative"]


@pytest.mark.parametrize("budget", ["10%", "100%"])
def test_a_gap_is_the_difference_of_means_within_networks(frame, budget):
    found = Gap(more="kind=global", less="kind=dense", protocols=BOTH, budget=budget, **PAIR).measure(frame)
    wide = outcomes(frame, budget)
    expected = lead(wide["global"] - wide["dense"])
    assert found.effect == pytest.approx(expected.mean()), "as many of each group in both networks"
    assert [s["stratum"] for s in found.details["by_stratum"]] == STRATA
    assert [s["effect"] for s in found.details["by_stratum"]] == pytest.approx(expected.tolist())
    assert found.details.keys() == {"by_stratum"}
    assert (found.n_encoders, found.n_tasks, found.n_modalities) == (8, 9, 3)
    assert found.groups == {"contrastive": 4, "generative": 4}


def test_what_is_drawn_is_the_outcome_within_the_network(frame):
    found = Gap(more="all", protocols=BOTH, **PAIR).measure(frame)
    y = outcomes(frame).mean(axis=1)
    y = y[y.index.get_level_values("paradigm").isin(["contrastive", "generative"])]
    y = (y - y.groupby("architecture").transform("mean")).reset_index("architecture").droplevel("paradigm")
    rows = {row["encoder"]: row for row in found.chart}
    assert {name: row["value"] for name, row in rows.items()} == pytest.approx(y[0].to_dict())
    assert {name: row["stratum"] for name, row in rows.items()} == (y["architecture"] + " small").to_dict()
    for name, row in rows.items():
        assert row.keys() == {"encoder", "paradigm", "stratum", "group", "value"}
        assert row["group"] == row["paradigm"] == name[:-3]


def test_contaminated_results_count_unless_a_claim_leaves_them_out(frame):
    names = frame["encoder"].isin(["contrastive-00", "contrastive-04"]) & (frame["modality"] == "ct")
    tainted = frame.assign(contaminated=np.where(names, "yes", "no"))
    tainted.loc[names, "score"] += 0.2
    every, some = (
        Gap(more="all", protocols=BOTH, **PAIR, **options).measure(tainted)
        for options in ({}, {"uncontaminated": True})
    )
    assert every.effect == pytest.approx(lead(outcomes(tainted).mean(axis=1)).mean())
    assert some.effect == pytest.approx(
        Gap(more="all", protocols=BOTH, **PAIR).measure(tainted[tainted["contaminated"] == "no"]).effect
    )
    assert some.effect < every.effect


def test_groups_may_be_corpora_and_are_called_so(frame):
    made = {"by": "in_domain", "group": ["True"], "against": ["False"]}
    found = Gap(more="all", protocols=BOTH, **made).measure(frame)
    assert set(found.groups) == {"medical-corpus", "natural-corpus"}
    unknown = frame.assign(in_domain=frame["in_domain"].astype(object).where(frame["encoder"] != "contrastive-00"))
    assert Gap(more="all", protocols=BOTH, **made).measure(unknown).n_encoders == found.n_encoders - 1
    with pytest.raises(NotEnough, match="no medical-corpus encoder"):
        Gap(more="all", protocols=BOTH, **made).measure(frame[frame["in_domain"] == False])  # noqa: E712


def test_a_diagnostic_is_a_slope_over_its_ranks_within_a_network(frame):
    wide = outcomes(frame)
    x = pd.Series(np.random.default_rng(0).normal(size=16), wide.index).sort_index()
    table = pd.DataFrame({"rankme": x.to_numpy()}, wide.index.get_level_values("encoder"))
    gap = Gap(more="kind=dense", less="kind=global", protocols=BOTH, diagnostic="rankme")
    found = gap.measure(frame, table)
    ranks = x.groupby("architecture").transform(lambda v: rankdata(v) - 4.5)
    y = (wide["dense"] - wide["global"]).sort_index()
    y -= y.groupby("architecture").transform("mean")
    assert found.effect == pytest.approx(np.polyfit(ranks / ranks.std(ddof=0), y, 1)[0])
    drawn = {row["encoder"]: (row["x"], row["y"]) for row in found.chart}
    for (_, _, name), a, b in zip(y.index, ranks / ranks.std(ddof=0), y, strict=True):
        assert drawn[name] == pytest.approx((a, b))
    assert found.groups == {"self-supervised": 16}
    assert found.details["x"] == "Effective rank (RankMe), rank among networks of its kind and size"
    assert found.details["y"] == "Dense less global score, points"
    one = Gap(more="all", protocols=BOTH, diagnostic="rankme").measure(frame, table.iloc[:-1])
    assert (one.n_encoders, one.details["y"]) == (15, "All score, points")
    for without in (None, table.rename(columns={"rankme": "dse"})):
        with pytest.raises(NotEnough, match=r"the effective rank .* was not computed"):
            gap.measure(frame, without)


def test_faint_lesions_are_set_against_plain_ones(frame):
    found = Gap(more="stratum=easy", less="stratum=subtle", protocols=["dense-linear"], **PAIR).measure(frame)
    rows = frame[~frame["primary"] & (frame["paradigm"] != "reference")]
    wide = 100 * rows.pivot_table(index=["architecture", "paradigm", "encoder"], columns="metric", values="value")
    easy = wide[["lesion_recall[>10%]", "dice[contrast=high]"]].mean(axis=1)
    subtle = wide[["lesion_recall[<0.5%]", "dice[contrast=low]"]].mean(axis=1)
    assert found.effect == pytest.approx(lead(easy - subtle).mean())


def test_what_is_missing_is_said(frame):
    with pytest.raises(NotEnough, match="no results under knn or few-shot at 10%"):
        Gap(more="all", protocols=["knn", "few-shot"], budget="10%", **PAIR).measure(frame)
    apart = (frame["paradigm"] == "contrastive") == (frame["architecture"] == "vit")
    with pytest.raises(NotEnough, match="holds encoders of both groups"):
        Gap(more="all", protocols=BOTH, **PAIR).measure(frame[apart])


def test_a_column_that_half_of_the_encoders_have_is_kept():
    values = np.zeros((4, 3, 1))
    values[:2, 1] = values[:3, 2] = np.nan
    table = ScoreTable(values, pd.DataFrame(index=list("abcd")), pd.DataFrame({"task": ["s", "t", "u"]}))
    assert list(_filled(table).columns["task"]) == ["s", "t"]
    with pytest.raises(NotEnough, match="half of these encoders"):
        _filled(ScoreTable(values[:, 2:], table.encoders, table.columns[2:]))


def test_ranks_have_one_standard_deviation_over_strata():
    x, blocks = np.array([5.0, 1.0, 1.0, 70.0, 80.0]), np.array(list("aaabb"))
    ranks = np.array([1 / 3, -0.5 / 3, -0.5 / 3, -0.25, 0.25])
    np.testing.assert_allclose(_standard(x, blocks), ranks / ranks.std())
    np.testing.assert_array_equal(_varies(np.array([1.0, 1.0, 1.0, 1.0, 2.0]), blocks), [False] * 3 + [True] * 2)


def test_the_effect_of_a_stratum_is_its_least_squares_slope():
    rng, blocks = np.random.default_rng(0), np.array(["vit base"] * 5 + ["cnn small"] * 4)
    x, y = rng.normal(size=9), rng.normal(size=9)
    units = Units(y[:, None], pd.DataFrame({"side": ["more"]}), np.ones(1))
    found = by_stratum(units, x, blocks)
    assert [s["encoders"] for s in found] == [4, 5]
    assert [s["effect"] for s in found] == pytest.approx(
        [np.polyfit(x[i], y[i], 1)[0] for i in (slice(5, 9), slice(5))]
    )


def test_what_groups_are_called():
    assert title(["contrastive"]) == "contrastive"
    assert title(["contrastive", "hybrid"]) == "contrastive or hybrid"
    assert title(["contrastive", "hybrid", "predictive"]) == "other"
    assert title(["True"]) == "medical-corpus"
