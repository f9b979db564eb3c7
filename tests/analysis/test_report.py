"""Every part of a report stands under its name and is that of the function that computes it."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from bench.analysis import pictures
from bench.analysis.agreement import concordance, tau_matrix
from bench.analysis.claim import read_ledger
from bench.analysis.measurement import NotEnough
from bench.analysis.mixed import fit_paradigm_by_kind
from bench.analysis.report import analyse, charts
from bench.analysis.variance import variance_shares
from tests.analysis.planted import SimulationDesign, plant

CLAIMS = read_ledger()[:1]
FRAME = plant(SimulationDesign(encoders=8, modalities=3, seeds=1, fractions=(0.1, 1.0)))


@pytest.fixture(scope="module")
def found():
    names = sorted(FRAME["encoder"].unique())
    table = pd.DataFrame({"rankme": np.arange(len(names), dtype=float)}, index=names)
    return analyse(FRAME, CLAIMS, diagnostics=table)


def test_parts_are_those_of_their_functions(found):
    assert list(found) == [
        *("verdicts", "variance", "mixed_model", "concordance", "tau_by_modality", "tau_by_protocol"),
        *("label_efficiency", "advisor_regret", "foretelling"),
    ]
    assert [v["id"] for v in found["verdicts"]] == ["H1"]
    assert found["variance"].keys() == found["concordance"].keys() == {"global", "dense"}
    assert found["variance"]["dense"] == asdict(variance_shares(FRAME, ("dense-linear",)))
    assert found["concordance"]["global"] == concordance(FRAME, ["linear"])
    assert found["mixed_model"] == asdict(fit_paradigm_by_kind(FRAME))
    by_modality = tau_matrix(FRAME, "modality", ["linear", "dense-linear"])
    assert pd.DataFrame(found["tau_by_modality"]).to_numpy() == pytest.approx(by_modality.to_numpy())
    assert set(found["tau_by_protocol"]["linear-v1"]) == {"linear-v1", "dense-linear-v1"}
    json.dumps(found, allow_nan=False)


def test_diagnostics_are_set_against_the_boards(found):
    told = {(r["diagnostic"], r["board"]): r["tau"] for r in found["foretelling"]}
    assert told.keys() == {(d, b) for d in ("rankme", "parameters") for b in ("global", "dense")}
    assert told["parameters", "global"] is told["parameters", "dense"] is None, "alike for all: no order"


def test_what_cannot_be_measured_is_none_and_no_number():
    """Half of the encoders on one modality, the others on another: no order in common."""
    rows = FRAME[(FRAME["paradigm"] != "reference") & (FRAME["modality"] != "mri")]
    some = sorted(rows["encoder"].unique())[:4]
    found = analyse(rows[rows["encoder"].isin(some) == (rows["modality"] == "ct")], CLAIMS)
    assert found["tau_by_modality"] == {"ct": {"ct": 1.0, "xray": None}, "xray": {"ct": None, "xray": 1.0}}
    assert found["concordance"]["global"] == {"missing": "fewer than three encoders have every task"}
    assert found["foretelling"] == [], "no diagnostics were given"
    json.dumps(found, allow_nan=False)


def test_clinical_results_go_before_phantoms(monkeypatch):
    monkeypatch.setattr("bench.analysis.report.evaluate", lambda *given, **options: [])
    real = FRAME[FRAME["modality"] != "mri"].assign(synthetic=False)
    both = pd.concat([FRAME, real.assign(task="real-" + real["task"], origin="real-" + real["origin"])])
    assert analyse(both, CLAIMS)["variance"]["global"] == asdict(variance_shares(real, ("linear",)))


def test_pictures_that_the_results_allow_are_named(found, monkeypatch):
    def lacking(frame):
        raise NotEnough("no dense results")

    for name in ("verdicts", "plane", "curves", "by_stratum", "modality_map", "critical_difference"):
        monkeypatch.setattr(pictures, name, lambda *given, drawn=name: (drawn, *given[1:]))
    monkeypatch.setattr(pictures, "pareto", lacking)
    assert dict(charts(FRAME, found)) == {
        "verdicts": ("verdicts",), "plane": ("plane",), "label-curves": ("curves",), "strata": ("by_stratum",),
        "modality": ("modality_map",), "critical-difference-global": ("critical_difference", "linear"),
        "critical-difference-dense": ("critical_difference", "dense-linear"),
    }  # fmt: skip
