"""Pathology-aware methods beside their controls, against plain differences of means."""

import pandas as pd
import pytest

from bench.analysis.claim import read_ledger
from bench.analysis.estimands.control import Control
from bench.analysis.evaluate import evaluate
from bench.analysis.measurement import NotEnough
from tests.analysis.planted import SimulationDesign, plant

CONTROLS = {"Aware A": "A", "Aware B": "B"}
ASKED = Control(protocols=["dense-linear"], controls=CONTROLS)
HARD = ("lesion_recall[<0.5%]", "dice[contrast=low]")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Two methods and their controls, three seeds each, and four encoders that belong to no pair."""
    frame = plant(SimulationDesign(encoders=16, references=0, seeds=1, fractions=(1.0,), architectures=("vit",)))
    names = sorted(frame["encoder"].unique())
    pairs = [m for m in ("A", "Aware A", "B", "Aware B") for _ in range(3)]
    frame["method"] = frame["encoder"].map(dict(zip(names, pairs, strict=False))).fillna("another")
    frame["controlled_track"] = "track"
    first = frame.groupby("method")["encoder"].transform("min")
    frame["repeat_of"] = first.where((frame["method"] != "another") & (first != frame["encoder"]))
    return frame


def by_hand(frame: pd.DataFrame) -> dict[str, float]:
    """Control -> mean of the aware method on the two hardest strata less that of the control, in points."""
    rows = frame[frame["metric"].isin(HARD)]
    by_task = 100 * rows.groupby(["method", "encoder", "task"])["value"].mean()
    means = by_task.groupby(["method", "encoder"]).mean().groupby("method").mean()
    return {control: means[aware] - means[control] for aware, control in CONTROLS.items()}


def test_the_effect_is_the_mean_over_methods_of_the_difference_on_the_hardest_strata(frame):
    found, expected = ASKED.measure(frame), by_hand(frame)
    assert found.effect == pytest.approx(sum(expected.values()) / 2)
    assert found.groups == {"pathology-aware": 6, "control": 6}
    assert {row["stratum"]: row["effect"] for row in found.details["by_stratum"]} == pytest.approx(
        {f"small transformers of track, beside {control}": effect for control, effect in expected.items()}
    )
    assert found.low < found.effect < found.high


def test_encoders_of_no_pair_and_of_no_track_do_not_count(frame):
    alone = frame[frame["method"] != "another"]
    assert ASKED.measure(alone).effect == pytest.approx(ASKED.measure(frame).effect)
    with pytest.raises(NotEnough, match="no controlled comparison"):
        ASKED.measure(frame.assign(controlled_track=None))
    with pytest.raises(NotEnough, match="beside its control"):
        ASKED.measure(frame[~frame["method"].isin(["A", "B"])])


def test_the_claim_counts_every_pretraining_seed_and_no_other_claim_does(frame):
    claim = next(c for c in read_ledger() if c.id == "H11")
    claim = claim.model_copy(update={"settings": {**claim.settings, "controls": CONTROLS}})
    verdict = evaluate(frame, [claim], sensitivity=False)[0]
    assert (verdict.n_encoders, verdict.groups) == (12, {"pathology-aware": 6, "control": 6})
    assert verdict.effect == pytest.approx(ASKED.measure(frame).effect)
    assert evaluate(frame, sensitivity=False)[0].n_encoders < 12
