import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from bench.analysis import Verdict, evaluate
from bench.analysis.claim import Claim, read_ledger
from bench.analysis.estimands.dispersion import component
from bench.analysis.evaluate import estimand_of
from bench.analysis.measurement import Effort, Measurement, NotEnough
from bench.analysis.planted import Plan, plant, redraw, with_shift
from bench.analysis.sensitivity import variants
from bench.analysis.table import centred, counted, pick, tabulate, weights
from bench.analysis.verdict import judge
from bench.errors import CardError, UserError

QUICK = Effort(permutations=500, resamples=200)
LEDGER = {c.id: c for c in read_ledger()}


def verdicts(plan: Plan, seed: int = 0, **options) -> dict[str, Verdict]:
    return {v.id: v for v in evaluate(plant(plan, seed), effort=QUICK, sensitivity=False, **options)}


def test_the_ledger_has_four_confirmatory_claims_and_every_estimand_reads_its_settings():
    assert [c.id for c in LEDGER.values() if c.family == "confirmatory"] == ["H1", "H2", "H3", "H4"]
    assert {f"H{i}" for i in range(1, 11)} <= set(LEDGER)
    for claim in LEDGER.values():
        assert estimand_of(claim).name == claim.test


@pytest.mark.parametrize(("sign", "outcome"), [(1, "supported"), (-1, "contradicted")])
def test_planted_effects_of_either_sign_are_found(sign, outcome):
    found = verdicts(Plan(encoders=32, kind=12.0 * sign, slope=-3.0 * sign, subtle=9.0 * sign, modality=2.5))
    assert found["H1"].verdict == outcome
    assert found["H2"].verdict == outcome
    assert found["H3"].verdict == outcome
    assert found["H4"].verdict == "supported"
    assert found["H1"].effect == pytest.approx(12 * sign, abs=4)
    assert found["H2"].effect == pytest.approx(-3 * sign, abs=1)
    assert found["H3"].effect == pytest.approx(9 * sign, abs=3)
    assert found["H4"].effect == pytest.approx(2.5, abs=0.7)


def test_without_noise_the_effects_are_exact():
    still = Plan(
        encoders=16, kind=6.0, slope=-2.0, modality=2.0, encoder_sd=0, encoder_kind_sd=0, encoder_task_sd=0,
        encoder_slope_sd=0, task_slope_sd=0, encoder_loss_sd=0, seed_sd=0,
    )  # fmt: skip
    found = verdicts(dataclasses.replace(still, modality=0.0))
    assert found["H1"].effect == pytest.approx(6.0, abs=1e-6)
    assert found["H2"].effect == pytest.approx(-2.0, abs=1e-6)
    assert verdicts(still)["H4"].effect == pytest.approx(2.0, abs=1e-6)


def test_below_the_minimum_nothing_is_decided():
    found = verdicts(Plan(encoders=8, kind=30.0))
    assert found["H1"].verdict == "inconclusive"
    assert "2 contrastive encoders of at least 4" in found["H1"].reason


def test_an_empty_table_is_inconclusive_everywhere_and_serialises():
    empty = plant(Plan(encoders=4)).iloc[:0]
    found = evaluate(empty, effort=QUICK)
    assert {v.verdict for v in found} == {"inconclusive"}
    assert all(Verdict.model_validate_json(v.model_dump_json()) == v for v in found)
    json.dumps([v.model_dump(mode="json") for v in found], allow_nan=False)


def test_verdicts_are_deterministic_and_blind_to_row_order():
    frame = plant(Plan(encoders=12, kind=5.0), 3)
    again = frame.sample(frac=1.0, random_state=0).reset_index(drop=True)
    first, second = (evaluate(f, effort=QUICK, sensitivity=False) for f in (frame, again))
    assert [v.verdict for v in first] == [v.verdict for v in second]
    for a, b in zip(first, second, strict=True):
        assert (a.effect is None) == (b.effect is None)
        if a.effect is not None:
            assert a.effect == pytest.approx(b.effect, abs=1e-9)
        if a.p is not None:
            assert a.p == pytest.approx(b.p, abs=1e-9)


def test_n_counts_encoders_and_source_data_sets_never_rows():
    frame = plant(Plan(encoders=16))
    frame["origin"] = frame["modality"] + frame["kind"]
    found = {v.id: v for v in evaluate(frame, effort=QUICK, sensitivity=False)}
    assert (found["H1"].n_encoders, found["H1"].n_tasks) == (8, 16)
    assert found["H4"].n_encoders == 16


def test_tasks_left_out_do_not_count():
    frame = plant(Plan(encoders=16))
    broken = frame["task"] == "xray-global-0"
    frame.loc[broken, "left_out"] = "degenerate"
    frame.loc[broken, ["score", "value"]] = 0.0
    kept = frame[~broken]
    a, b = (evaluate(f, effort=QUICK, sensitivity=False)[0] for f in (frame, kept))
    assert (a.effect, a.n_tasks) == (b.effect, b.n_tasks)


def test_another_pretraining_seed_does_not_count_again():
    frame = plant(Plan(encoders=16))
    first = frame["encoder"].iloc[0]
    again = frame[frame["encoder"] == first].assign(encoder="again", repeat_of=first, score=0.0, value=0.0)
    a, b = (evaluate(f, effort=QUICK, sensitivity=False)[0] for f in (pd.concat([frame, again]), frame))
    assert (a.effect, a.n_encoders) == (b.effect, b.n_encoders)


def test_clinical_and_phantom_are_never_mixed():
    clinical = plant(Plan(encoders=16, kind=20.0, synthetic=False))
    phantom = plant(Plan(encoders=16, kind=-20.0)).assign(task=lambda f: "phantom-" + f["task"])
    both = pd.concat([clinical, phantom.assign(origin=phantom["task"])])
    verdict = evaluate(both, [LEDGER["H1"]], effort=QUICK)[0]
    assert verdict.effect == pytest.approx(evaluate(clinical, [LEDGER["H1"]], effort=QUICK)[0].effect)
    variant = next(s for s in verdict.sensitivity if "phantom" in s.choice)
    assert variant.effect == pytest.approx(evaluate(phantom, [LEDGER["H1"]], effort=QUICK)[0].effect)


def test_sensitivity_covers_placement_contamination_track_and_probe():
    frame = plant(Plan(encoders=16, protocols=("linear-v1", "dense-linear-v1", "knn-v1", "dense-retrieval-v1")))
    frame.loc[frame["encoder"].str.endswith("3"), "contaminated"] = "yes"
    frame["controlled_track"] = frame["encoder"].str[-1].isin(list("01234567")).map({True: "phantom", False: None})
    choices = " | ".join(s.choice for s in evaluate(frame, [LEDGER["H1"]], effort=QUICK)[0].sensitivity)
    for words in ("DINO-like", "DINOv2-like", "contaminated", "controlled track only", "nearest neighbours", "vit"):
        assert words in choices


def test_placement_moves_encoders_between_paradigms():
    frame = plant(Plan(encoders=16))
    variant = next(s for s in evaluate(frame, [LEDGER["H1"]], effort=QUICK)[0].sensitivity if "DINO-like" in s.choice)
    assert variant.n_encoders == 12


def test_a_missing_result_does_not_move_the_contrast_by_its_task_level():
    frame = plant(Plan(encoders=16, encoder_task_sd=0, seed_sd=0, encoder_kind_sd=0, encoder_sd=0))
    frame = frame[~((frame["encoder"] == "contrastive-00") & (frame["task"] == "mri-global-0"))]
    assert estimand_of(LEDGER["H1"]).measure(counted(frame), QUICK, None).effect == pytest.approx(0.0, abs=1e-9)


def test_shift_residual_finds_a_paradigm_that_breaks():
    plan = Plan(encoders=16, encoder_sd=2.0)
    broken = with_shift(plant(plan), {"contrastive": 10.0})
    claim = LEDGER["H9"]
    assert estimand_of(claim).measure(counted(broken), QUICK, None).p < 0.05
    assert estimand_of(claim).measure(counted(with_shift(plant(plan))), QUICK, None).effect < 1.0


def test_diagnostics_are_judged_against_both_sides():
    frame = plant(Plan(encoders=20, kind=0.0))
    rows = pick(frame, ["linear-v1"])
    scores = rows.groupby("encoder")["score"].mean()
    table = pd.DataFrame({"rankme": scores, "dse": -scores, "token_locality": scores})
    found = {v.id: v for v in evaluate(frame, diagnostics=table, effort=QUICK, sensitivity=False)}
    assert found["H7"].effect > 0
    assert found["H7"].details["tau"] == pytest.approx(1.0)


def test_a_group_that_is_missing_is_named_in_words():
    frame = plant(Plan(encoders=8)).assign(in_domain=True)
    with pytest.raises(NotEnough, match="no natural-corpus encoder"):
        estimand_of(LEDGER["H5"]).measure(counted(frame), QUICK, None)


def test_a_diagnostic_alike_for_all_orders_nothing():
    frame = counted(plant(Plan(encoders=8)))
    alike = pd.DataFrame({"rankme": 1.0}, index=frame["encoder"].unique())
    with pytest.raises(NotEnough, match="rankme is the same for all"):
        estimand_of(LEDGER["H7"]).measure(frame, QUICK, alike)


def test_weights_count_cells_then_origins_alike():
    columns = pd.DataFrame({
        "task": list("abcd"), "origin": ["o", "o", "p", "q"], "kind": "global", "side": "",
        "modality": ["ct", "ct", "ct", "mri"],
    })  # fmt: skip
    assert weights(columns) == pytest.approx([1 / 8, 1 / 8, 1 / 4, 1 / 2])


def test_table_centring_and_shape():
    table = centred(tabulate(pick(plant(Plan(encoders=8)), ["linear-v1"], budget="10%")))
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
    ],
)
def test_verdict_rule(effect, low, high, p, outcome):
    found = Measurement(effect=effect, low=low, high=high, p=p, **ENOUGH)
    assert judge(LEDGER["H1"], found, p)[0] == outcome


def test_holm_is_over_the_confirmatory_claims():
    found = verdicts(Plan(encoders=16, kind=8.0))
    confirmatory = [found[i] for i in ("H1", "H2", "H3", "H4")]
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
    frame = plant(Plan(encoders=8, references=0))
    with pytest.raises(NotEnough, match="no reference"):
        estimand_of(LEDGER["H2"]).measure(counted(frame), QUICK, None)


def test_redrawing_a_plan_is_planting_it():
    plan = Plan(encoders=8, modalities=3, kind=2.0)
    pd.testing.assert_frame_equal(redraw(plant(plan, 1), plan, 5), plant(plan, 5))


def test_variance_component_of_many_tables_is_that_of_each():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), [3, 4, 5])
    onehot = (np.arange(3)[:, None] == labels).astype(float)
    z = rng.normal(size=(6, 12, 2))
    assert component(z, onehot) == pytest.approx([component(one, onehot) for one in z])
    planted = [component(rng.normal(0, 2, (3, 1))[labels] + rng.normal(size=(12, 1)), onehot) for _ in range(2000)]
    assert np.mean(planted) == pytest.approx(4, rel=0.1)


def test_one_network_alone_is_compared_with_its_own_reference():
    frame = counted(plant(Plan(encoders=16, references=8)))
    alone = [(words[:3], chosen) for words, chosen, _ in variants(LEDGER["H2"], frame, frame) if words[:3] in NETWORKS]
    assert [name for name, _ in alone] == list(NETWORKS)
    for name, chosen in alone:
        assert set(chosen["architecture"]) == {name}
        assert (chosen["paradigm"] == "reference").any()
