"""The encoder of a submission is held to its contract wherever it can be run, and the badge says where it was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import bench
from bench.encoders.card import EncoderCard
from bench.encoders.load import REFERENCE, load_encoder
from bench.submissions import encoder as encoders
from bench.submissions.badge import Coverage
from bench.submissions.encoder import HOLDS, check_contract, is_at_hand, why_not_run
from bench.submissions.report import VerificationReport


def card(**source: object) -> EncoderCard:
    found = load_encoder("raw-pixels").card
    return found.model_copy(update={"source": source} if source else {})


def test_what_can_be_run_without_code_or_download_is_run(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    assert why_not_run(tmp_path, card(adapter="timm", weights="w.pth")) is None
    assert why_not_run(tmp_path, card(adapter="timm", weights="other.pth")) == "no weights"
    assert why_not_run(tmp_path, card(adapter="huggingface", repository="a/b")) == "no weights"
    assert why_not_run(tmp_path, card(adapter="huggingface", repository="a/b"), fetch=True) is None
    assert why_not_run(tmp_path, card(adapter="timm", weights="other.pth"), fetch=True) == "no weights"
    assert why_not_run(tmp_path, card(adapter="timm", weights="other.pth", package="p"), fetch=True) is None
    assert why_not_run(tmp_path, card(adapter="embeddings", files={}), fetch=True) == "features alone"
    assert why_not_run(tmp_path, card(adapter="python", file="w.pth")) == "it is code"
    assert why_not_run(tmp_path, card(adapter="python", file="w.pth"), trust_code=True) is None


def test_a_folder_that_cannot_be_read_is_not_at_hand(tmp_path: Path) -> None:
    assert not is_at_hand(tmp_path)
    (tmp_path / "encoder.toml").write_text("name = [")
    assert not is_at_hand(tmp_path)
    (tmp_path / "encoder.toml").write_bytes((REFERENCE / "raw-pixels.toml").read_bytes())
    assert is_at_hand(tmp_path)


def test_a_broken_contract_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.new_ones((len(x), 4))

    deaf, report = bench.wrap(Deaf(), name="deaf", size=32), VerificationReport(tmp_path)
    monkeypatch.setattr(encoders, "load_encoder", lambda folder, trust_code: deaf)
    assert check_contract(tmp_path, card(adapter="reference"), report, trust_code=False, fetch=False) != HOLDS
    assert any("breaks the contract of encoders (input reaches the output)" in p for p in report.problems)


def test_a_badge_says_what_became_of_it() -> None:
    assert Coverage(units=2, rescored=2, whole=True, contract=HOLDS).text == "2 of 2 units rescored, contract holds"
    assert Coverage(units=2, rescored=2).text == "2 of 2 units rescored"
