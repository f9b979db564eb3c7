"""A label budget is its text, read once and refused unless it is written in the one way."""

from __future__ import annotations

import json
import math

import pytest

from bench.budget import FULL, Budget
from bench.data.task import ProtocolUse
from bench.errors import CardError


@pytest.mark.parametrize(
    ("text", "kind", "number", "slug", "images"),
    [("100%", "%", 100, "100pct", 40), ("5%", "%", 5, "5pct", 2), ("1%", "%", 1, "1pct", 1),
     ("k=4", "k=", 4, "k4", 12), ("n=16", "n=", 16, "n16", 16), ("k=0", "k=0", 0, "k0", 0)],
)  # fmt: skip
def test_what_a_budget_says(text, kind, number, slug, images):
    found = Budget(text)
    assert (found.kind, found.number, found.slug, found.images(40, classes=3)) == (kind, number, slug, images)
    assert found.share == number / 100 if kind == "%" else math.isnan(found.share)
    assert found == text
    assert json.dumps([found]) == f'["{text}"]'
    assert (found == FULL) == (text == "100%")


@pytest.mark.parametrize(
    "text", ["", "10", "10 %", "0%", "101%", "010%", "1.5%", "k=00", "n=0", "n=", "k=10000", "１%", "5%\n"]
)
def test_any_other_text_is_refused_also_in_a_card(text):
    with pytest.raises(ValueError, match="label budget"):
        Budget(text)
    with pytest.raises(CardError, match=r"budgets\.0.*label budget"):
        ProtocolUse.parse({"name": "knn-v1", "budgets": [text]}, where="suite")


def test_a_card_gives_budgets_and_is_written_as_it_was_read():
    use = ProtocolUse.parse({"name": "knn-v1", "budgets": ["10%", "k=4"]}, where="suite")
    assert [type(budget) for budget in use.budgets] == [Budget, Budget]
    assert use.model_dump(mode="json")["budgets"] == ["10%", "k=4"]
