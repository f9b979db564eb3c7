import numpy as np
import pytest
from click.testing import CliRunner

from bench.analysis.advisor import Question, advise, task_spread
from bench.analysis.planted import Plan, plant
from bench.analysis.regret import regret_table
from bench.analysis.table import pick, tabulate
from bench.cli.advise import COMMAND as ADVISE
from bench.cli.analyze import COMMAND as ANALYZE

FRAME = plant(Plan(encoders=12, fractions=(0.01, 0.1, 1.0)))


def ask(frame=FRAME, **question):
    return advise(frame, Question(**{"modality": "ultrasound", "task": "segmentation", **question}))


def test_ranked_by_mean_score_on_the_cells_it_names():
    answer = ask(labels=50)
    assert (answer.level, answer.tasks, answer.budgets) == ("direct", ["ultrasound-dense-0"], ["10%"])
    cell = FRAME[(FRAME["task"] == "ultrasound-dense-0") & FRAME["primary"] & (FRAME["budget"] == "10%")]
    means = 100 * cell.groupby("encoder")["score"].mean()
    assert answer.encoders[0].name == means.idxmax()
    assert answer.encoders[0].score == pytest.approx(means.max())
    assert sum(c.p_best for c in answer.encoders) == pytest.approx(1)


def test_no_evidence_is_an_answer():
    answer = ask(FRAME[FRAME["kind"] == "global"])
    assert (answer.level, answer.confidence, answer.encoders) == ("none", "none", [])
    assert "No evidence" in answer.extrapolated[0]


def test_another_modality_is_borrowed_and_said():
    answer = ask(modality="pet")
    assert (answer.level, answer.confidence) == ("borrowed", "low")
    assert any("pet" in note for note in answer.extrapolated)


def test_far_label_counts_are_said_to_be_extrapolated():
    assert any("You have 5000" in note for note in ask(labels=5000).extrapolated)
    assert not any("You have" in note for note in ask(labels=50).extrapolated)


def test_licence_and_compute_exclude_with_a_reason():
    frame = FRAME.copy()
    frame.loc[frame["encoder"] == "hybrid-03", "licence"] = "CC-BY-NC-4.0"
    answer = ask(frame, commercial=True, max_gflops=5.0)
    names = {c.name for c in answer.encoders}
    assert answer.excluded["hybrid-03"] == "licence CC-BY-NC-4.0"
    assert names.isdisjoint(answer.excluded)
    assert all("GFLOPs" in why for name, why in answer.excluded.items() if name != "hybrid-03")


def test_contaminated_results_are_no_evidence():
    frame = FRAME.copy()
    frame.loc[frame["encoder"] == "hybrid-03", "contaminated"] = "yes"
    assert "hybrid-03" not in {c.name for c in ask(frame).encoders}


def test_intervals_hold_the_spread_between_tasks():
    table = tabulate(pick(FRAME, ["linear-v1"]))
    planted = np.hypot(3.0, 1.0)  # encoder x task and seed noise at 100 %
    assert task_spread(table) == pytest.approx(planted, rel=0.15)
    best = ask(modality="ct", task="classification").encoders[0]
    assert (best.high - best.low) / 2 == pytest.approx(1.96 * planted * np.sqrt(1.5), rel=0.3)


def test_regret_by_hand_and_the_advisor_beats_chance():
    table = {r.policy: r for r in regret_table(plant(Plan(encoders=16)))}
    rows = plant(Plan(encoders=16))
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
    plant(Plan(encoders=8, modalities=2, seeds=1)).to_parquet(path)
    out = CliRunner().invoke(ANALYZE, ["--records", str(path), "--out", str(tmp_path / "o")], catch_exceptions=False)
    assert out.exit_code == 0
    assert "H1" in out.output
    assert (tmp_path / "o" / "analysis.json").stat().st_size > 1000
    options = ["--records", str(path), "--modality", "ct", "--task", "classification", "--labels", "20"]
    assert '"level": "direct"' in CliRunner().invoke(ADVISE, [*options, "--json"], catch_exceptions=False).output
    assert "Confidence" in CliRunner().invoke(ADVISE, options, catch_exceptions=False).output
