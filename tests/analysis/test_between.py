"""Orders of encoders on two suites, beside SciPy's tau and cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from bench.analysis.between import Agreement, between
from tests.analysis.planted import SimulationDesign, plant

PLAN = SimulationDesign(
    encoders=12, references=0, modalities=3, seeds=1, fractions=(1.0,), encoder_sd=6, encoder_task_sd=2
)


def table(seed: int = 0, plan: SimulationDesign = PLAN) -> pd.DataFrame:
    return plant(plan, seed)


def test_a_suite_orders_encoders_as_itself() -> None:
    found = between(table(), table(), "itself")
    assert found.other == "itself"
    assert [a.part for a in found.parts[:3]] == [{}, {"kind": "global"}, {"kind": "dense"}]
    assert len(found.parts) == 3 + 3 * 2
    assert all(a.tau == pytest.approx(1) and a.encoders == 12 and a.place == 1 for a in found.parts)
    assert (found.of().tasks, found.of("global").tasks, found.of("dense").others) == (9, 6, 3)
    assert found.of("dense").seen


def test_the_reverse_order_is_minus_one_and_not_seen() -> None:
    mirrored = table()
    mirrored["score"] = 1 - mirrored["score"]
    whole = between(mirrored, table(), "real").of()
    assert whole.tau == pytest.approx(-1)
    assert (whole.place, whole.seen) == (12, False)


def test_one_task_of_a_kind_is_scipys_tau_of_its_scores() -> None:
    here, there = table(0), table(1)
    found = between(here, there, "real").by_task
    assert len(found) == 9
    name, one = next((name, a) for name, a in found.items() if a.part["kind"] == "dense")
    mine = here[here["primary"] & (here["task"] == name)].set_index("encoder")["score"].sort_index()
    same = (there["kind"] == "dense") & (there["modality"] == one.part["modality"])
    real = there[there["primary"] & same].set_index("encoder")["score"].sort_index()
    assert (one.tasks, one.others, len(mine), len(real)) == (1, 1, 12, 12)
    assert one.tau == pytest.approx(kendalltau(mine, real).statistic)
    assert -1 <= one.low < one.tau < one.high <= 1


def test_a_modality_that_the_other_suite_lacks_is_compared_with_its_kind() -> None:
    there = table()
    first = there["modality"].iloc[0]
    found = between(table(), there[there["modality"] != first], "real")
    assert {"modality": first, "kind": "global"} not in [a.part for a in found.parts]
    own = {str(task) for task, m in table()[["task", "modality"]].itertuples(index=False) if m == first}
    assert {len(a.part) for task, a in found.by_task.items() if task in own} == {1}
    assert {a.others for task, a in found.by_task.items() if task in own} == {4, 2}


def test_below_eight_shared_encoders_nothing_is_said() -> None:
    few = table()
    few = few[few["encoder"].isin(sorted(set(few["encoder"]))[:7])]
    whole = between(few, table(), "real").of()
    assert (whole.encoders, whole.tau, whole.seen) == (7, None, False)
    assert (whole.first, whole.place) == ("", 0)
    assert between(few, table(), "real").of("volume") == Agreement(0)


def test_pixels_and_repeat_seeds_do_not_count() -> None:
    names = sorted(set(table()["encoder"]))
    renamed = table().replace({"encoder": {names[0]: "raw-pixels"}})
    assert between(renamed, renamed, "real").of().encoders == 11
    renamed.loc[renamed["encoder"] == names[1], "repeat_of"] = names[2]
    assert between(renamed, renamed, "real").of().encoders == 10


def test_no_encoder_in_common_is_not_measured() -> None:
    other = table().assign(encoder=lambda f: "other-" + f["encoder"].astype(str))
    whole = between(table(), other, "real").of()
    assert (whole.encoders, whole.tau) == (0, None)
    assert np.isnan(whole.low)
