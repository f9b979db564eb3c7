import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bench.analysis.advisor import (
    OVERALL,
    TINY,
    Question,
    Recommendation,
    _confidence,
    advise,
    commercial,
    counts,
    together,
)  # fmt: skip
from bench.analysis.measurement import NotEnough
from bench.analysis.regret import regret_table
from bench.cli.advise import COMMAND as ADVISE
from bench.cli.analyze import COMMAND as ANALYZE
from tests.analysis.planted import SimulationDesign, plant

FRAME = plant(SimulationDesign(encoders=12, fractions=(0.01, 0.1, 1.0)))


def ask(frame=FRAME, **question):
    return advise(frame, Question(**{"modality": "ultrasound", "task": "segmentation", **question}))


def test_an_encoder_that_stands_out_is_named():
    frame = plant(SimulationDesign(encoders=12, modalities=4, encoder_sd=1, encoder_task_sd=1, encoder_kind_sd=0))
    best = frame["encoder"] == "hybrid-03"
    frame.loc[best, ["score"]] += 0.3
    answer = ask(frame)
    assert (answer.level, answer.tasks, answer.budgets) == ("direct", ["ultrasound-dense-0"], ["100%"])
    assert (answer.encoders[0].name, answer.together) == ("hybrid-03", 1)
    assert answer.headline == "hybrid-03 did best for ultrasound segmentation."


def test_without_differences_there_is_no_winner():
    alike = plant(SimulationDesign(encoders=12, encoder_sd=0, encoder_task_sd=3, encoder_kind_sd=0))
    answer = ask(alike)
    assert answer.together > 6
    assert answer.confidence == "low"
    assert answer.headline.startswith("No clear winner")


def test_references_are_never_advised():
    frame = FRAME.copy()
    frame.loc[frame["paradigm"] == "reference", "score"] = 0.99
    answer = ask(frame)
    assert {c.paradigm for c in answer.encoders}.isdisjoint({"reference"})
    assert {c.paradigm for c in answer.baselines} == {"reference"}
    assert any("do as well or better" in note for note in answer.notes)


def test_results_of_references_alone_are_told_apart_from_none():
    answer = ask(FRAME[FRAME["paradigm"] == "reference"])
    assert (answer.level, answer.encoders) == ("none", [])
    assert answer.notes == ["No self-supervised encoder has a result that counts; references alone advise nothing."]


def test_no_evidence_is_an_answer():
    for answer in (ask(FRAME[FRAME["kind"] == "global"]), ask(modality="pet")):
        assert (answer.level, answer.confidence) == ("none", "none")
        assert answer.headline == f"No evidence on {answer.question.modality} segmentation."
        assert answer.notes


def test_kind_and_modality_count_only_where_they_foretell():
    alike, apart = (
        plant(SimulationDesign(encoders=24, encoder_sd=5, encoder_task_sd=3, encoder_kind_sd=sd)) for sd in (0, 9)
    )
    assert ask(alike).overall
    assert OVERALL in ask(alike).notes
    orders = [
        [c.name for c in ask(alike, modality=m, task=t).encoders]
        for m, t in (("ct", "classification"), ("oct", "segmentation"))
    ]
    assert orders[0] == orders[1], "the overall order is one for all"
    assert not ask(apart).overall
    assert OVERALL not in ask(apart).notes


def test_too_few_results_are_said_to_be_too_few():
    few = FRAME[FRAME["encoder"].isin(["hybrid-03", "hybrid-07"])]
    answer = ask(few)
    assert answer.headline.startswith("Too little evidence on ultrasound segmentation: self-supervised encoders: 2,")
    assert (answer.encoders, answer.confidence) == ([], "none")
    with pytest.raises(NotEnough, match="too little"):
        regret_table(few)


def test_encoders_made_for_comparison_are_not_taken_for_ones_to_use():
    assert TINY in ask(FRAME.assign(controlled_track="own-v1")).notes
    assert TINY not in ask(FRAME.assign(controlled_track=None)).notes


def test_far_label_counts_are_said_to_be_extrapolated():
    assert any("You have 5000" in note for note in ask(labels=5000).notes)
    assert not any("You have" in note for note in ask(labels=50).notes)
    assert (ask(labels=50).budgets, ask(labels=4).budgets) == (["10%"], ["1%"])


def test_conditions_exclude_with_a_reason():
    frame = FRAME.copy()
    for column, name, value in (
        ("licence", "hybrid-03", "CC-BY-NC-4.0"), ("access", "hybrid-07", "gated"), ("size", "hybrid-11", 518),
        ("flops", "predictive-01", 1e12),
    ):  # fmt: skip
        frame.loc[frame["encoder"] == name, column] = value
    answer = ask(frame, commercial=True, open_access=True, max_size=224, max_gflops=50)
    assert answer.excluded == {
        "hybrid-03": "licence CC-BY-NC-4.0", "hybrid-07": "weights gated",
        "hybrid-11": "images of 518 pixels, over 224", "predictive-01": "1000.0 GFLOPs, over 50",
    }  # fmt: skip
    assert {c.name for c in answer.encoders}.isdisjoint(answer.excluded)


def test_contaminated_results_are_no_evidence():
    frame = FRAME.copy()
    mine = (frame["encoder"] == "hybrid-03") & (frame["modality"] == "ultrasound")
    frame.loc[mine & (frame["kind"] == "dense"), "contaminated"] = "yes"
    assert "hybrid-03" not in {c.name for c in ask(frame).encoders}


def test_real_images_count_before_synthetic_ones():
    real = FRAME[FRAME["modality"] == "ct"].assign(synthetic=False)
    both = pd.concat([real, FRAME[FRAME["modality"] != "ct"]])
    assert ask(both).level == "none"
    assert not ask(both, modality="ct").synthetic


def test_regret_by_hand_and_the_advisor_beats_chance():
    table = {r.policy: r for r in regret_table(plant(SimulationDesign(encoders=16)))}
    rows = plant(SimulationDesign(encoders=16))
    rows = rows[rows["primary"] & (rows["budget"] == "100%") & (rows["paradigm"] != "reference")]
    scores = 100 * rows.pivot_table(index="encoder", columns="task", values="score")
    assert table["random"].mean == pytest.approx((scores.max() - scores.mean()).mean())
    leave_one_out = [
        scores[t].max() - scores.loc[scores.drop(columns=t).mean(axis=1).idxmax(), t] for t in scores.columns
    ]
    assert table["overall best"].mean == pytest.approx(np.mean(leave_one_out))
    assert table["advisor"].mean < table["random"].mean
    assert all(r.low <= r.mean <= r.high for r in table.values())


def test_commands_print_and_write(tmp_path):
    path = tmp_path / "table.parquet"
    plant(SimulationDesign(encoders=8, modalities=2, seeds=1)).to_parquet(path)
    out = CliRunner().invoke(ANALYZE, ["--records", str(path), "--out", str(tmp_path / "o")], catch_exceptions=False)
    assert out.exit_code == 0
    assert "H1" in out.output
    assert (tmp_path / "o" / "analysis.json").stat().st_size > 1000
    options = ["--records", str(path), "--modality", "ct", "--task", "classification", "--labels", "20"]
    assert '"level": "direct"' in CliRunner().invoke(ADVISE, [*options, "--json"], catch_exceptions=False).output
    assert "Confidence" in CliRunner().invoke(ADVISE, options, catch_exceptions=False).output


def test_the_labels_of_the_evidence_are_the_fewest_and_the_most_of_its_tasks():
    frame = FRAME.astype({"n_labels": float})
    frame.loc[frame["task"] == "ct-global-0", "n_labels"] = 40 * frame["fraction"]
    frame.loc[frame["task"] == "ct-global-1", "n_labels"] = 900 * frame["fraction"]
    answer = ask(frame, modality="ct", task="classification")
    assert (answer.tasks, answer.used_labels) == (["ct-global-0", "ct-global-1"], (40, 900))
    far = ask(frame, modality="ct", task="classification", labels=60)
    assert (far.used_labels, far.budgets) == ((40, 90), ["10%", "100%"])
    assert not any("You have" in note for note in far.notes), "within a factor of two of both"
    near = ask(frame, modality="ct", task="classification", labels=81)
    assert any("You have 81 labelled images; the nearest evidence has 40 to 90." in note for note in near.notes)
    few = ask(frame, modality="ct", task="classification", labels=44)
    assert any("You have 44" in note for note in few.notes), "90 are more than twice 44"


def test_counts_and_licences_in_words():
    assert (counts(48, 48), counts(48, 1090)) == ("48", "48 to 1,090")
    licences = [
        "MIT",
        "CC-BY-4.0",
        "CC-BY-NC-SA-4.0",
        "Research only",
        "not stated",
        None,
        "proprietary",
        "Noncommercial",
    ]
    assert [commercial(text) for text in licences] == [True, True, *[False] * 6]


def test_who_cannot_be_told_apart_is_counted_from_the_first():
    def choice(score, error):
        return Recommendation(name="a", paradigm="hybrid", score=score, low=0.0, high=0.0, error=error)

    assert together([]) == 0
    assert together([choice(9.0, 0.3)]) == 1
    # 1.96 times the hypotenuse of .3 and .4 is .98.
    assert together([choice(9.0, 0.3), choice(8.03, 0.4), choice(8.01, 0.4), choice(8.03, 0.4)]) == 2
    assert together([choice(9.0, 0.3), choice(8.03, 0.4)]) == 2


def test_confidence_is_that_of_sources_and_of_standing_out():
    answer = ask()

    def confidence(**known):
        return _confidence(answer.model_copy(update={"level": "direct", "together": 1, "sources": 3, **known}))

    assert confidence(synthetic=False) == "high"
    assert confidence(synthetic=True) == "moderate"
    assert confidence(synthetic=False, sources=2) == "moderate"
    assert confidence(synthetic=False, sources=1) == confidence(synthetic=False, together=2) == "low"
    assert confidence(level="none") == confidence(encoders=[]) == "none"
