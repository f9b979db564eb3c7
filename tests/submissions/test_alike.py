"""Alarms come with their evidence, and none without a reason."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Has

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.encoders.load import REFERENCE, read_card
from bench.submissions.alike import claims, distance, near_weights, same_title, withdrawn_before
from bench.toml import to_toml

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


@pytest.mark.parametrize("name", ["weights.safetensors", "copied.pth"])
@pytest.mark.parametrize(("noise", "told"), [(1e-6, True), (0.01, True), (0.5, False), (0.0, False)])
def test_weights_that_were_moved_a_little(noise: float, told: bool, name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(20, 20)).astype(np.float32)
    moved = torch.from_numpy(weights + noise * rng.normal(size=(20, 20)).astype(np.float32))
    state = {"head.w": moved, "norm": torch.ones(50)}
    _sent(tmp_path / "theirs", "weights.safetensors", {"w": torch.from_numpy(weights), "norm": torch.ones(50)})
    _sent(tmp_path / "mine", name, state)
    found = list(near_weights(tmp_path / "mine", [tmp_path / "theirs"]))
    assert bool(found) == told
    assert all("differ from those of theirs" in line for line in found)


def test_half_precision_under_an_entry(tmp_path: Path) -> None:
    weights = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    _sent(tmp_path / "theirs", "weights.safetensors", {"w": weights})
    _sent(tmp_path / "mine", "w.pth", {"model": {"module.w": weights.half()}, "epoch": 3})
    assert len(list(near_weights(tmp_path / "mine", [tmp_path / "theirs"]))) == 1


def test_a_path_out_of_the_submission_is_not_read(tmp_path: Path) -> None:
    weights = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    _sent(tmp_path / "theirs", "weights.safetensors", {"w": weights})
    save_file({"w": 1.001 * weights}, tmp_path / "private.safetensors")
    _sent(tmp_path / "mine", "../mine/weights.safetensors", {"w": weights})
    card = (tmp_path / "mine" / "encoder.toml").read_text()
    (tmp_path / "mine" / "encoder.toml").write_text(card.replace("../mine/weights", "../private"))
    assert list(near_weights(tmp_path / "mine", [tmp_path / "theirs"])) == []


def _sent(folder: Path, name: str, state: dict) -> None:
    """A card and its weights file."""
    folder.mkdir()
    source = {"adapter": "timm", "model": "resnet18", "weights": name}
    values = CARD.model_dump(mode="json", by_alias=True, exclude_none=True) | {"source": source}
    (folder / "encoder.toml").write_text(to_toml(values))
    save_file(state, folder / name) if name.endswith("safetensors") else torch.save(state, folder / name)


def test_an_earlier_withdrawal_is_told(tmp_path: Path) -> None:
    entry = f'schema = 1\n[[withdrawn]]\nencoder = "{CARD.name}"\nversion = "0"\ndate = 2026-01-02\nreason = "Why."\n'
    (tmp_path / "withdrawn.toml").write_text(entry)
    assert list(withdrawn_before(CARD, [tmp_path])) == ["version 0 was withdrawn: Why. (2026-01-02)"]


@pytest.mark.parametrize(("title", "told"), [("Raw Pixels", True), ("Rаw-pіxеls", True), ("Raw pixels 2", False)])
def test_a_title_that_reads_like_anothers(title: str, told: bool) -> None:
    other = Has(card=CARD.model_copy(update={"title": "Raw pixels", "name": "another"}))
    mine = CARD.model_copy(update={"title": title})
    assert list(same_title(mine, [other])) == (["its title reads like that of another"] if told else [])
    assert list(same_title(other.card, [other])) == []
