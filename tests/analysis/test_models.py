import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from bench.analysis.efficiency import LabelsNeeded, alc, label_efficiency, labels_to_reach, savings
from bench.analysis.mixed import fit_paradigm_by_kind
from bench.analysis.table import pick
from tests.analysis.planted import SimulationDesign, plant

BOTH = ("linear-v1", "dense-linear-v1")


def test_mixed_model_finds_the_planted_contrast_and_variances():
    plan = SimulationDesign(encoders=32, kind=10.0, encoder_sd=4, encoder_kind_sd=2, encoder_task_sd=3, seed_sd=0)
    fits = [fit_paradigm_by_kind(plant(plan, seed)) for seed in range(4)]
    # A lead of 10 on global tasks, and of 10 the other way on dense ones.
    assert np.mean([f.contrast for f in fits]) == pytest.approx(20, abs=1.5)
    shares = pd.DataFrame([f.variances for f in fits]).mean()
    total = 16 + 4 + 64 + 9
    expected = {"encoder": 16 / total, "encoder x kind": 4 / total, "task": 64 / total, "residual": 9 / total}
    assert shares.to_dict() == pytest.approx(expected, abs=0.08)


def test_mixed_model_equals_the_formula_interface():
    frame = plant(SimulationDesign(encoders=16, modalities=4, kind=5.0, sizes=(5e6, 22e6)))
    fit = fit_paradigm_by_kind(frame)
    rows = pick(frame, BOTH).assign(one=1, y=lambda f: 100 * f["score"], size=lambda f: np.log10(f["parameters"]))
    components = {"a": "0 + C(encoder)", "b": "0 + C(encoder):C(kind)", "c": "0 + C(task)"}
    model = smf.mixedlm("y ~ 0 + C(paradigm):C(kind) + size", rows, groups="one", vc_formula=components)
    names = {n: i for i, n in enumerate(model.exog_names)}
    beta = model.fit(method=["lbfgs", "powell"]).fe_params.to_numpy()
    cell = lambda p, k: beta[names[f"C(paradigm)[{p}]:C(kind)[{k}]"]]  # noqa: E731
    gap = {p: cell(p, "global") - cell(p, "dense") for p in ("contrastive", "generative")}
    assert fit.contrast == pytest.approx(gap["contrastive"] - gap["generative"], abs=1e-3)


def test_alc_of_a_straight_line_and_of_a_step_by_hand():
    n = np.array([1.0, 10.0, 1000.0])
    assert alc(n, np.array([0.2, 0.4, 0.8])) == pytest.approx(0.5)
    assert alc(n, np.array([0.0, 1.0, 1.0])) == pytest.approx((0.5 + 2) / 3)


def test_labels_to_reach_is_isotonic_and_censored():
    n = np.array([10.0, 100.0, 1000.0])
    assert labels_to_reach(n, np.array([0.2, 0.1, 0.5]), 0.325).n == pytest.approx(10**2.5)
    assert labels_to_reach(n, np.array([0.2, 0.3, 0.5]), 0.6) == LabelsNeeded(1000.0, "right")
    assert labels_to_reach(n, np.array([0.2, 0.3, 0.5]), 0.1) == LabelsNeeded(10.0, "left")


def test_savings_by_hand_and_its_bounds():
    n = np.array([10.0, 100.0, 1000.0])
    reference = np.array([0.2, 0.4, 0.6])
    same = savings(n, reference, reference)
    assert (same.factor, same.bound) == (pytest.approx(1.0), None)
    better = savings(n, np.array([0.4, 0.6, 0.8]), reference)
    assert (better.factor, better.bound) == (pytest.approx(10.0), None)
    assert savings(n, np.array([0.1, 0.2, 0.3]), reference).bound == "below"
    assert savings(n, np.array([0.9, 0.9, 0.9]), reference).bound == "above"


def test_label_efficiency_orders_a_saver_first():
    frame = plant(
        SimulationDesign(encoders=8, encoder_sd=0, encoder_task_sd=0, encoder_kind_sd=0, seed_sd=0, hybrid=6.0)
    )
    table = label_efficiency(frame, BOTH).set_index("encoder")
    assert table["alc"].idxmax().startswith("hybrid")
    assert table.loc["hybrid-03", "savings"] > 1.5
    assert table["reference"].nunique() == 1
