"""Tables for spreadsheets."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from bench.leaderboard.frame import csv_text


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1+2", "@SUM(A1)", "\t=1"])
def test_a_text_that_is_a_formula_is_a_text(text: str) -> None:
    frame = pd.DataFrame({"title": [text, "plain", None], "value": [-1.5, 2.0, 3.0], text: ["a", "b", "c"]})
    again = pd.read_csv(io.StringIO(csv_text(frame)), keep_default_na=False)
    assert again["title"].tolist()[:2] == [f"'{text}", "plain"]
    assert again["value"].tolist() == [-1.5, 2.0, 3.0]
    assert again.columns[2].startswith("'")
