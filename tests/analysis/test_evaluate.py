import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from bench.analysis import Verdict, evaluate
from bench.analysis.claim import Claim, read_ledger, read_note
from bench.analysis.evaluate import estimand_of
from bench.analysis.measurement import Measurement, NotEnough
from bench.analysis.sensitivity import variants
from bench.analysis.table import centred, counted, pick, tabulate, weights
from bench.analysis.verdict import judge
from bench.errors import CardError, UserError
from tests.analysis.planted import SimulationDesign, plant, with_shift

LEDGER = {c.id: c for c in read_ledger()}


def verdicts(plan: SimulationDesign, seed: int = 0, **options) -> dict[str, Verdict]:
    return {v.id: v for v in evaluate(plant(plan, seed), sensitivity=False, **options)}


def test_the_ledger_has_four_confirmatory_claims_and_every_estimand_reads_its_settings():
    assert [c.id for c in LEDGER.values() if c.family == "confirmatory"] == ["H1", "H2", "H3", "H4"]
    assert not set(read_note().retired) & set(LEDGER)
    for claim in LEDGER.values():
        assert {estimand_of(claim, part).name for part in claim.asked} == {claim.test}


@pytest.mark.parametrize(("sign", "outcome"), [(1, "supported"), (-1, "contradicted")])
def test_planted_effects_of_either_sign_are_found(sign, outcome):
    found = verdicts(
        SimulationDesign(
            encoders=32, per_modality=(2, 2), kind=12.0 * sign, slope=-3.0 * sign, subtle=9.0 * sign, modality=2.5
        )
    )
    assert found["H1"].verdict == outcome
    assert found["H2"].verdict == outcome
    assert found["H3"].verdict == outcome
    assert found["H4"].verdict == "supported"
    assert [part.effect for part in found["H1"].parts] == pytest.approx([12 * sign] * 2, abs=4)
    assert found["H2"].effect == pytest.approx(-3 * sign, abs=1)
    assert found["H3"].effect == pytest.approx(9 * sign, abs=3)
    assert found["H4"].effect == pytest.approx(2.5, abs=0.7)


def test_without_noise_the_effects_are_exact():
    still = SimulationDesign(
        encoders=16, kind=6.0, slope=-2.0, modality=2.0, encoder_sd=0, encoder_kind_sd=0, encoder_task_sd=0,
        encoder_slope_sd=0, task_slope_sd=0, encoder_loss_sd=0, seed_sd=0,
    )  # fmt: skip
    found = verdicts(dataclasses.replace(still, modality=0.0))
    assert [part.effect for part in found["H1"].parts] == pytest.approx([6.0, 6.0], abs=1e-6)
    assert found["H2"].effect == pytest.approx(-2.0, abs=1e-6)
    assert verdicts(still)["H4"].effect == pytest.approx(2.0, abs=1e-6)


def test_below_the_minimum_nothing_is_decided():
    found = verdicts(SimulationDesign(encoders=8, kind=30.0))
    assert (found["H1"].verdict, found["H1"].effect) == ("not measured", None)
    assert "2 contrastive encoders where 4 are needed" in found["H1"].reason


def test_an_empty_table_measures_nothing_and_serialises():
    empty = plant(SimulationDesign(encoders=4)).iloc[:0]
    found = evaluate(empty)
    assert {v.verdict for v in found} == {"not measured"}
    assert all(Verdict.model_validate_json(v.model_dump_json()) == v for v in found)
    json.dumps([v.model_dump(mode="json") for v in found], allow_nan=False)


def test_verdicts_are_deterministic_and_blind_to_row_order():
    frame = plant(SimulationDesign(encoders=12, kind=5.0), 3)
    again = frame.sample(frac=1.0, random_state=0).reset_index(drop=True)
    first, second = (evaluate(f, sensitivity=False) for f in (frame, again))
    assert [v.verdict for v in first] == [v.verdict for v in second]
    for a, b in zip(first, second, strict=True):
        assert (a.effect is None) == (b.effect is None)
        if a.effect is not None:
            assert a.effect == pytest.approx(b.effect, abs=1e-9)
        if a.p is not None:
            assert a.p == pytest.approx(b.p, abs=1e-9)


def test_n_counts_encoders_and_source_data_sets_never_rows():
    frame = plant(SimulationDesign(encoders=16))
    frame["origin"] = frame["modality"] + frame["kind"]
    found = {v.id: v for v in evaluate(frame, sensitivity=False)}
    assert (found["H12"].n_encoders, found["H12"].n_tasks) == (16, 16)
    assert found["H4"].n_encoders == 16


def test_tasks_left_out_do_not_count():
    frame = plant(SimulationDesign(encoders=16))
    broken = frame["task"] == "xray-global-0"
    frame.loc[broken, "left_out"] = "degenerate"
    frame.loc[broken, ["score", "value"]] = 0.0
    kept = frame[~broken]
    a, b = (evaluate(f, sensitivity=False)[0] for f in (frame, kept))
    assert (a.effect, a.n_tasks) == (b.effect, b.n_tasks)


def test_another_pretraining_seed_does_not_count_again():
    frame = plant(SimulationDesign(encoders=16))
    first = frame["encoder"].iloc[0]
    again = frame[frame["encoder"] == first].assign(encoder="again", repeat_of=first, score=0.0, value=0.0)
    a, b = (evaluate(f, sensitivity=False)[0] for f in (pd.concat([frame, again]), frame))
    assert (a.effect, a.n_encoders) == (b.effect, b.n_encoders)


def test_clinical_and_phantom_are_never_mixed():
    clinical = plant(SimulationDesign(encoders=16, hybrid=20.0, synthetic=False))
    phantom = plant(SimulationDesign(encoders=16, hybrid=-20.0)).assign(task=lambda f: "phantom-" + f["task"])
    both = pd.concat([clinical, phantom.assign(origin=phantom["task"])])
    verdict = evaluate(both, [LEDGER["H12"]])[0]
    assert verdict.effect == pytest.approx(evaluate(clinical, [LEDGER["H12"]])[0].effect)
    variant = next(s for s in verdict.sensitivity if "phantom" in s.choice)
    assert variant.effect == pytest.approx(evaluate(phantom, [LEDGER["H12"]])[0].effect)


def test_sensitivity_covers_placement_contamination_track_and_probe():
    frame = plant(
        SimulationDesign(encoders=24, protocols=("linear-v1", "dense-linear-v1", "knn-v1", "dense-retrieval-v1"))
    )
    frame.loc[frame["encoder"].str.endswith("3"), "contaminated"] = "yes"
    frame["controlled_track"] = (frame["encoder"].str[-2:] < "16").map({True: "phantom", False: None})
    choices = " | ".join(s.choice for s in evaluate(frame, [LEDGER["H1"]])[0].sensitivity)
    for words in ("DINO-like", "DINOv2-like", "contaminated", "controlled track only", "nearest neighbours", "vit"):
        assert words in choices


def test_placement_moves_encoders_between_paradigms():
    frame = plant(SimulationDesign(encoders=16))
    variant = next(s for s in evaluate(frame, [LEDGER["H1"]])[0].sensitivity if "DINO-like" in s.choice)
    assert variant.n_encoders == 12


def test_a_missing_result_does_not_move_the_contrast_by_its_task_level():
    frame = plant(SimulationDesign(encoders=16, encoder_task_sd=0, seed_sd=0, encoder_kind_sd=0, encoder_sd=0))
    frame = frame[~((frame["encoder"] == "contrastive-00") & (frame["task"] == "mri-global-0"))]
    assert estimand_of(LEDGER["H1"]).measure(counted(frame), None).effect == pytest.approx(0.0, abs=1e-9)


def test_shift_residual_finds_a_paradigm_that_breaks():
    plan = SimulationDesign(encoders=16, encoder_sd=2.0)
    broken = with_shift(plant(plan), {"contrastive": 10.0})
    claim = LEDGER["H9"]
    assert estimand_of(claim).measure(counted(broken), None).p < 0.05
    assert estimand_of(claim).measure(counted(with_shift(plant(plan))), None).effect < 1.0


def test_diagnostics_are_judged_against_both_sides():
    frame = plant(SimulationDesign(encoders=32, encoder_sd=0.5, encoder_kind_sd=4.0))
    rows = pick(frame, ["linear-v1"])
    scores = rows.groupby("encoder")["score"].mean()
    table = pd.DataFrame({"rankme": scores, "dse": -scores, "token_locality": scores})
    found = {v.id: v for v in evaluate(frame, diagnostics=table, sensitivity=False)}
    assert found["H7"].effect > 0 > found["H7b"].effect


def test_a_group_that_is_missing_is_named_in_words():
    frame = plant(SimulationDesign(encoders=8)).assign(in_domain=True)
    with pytest.raises(NotEnough, match="no natural-corpus encoder"):
        estimand_of(LEDGER["H5"]).measure(counted(frame), None)


def test_a_diagnostic_alike_for_all_orders_nothing():
    frame = counted(plant(SimulationDesign(encoders=8)))
    alike = pd.DataFrame({"rankme": 1.0}, index=frame["encoder"].unique())
    with pytest.raises(NotEnough, match="does not vary within a stratum"):
        estimand_of(LEDGER["H7"]).measure(frame, alike)


def test_weights_count_cells_then_origins_alike():
    columns = pd.DataFrame({
        "task": list("abcd"), "origin": ["o", "o", "p", "q"], "kind": "global", "side": "",
        "modality": ["ct", "ct", "ct", "mri"],
    })  # fmt: skip
    assert weights(columns) == pytest.approx([1 / 8, 1 / 8, 1 / 4, 1 / 2])


def test_table_centring_and_shape():
    table = centred(tabulate(pick(plant(SimulationDesign(encoders=8)), ["linear-v1"], budget="10%")))
    assert table.values.shape == (8, 16, 3)
    assert np.nanmean(table.values, axis=(0, 2)) == pytest.approx(np.zeros(16), abs=1e-9)


NETWORKS = ("vit", "cnn")
ENOUGH = {"n_encoders": 20, "n_tasks": 20, "n_modalities": 8, "groups": {"a": 10, "b": 10}}


@pytest.mark.parametrize(
    ("effect", "low", "high", "p", "outcome"),
    [
        (5.0, 1.0, 9.0, 0.01, "supported"),
        (5.0, 1.0, 9.0, 0.20, "inconclusive"),
        (5.0, -1.0, 9.0, 0.01, "inconclusive"),
        (-5.0, -9.0, -1.0, 0.01, "contradicted"),
        (0.1, -1.0, 1.5, 0.90, "contradicted"),
        (0.1, -4.0, 5.0, 0.90, "inconclusive"),
        (1.0, 0.1, 1.9, 0.01, "supported"),
        (1.0, 0.0, 4.0, 0.03, "inconclusive"),
        (1.0, None, None, None, "not measured"),
    ],
)
def test_verdict_rule(effect, low, high, p, outcome):
    found = Measurement(effect=effect, low=low, high=high, p=p, **ENOUGH)
    assert judge(LEDGER["H12"], {"": found}, p)[0] == outcome


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ((4.0, 1.0, 7.0), (4.0, 1.0, 7.0), "supported"),
        ((4.0, 1.0, 7.0), (1.0, -2.0, 4.0), "inconclusive"),
        ((4.0, 1.0, 7.0), (-4.0, -7.0, -1.0), "contradicted"),
    ],
)
def test_a_claim_of_two_parts_needs_both(first, second, outcome):
    parts = zip(LEDGER["H1"].parts, (first, second), strict=True)
    found = {name: Measurement(*numbers, p=0.01, **ENOUGH) for name, numbers in parts}
    assert judge(LEDGER["H1"], found, 0.01)[0] == outcome


def test_strata_that_disagree_are_named():
    strata = [
        {"stratum": "vit base", "effect": -1.0, "encoders": 9},
        {"stratum": "cnn small", "effect": 2.0, "encoders": 4},
    ]
    found = Measurement(1.0, -4.0, 5.0, 0.9, **ENOUGH, details={"by_stratum": strata})
    assert (
        "-1.00 in vit base (9 encoders), +2.00 in cnn small (4 encoders)" in judge(LEDGER["H12"], {"": found}, 0.9)[1]
    )


def test_a_difference_between_networks_is_nobodys_paradigm():
    """CNNs lead by 30; were paradigms compared across networks, an uneven deal of them would show it."""
    frame = plant(
        SimulationDesign(encoders=32, network=30.0, encoder_sd=0, encoder_kind_sd=0, encoder_task_sd=0, seed_sd=0)
    )
    uneven = frame[~frame["encoder"].isin(["hybrid-03", "hybrid-11", "hybrid-19"])]  # transformers all
    assert evaluate(uneven, [LEDGER["H12"]], sensitivity=False)[0].effect == pytest.approx(0.0, abs=1e-9)
    apart = frame[(frame["paradigm"] == "hybrid") == (frame["architecture"] == "cnn")]
    found = evaluate(apart, [LEDGER["H12"]], sensitivity=False)[0]
    assert found.verdict == "not measured"
    assert "no stratum of network and size holds encoders of both groups" in found.reason


def test_holm_is_over_the_confirmatory_claims():
    found = verdicts(SimulationDesign(encoders=16, kind=8.0))
    confirmatory = [found[i] for i in ("H1", "H2", "H3", "H4")]
    assert found["H1"].p == pytest.approx(max(part.p for part in found["H1"].parts))
    ordered = sorted(confirmatory, key=lambda v: v.p)
    running = 0.0
    for i, v in enumerate(ordered):
        running = max(running, min(1.0, (4 - i) * v.p))
        assert v.p_holm == pytest.approx(running)
    assert found["H12"].p_holm == found["H12"].p


def test_a_claim_with_an_unknown_key_or_test_is_refused():
    values = LEDGER["H1"].model_dump(by_alias=True)
    with pytest.raises(CardError, match="did you mean 'margin'"):
        Claim.parse({**values, "margn": 1.0}, where="x.toml")
    with pytest.raises(UserError, match="unknown test"):
        estimand_of(Claim.parse({**values, "test": "gapp"}, where="x.toml"))
    with pytest.raises(CardError, match="unknown key"):
        estimand_of(LEDGER["H1"], nonsense=1)


def test_no_reference_means_no_label_gain():
    frame = plant(SimulationDesign(encoders=8, references=0))
    with pytest.raises(NotEnough, match="no reference"):
        estimand_of(LEDGER["H2"]).measure(counted(frame), None)


def test_one_network_alone_is_compared_with_its_own_reference():
    frame = counted(plant(SimulationDesign(encoders=16, references=8)))
    alone = [(words[:3], chosen) for words, chosen in variants(frame, frame) if words[:3] in NETWORKS]
    assert [name for name, _ in alone] == list(NETWORKS)
    for name, chosen in alone:
        assert set(chosen["architecture"]) == {name}
        assert (chosen["paradigm"] == "reference").any()
