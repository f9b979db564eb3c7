"""Tables for spreadsheets."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pandas as pd
import pytest

from bench.budget import Budget
from bench.encoders.card import read_card
from bench.laws.problems import make_task
from bench.leaderboard.frame import COLUMNS, NUMBERS, _about_encoder, _about_task, _about_unit, csv_text
from bench.locate import shipped


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1+2", "@SUM(A1)", "\t=1"])
def test_a_text_that_is_a_formula_is_a_text(text: str) -> None:
    frame = pd.DataFrame({"title": [text, "plain", None], "value": [-1.5, 2.0, 3.0], text: ["a", "b", "c"]})
    again = pd.read_csv(io.StringIO(csv_text(frame)), keep_default_na=False)
    assert again["title"].tolist()[:2] == [f"'{text}", "plain"]
    assert again["value"].tolist() == [-1.5, 2.0, 3.0]
    assert again.columns[2].startswith("'")


def test_every_part_of_a_row_is_a_column() -> None:
    """A word that is no column would be dropped, and its column be empty."""
    volume = SimpleNamespace(seconds=1.5, memory_mb=20.0)
    cost = SimpleNamespace(parameters=7, flops=9, volume=volume)
    unit = SimpleNamespace(budget=Budget("10%"), seed=3)
    record = SimpleNamespace(cost=cost, unit=unit, n_labels=12, scoring=2)
    protocol = SimpleNamespace(name="linear-v2", board="frozen")
    of_unit = _about_unit(record, protocol)
    card = read_card(shipped("submissions") / "tiny-vit-mae")
    of_encoder, of_task = _about_encoder(card), _about_task(make_task("binary", 2))
    added = {"badge", "contaminated", "labels_per_class"}
    assert added.union(of_unit, of_encoder, of_task) == set(COLUMNS) - set(NUMBERS)
    assert (of_unit["volume_seconds"], of_unit["volume_memory_mb"], of_unit["fraction"]) == (1.5, 20.0, 0.1)
    assert (of_unit["scoring"], of_unit["seed"], of_unit["protocol"]) == (2, 3, "linear-v2")
    assert (of_encoder["paradigm"], of_encoder["takes"]) == ("generative", "image")
