"""Alarms come with their evidence, and none without a reason."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Has

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.encoders.load import REFERENCE, read_card
from bench.submissions.alike import claims, distance, near_weights, withdrawn_before

CARD = read_card(REFERENCE / "raw-pixels.toml")


def record(value: float, budget: str = "100%") -> Has:
    return Has(status="done", unit=Has(budget=budget, key="a.linear-v2.100pct.0"), primary=Has(value=value))


def test_a_paradigm_without_pretraining_and_near_perfect_scores_are_looked_at() -> None:
    pretrained = CARD.model_copy(update={"paradigm": "contrastive", "pretraining": []})
    assert "'contrastive' and names nothing" in next(claims(pretrained, []))
    assert list(claims(CARD, [Has(records=[record(0.9), record(1.0, budget="10%")])])) == []
    (told,) = claims(CARD, [Has(records=[record(0.9), record(0.999)])])
    assert told.startswith("1 of 2 units at all labels score 0.995 or more, e.g. a.linear")


def test_distance_is_of_probabilities_or_of_pixels() -> None:
    assert distance(np.array([[0.5, 0.5]]), np.array([[0.4, 0.6]])) == pytest.approx(0.1)
    assert distance(np.zeros((1, 2, 2), np.uint8), np.eye(2, dtype=np.uint8)[None]) == 0.5


@pytest.mark.parametrize(("noise", "told"), [(1e-6, True), (0.5, False), (0.0, False)])
def test_weights_that_were_touched_up_are_told(tmp_path: Path, noise: float, told: bool) -> None:
    """Equal ones need no alarm: their predictions are equal byte for byte, which is refused."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(20, 20)).astype(np.float32)
    for name, array in (("mine", weights + noise * rng.normal(size=(20, 20)).astype(np.float32)), ("theirs", weights)):
        (tmp_path / name).mkdir()
        save_file({"w": array.astype(np.float32)}, tmp_path / name / "weights.safetensors")
    found = list(near_weights(tmp_path / "mine", [tmp_path / "theirs"]))
    assert bool(found) == told
    assert all("differ from those of theirs" in line for line in found)


def test_an_earlier_withdrawal_is_told(tmp_path: Path) -> None:
    entry = f'schema = 1\n[[withdrawn]]\nencoder = "{CARD.name}"\nversion = "0"\ndate = 2026-01-02\nreason = "Why."\n'
    (tmp_path / "withdrawn.toml").write_text(entry)
    assert list(withdrawn_before(CARD, [tmp_path])) == ["version 0 was withdrawn: Why. (2026-01-02)"]
