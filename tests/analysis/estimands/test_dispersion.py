"""What is drawn of a spread between paradigms, beside plain means, and the spread that a second site leaves."""

import numpy as np
import pandas as pd
import pytest

from bench.analysis.estimands.dispersion import Dispersion
from bench.analysis.measurement import NotEnough
from bench.analysis.table import counted
from tests.analysis.planted import SimulationDesign, plant, with_shift

BOTH = ["linear", "dense-linear"]
PLAN = SimulationDesign(
    encoders=8, references=1, modalities=3, per_modality=(2, 2), seeds=1, fractions=(0.1, 1.0), architectures=("vit",),
    modality=4.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return plant(PLAN)


def points(frame: pd.DataFrame, budget: str = "100%") -> pd.DataFrame:
    """Scores in points of self-supervised encoders, each task centred."""
    rows = frame[frame["primary"] & (frame["paradigm"] != "reference") & (frame["budget"] == budget)]
    rows = rows.assign(y=100 * rows["score"])
    return rows.assign(y=rows["y"] - rows.groupby("task")["y"].transform("mean"))


def test_the_profile_of_a_paradigm_is_its_lead_in_a_modality_less_its_lead_in_all(frame):
    found = Dispersion(of="modality", protocols=BOTH).measure(frame)
    rows = points(frame)
    rows["y"] -= rows.groupby(["paradigm", "kind"])["y"].transform("mean")
    expected = rows.groupby(["paradigm", "modality"])["y"].mean()
    chart = pd.DataFrame(found.chart)
    assert list(chart.columns) == ["paradigm", "part", "value"]
    drawn = chart.set_index(["paradigm", "part"])["value"]
    assert len(drawn) == 4 * 3
    assert drawn.to_dict() == pytest.approx(expected.to_dict())
    assert (found.n_encoders, found.n_tasks, found.n_modalities) == (8, 12, 3)
    assert found.groups == {"contrastive": 2, "generative": 2, "hybrid": 2, "predictive": 2}


def test_the_budget_asked_for_is_measured(frame):
    found, full = (Dispersion(of="modality", protocols=BOTH, budget=b).measure(frame) for b in ("10%", "100%"))
    assert found.effect != pytest.approx(full.effect)
    assert Dispersion(of="modality", protocols=BOTH).measure(frame).effect == pytest.approx(full.effect)


def test_a_slope_is_drawn_once_for_each_paradigm(frame):
    found = Dispersion(of="label slope", protocols=BOTH).measure(frame)
    means = {b: points(frame, b).groupby(["paradigm", "kind"])["y"].mean() for b in ("10%", "100%")}
    expected = (means["100%"] - means["10%"]).groupby("paradigm").mean()  # one decade
    assert {row["part"] for row in found.chart} == {"label slope"}
    drawn = {row["paradigm"]: row["value"] for row in found.chart}
    assert drawn == pytest.approx(expected.to_dict())


def test_a_second_site_that_follows_the_first_leaves_nothing():
    """Whatever line joins the two sites, encoders and paradigms keep their places on it."""
    still = SimulationDesign(
        encoders=8, references=0, modalities=2, per_modality=(1, 1), seeds=1, fractions=(1.0,), encoder_task_sd=0,
        encoder_kind_sd=0, seed_sd=0, hybrid=5.0,
    )  # fmt: skip
    clean = plant(still)
    moved = clean[clean["primary"]].assign(split="test-shift", score=lambda f: 0.4 * f["score"] + 0.1)
    found = Dispersion(of="shift", protocols=BOTH).measure(pd.concat([clean, moved]))
    assert found.effect == pytest.approx(0, abs=1e-9)
    lost = moved.assign(score=moved["score"] - 0.05 * (moved["paradigm"] == "contrastive"))
    broken = Dispersion(of="shift", protocols=BOTH).measure(pd.concat([clean, lost]))
    drawn = {row["paradigm"]: row["value"] for row in broken.chart}
    assert min(drawn, key=drawn.get) == "contrastive"
    assert {row["part"] for row in broken.chart} == {"shift"}


def test_the_residual_is_that_of_one_line_within_strata():
    clean = plant(SimulationDesign(encoders=8, references=0, modalities=2, seeds=1, fractions=(1.0,)))
    frame = with_shift(clean, {"contrastive": 6.0})
    wide = {
        split: 100 * frame[frame["primary"] & (frame["split"] == split)].pivot_table(
            index=["architecture", "paradigm", "encoder"], columns="task", values="score"
        )
        for split in ("test", "test-shift")
    }  # fmt: skip
    x, y = wide["test"], wide["test-shift"]
    inside = [t.mean(axis=1) - t.mean(axis=1).groupby("architecture").transform("mean") for t in (x, y)]
    left = y - np.polyfit(*inside, 1)[0] * x
    left -= left.groupby("architecture").transform("mean")
    kinds = left.T.groupby(lambda task: task.split("-")[1]).mean().mean()
    expected = kinds.groupby("paradigm").mean()
    found = Dispersion(of="shift", protocols=BOTH).measure(frame)
    assert {row["paradigm"]: row["value"] for row in found.chart} == pytest.approx(expected.to_dict())


def test_what_is_missing_is_said(frame):
    with pytest.raises(NotEnough, match="shifted test set"):
        Dispersion(of="shift", protocols=BOTH).measure(frame)
    with pytest.raises(NotEnough, match="no results under knn at 100%"):
        Dispersion(of="modality", protocols=["knn"]).measure(frame)
    with pytest.raises(NotEnough, match="no results at label fractions"):
        Dispersion(of="label slope", protocols=["knn"]).measure(frame)
    with pytest.raises(NotEnough, match="holds two paradigms"):
        Dispersion(of="modality", protocols=BOTH).measure(frame[frame["paradigm"] == "hybrid"])


def test_a_stratum_of_one_paradigm_is_not_compared(frame):
    alone = counted(frame).assign(
        architecture=np.where(frame["encoder"].isin(["hybrid-03", "hybrid-07"]), "cnn", "vit")
    )
    found = Dispersion(of="modality", protocols=BOTH).measure(alone)
    assert (found.n_encoders, "hybrid" in found.groups) == (6, False)
