"""Which results each other choice keeps, on a table small enough to say it."""

import pandas as pd
import pytest

from bench.analysis.claim import Minimum, read_ledger
from bench.analysis.evaluate import evaluate
from bench.analysis.sensitivity import settings, variants
from bench.budget import Budget
from tests.analysis.planted import SimulationDesign, plant

NO = None
COLUMNS = [
    "encoder",
    "paradigm",
    "objective",
    "contaminated",
    "controlled_track",
    "comparable",
    "architecture",
    "pooling",
]
MAIN = pd.DataFrame([
    ("a", "contrastive", "instance-contrastive", "no", NO, NO, "vit", "cls"),
    ("b", "predictive", "self-distillation", "yes", "phantom", "set", "vit", "mean"),
    ("c", "hybrid", "self-distillation+masked-tokens", "unknown", "phantom", NO, "cnn", "mean"),
    ("r", "reference", "supervised", "unknown", NO, NO, "cnn", "mean"),
    ("p", "reference", "pixels", "no", NO, NO, "none", NO),
], columns=COLUMNS).assign(synthetic=False)  # fmt: skip
LEDGER = {c.id: c for c in read_ledger()}
NEAR, ATTENTIVE = "nearest neighbours instead of linear probes", "attentive instead of linear probe"
PARTS = [("global", "knn-v1", 1), ("dense", "dense-retrieval-v1", -1)]


def kept(frame: pd.DataFrame, everything: pd.DataFrame | None = None) -> dict[str, str]:
    whole = frame if everything is None else everything
    return {words: "".join(found["encoder"]) for words, found in variants(whole, frame)}


def test_every_choice_keeps_the_rows_it_names():
    assert kept(MAIN) == {
        "self-distillation (DINO-like) counted as contrastive": "abcrp",
        "self-distillation with masked tokens (DINOv2-like) counted as predictive": "abcrp",
        "self-distillation counted as hybrid": "abcrp",
        "contaminated cells left out": "acrp",
        "only cells known to be clean": "arp",
        "controlled track only": "bcrp",
        "without the controlled track": "arp",
        "public sets that differ in the objective alone": "brp",
        "vit encoders only": "abp",
        "cnn encoders only": "crp",
        "encoders with cls pooling only": "arp",
        "encoders with mean pooling only": "bcrp",
    }


def test_placements_move_the_named_objective_and_no_other():
    moved = {
        words: dict(zip(f["encoder"], f["paradigm"].astype(str), strict=True)) for words, f in variants(MAIN, MAIN)
    }
    before = dict(zip(MAIN["encoder"], MAIN["paradigm"], strict=True))
    found = {words: {k: v for k, v in new.items() if v != before[k]} for words, new in moved.items()}
    assert {words: new for words, new in found.items() if new} == {
        "self-distillation (DINO-like) counted as contrastive": {"b": "contrastive"},
        "self-distillation with masked tokens (DINOv2-like) counted as predictive": {"c": "predictive"},
        "self-distillation counted as hybrid": {"b": "hybrid"},
    }


def test_a_choice_that_changes_nothing_is_none():
    plain = MAIN.assign(
        objective="supervised", contaminated="no", controlled_track=None, comparable=None, pooling="mean",
    )[MAIN["architecture"] != "cnn"]  # fmt: skip
    assert kept(plain) == {}
    assert kept(plain.assign(contaminated="unknown")) == {}, "nothing is known to be clean"
    assert kept(plain.assign(controlled_track="phantom", comparable="set")) == {}, "all are of the track"
    assert kept(plain.assign(contaminated="yes")) == {"contaminated cells left out": ""}
    assert kept(plain.drop(columns="pooling")) == {}


def test_phantoms_stand_for_clinical_results_where_both_are_there():
    phantoms = MAIN.iloc[:2].assign(synthetic=True, encoder=["x", "y"])
    words = "phantom tasks instead of clinical ones"
    assert kept(MAIN, pd.concat([MAIN, phantoms]))[words] == "xy"
    assert words not in kept(MAIN)


def under(*protocols: str, budgets: tuple[str, ...] = ("100%",)) -> pd.DataFrame:
    rows = [(p, Budget(b), Budget(b).share) for p in protocols for b in budgets]
    return pd.DataFrame(rows, columns=["protocol", "budget", "fraction"])


def changes(claim: str, main: pd.DataFrame) -> dict[str, list]:
    return {words: list(new.values()) for words, new in settings(LEDGER[claim], main)}


def test_a_claim_at_all_labels_is_asked_at_a_tenth_where_some_results_have_it():
    some = under("linear-v1", "dense-linear-v1", budgets=("1%", "10%", "100%"))
    assert changes("H1", some) == {"10 % of the labels": [{"budget": "10%"}] * 2}
    assert changes("H4", some) == {"10 % of the labels": [{"budget": "10%"}]}
    assert changes("H1", under("linear-v1", "dense-linear-v1", budgets=("1%", "100%"))) == {}
    assert changes("H2", some) == {}, "asked over all budgets"


def test_each_part_of_a_claim_is_asked_under_its_own_other_probe():
    knn = under("linear-v1", "dense-linear-v2", "knn-v1", "dense-retrieval-v2")
    assert dict(settings(LEDGER["H1"], knn)) == {
        NEAR: {
            "contrastive leads on global tasks": {"protocols": ["knn"]},
            "generative leads on dense tasks": {"protocols": ["dense-retrieval"]},
        }
    }
    assert changes("H1", knn[knn["protocol"] != "knn-v1"]) == {NEAR: [{"protocols": ["dense-retrieval"]}]}
    assert changes("H4", knn) == {NEAR: [{"protocols": ["knn", "dense-retrieval"]}]}
    assert changes("H4", knn[knn["protocol"] != "knn-v1"]) == {}
    attentive = under("linear-v1", "dense-linear-v1", "attentive-v1")
    assert dict(settings(LEDGER["H1"], attentive)) == {
        ATTENTIVE: {"contrastive leads on global tasks": {"protocols": ["attentive"]}}
    }, "there is no other dense probe"
    assert changes("H4", attentive) == {ATTENTIVE: [{"protocols": ["attentive", "dense-linear"]}]}
    assert changes("H4", attentive[attentive["protocol"] != "dense-linear-v1"]) == {}
    every = under("linear-v1", "dense-linear-v1", "knn-v1", "dense-retrieval-v1", "attentive-v1")
    assert changes("H6", every) == {}, "a claim about protocols keeps its own"
    assert changes("H3", every).keys() == {NEAR}, "no linear probe of global vectors is asked for"


def test_a_probe_that_was_run_at_other_budgets_alone_does_not_stand_for_both_kinds():
    few = pd.concat([under("linear-v1", "dense-linear-v1", "knn-v1"), under("dense-retrieval-v1", budgets=("k=4",))])
    assert changes("H4", few) == changes("H2", few) == {}
    assert changes("H1", few) == {NEAR: [{"protocols": ["knn"]}]}
    some = pd.concat([few, under("dense-retrieval-v1", budgets=("5%",))])
    assert changes("H4", some) == {}
    assert changes("H2", some) == {NEAR: [{"protocols": ["knn", "dense-retrieval"]}]}


@pytest.mark.parametrize("name", ["knn", "attentive"])
def test_a_probe_that_is_not_linear_has_no_other(name):
    claim = LEDGER["H4"].model_copy(update={"settings": {"protocols": ["few-shot"]}})
    assert not list(settings(claim, under("few-shot-v1", f"{name}-v1")))


def test_both_parts_are_measured_with_nearest_neighbours():
    protocols = ("linear-v1", "dense-linear-v1", "knn-v1", "dense-retrieval-v1")
    frame = plant(
        SimulationDesign(encoders=8, protocols=protocols, modalities=2, fractions=(1.0,), architectures=("vit",))
    )
    claim = LEDGER["H1"].model_copy(update={"minimum": Minimum(tasks=1, encoders=1, per_group=1)})
    near = {v.part: v for v in evaluate(frame, [claim])[0].sensitivity if v.choice == NEAR}
    for part, (kind, names, sign) in zip(claim.parts, PARTS, strict=True):
        rows = frame[(frame["protocol"] == names) & frame["primary"]]
        means = 100 * rows.groupby("paradigm")["score"].mean()
        expected = sign * (means["contrastive"] - means["generative"])
        assert near[part].effect == pytest.approx(expected), kind
