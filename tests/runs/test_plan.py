"""What a run consists of."""

from collections import Counter

from bench.runs.plan import make_plan

SUITE = """schema = 1
name = "seeds"
title = "Seeds"
synthetic = true
tasks = ["phantom-xray-diffuse-mini", "phantom-xray-dense-mini"]
protocols = [
    { name = "linear-v1", budgets = ["10%", "100%"], seeds = 3 },
    { name = "attentive-v1", budgets = ["100%"], seeds = 2 },
    { name = "few-shot-v1", budgets = ["k=1"], seeds = 4 },
    { name = "dense-linear-v1", budgets = ["100%"], seeds = 5 },
]
"""


def test_all_labels_are_one_subset_unless_training_has_a_seed(tmp_path):
    path = tmp_path / "seeds.toml"
    path.write_text(SUITE)
    plan = make_plan(path)
    units = [unit for task in plan.tasks.values() for unit in plan.units(task)]
    assert Counter((u.protocol, u.budget) for u in units) == {
        ("linear-v1", "10%"): 3,
        ("linear-v1", "100%"): 1,
        ("attentive-v1", "100%"): 2,
        ("few-shot-v1", "k=1"): 4,
        ("dense-linear-v1", "100%"): 1,
    }
    assert len({unit.key for unit in units}) == len(units) == plan.n_units


def test_a_protocol_runs_on_tasks_of_its_kind_only(tmp_path):
    path = tmp_path / "seeds.toml"
    path.write_text(SUITE)
    plan = make_plan(path, only=("phantom-xray-dense-mini",))
    assert {u.protocol for u in plan.units(plan.tasks["phantom-xray-dense-mini"])} == {"dense-linear-v1"}
    assert plan.n_units == 1
