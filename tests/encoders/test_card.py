"""A card survives being written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.encoders import reference
from bench.encoders.card import EncoderCard
from bench.errors import CardError
from bench.files import canonical_json, sha256_text
from bench.strict import parse_toml

BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters that print as nothing, which a card may not hold; nor many marks (category M) on one letter."""
seen = st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp", "M"], exclude_characters=BLANK)
text = st.text(seen, min_size=1, max_size=30)
plain = text | st.integers(-(2**40), 2**40) | st.booleans() | st.floats(-1e15, 1e15)
source = st.dictionaries(
    text, plain | st.lists(plain, max_size=3) | st.dictionaries(text, plain, max_size=2), max_size=3
)


def test_reference_cards_round_trip() -> None:
    for card in reference.cards().values():
        again = EncoderCard.parse(parse_toml(card.to_toml(), where="written"), where="written")
        assert again == card
        assert again.sha256 == card.sha256


@given(text.filter(str.strip), source)
def test_any_text_and_source_round_trip(title: str, values: dict) -> None:
    card = EncoderCard.parse(
        {
            "schema": 1,
            "name": "x",
            "version": "1",
            "title": title,
            "authors": [title],
            "licence": title,
            "paradigm": "hybrid",
            "objective": "other",
            "method": title,
            "architecture": "vit",
            "source": values,
            "pretraining": [{"corpus": title, "images": 3}],
            "preprocessing": {"size": 8, "mean": [0.5], "std": [1.0]},
        },
        where="test",
    )
    assert EncoderCard.parse(parse_toml(card.to_toml(), where="written"), where="written") == card


def test_a_key_added_later_changes_the_hash_only_where_it_is_set() -> None:
    card = reference.cards()["raw-pixels"]
    whole = card.model_dump(mode="json", by_alias=True)
    assert [whole["preprocessing"].pop(key) for key in ("shorter_side", "depth", "spacing", "input", "window")] == [
        None
    ] * 5
    later = {"repeat_of", "access", "paper", "comparable", "domain", "family", "parameters"}
    assert card.sha256 == sha256_text(canonical_json({k: v for k, v in whole.items() if k not in later}))
    assert card.model_copy(update={"repeat_of": "another"}).sha256 != card.sha256


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], r"for 0 to 1 they are \[0\.485, 0\.456, 0\.406\]"),
        ([0.485, 0.456, 0.406], [58.395, 57.12, 57.375], "of values from 0 to 255"),
        ([0.406, 0.456, 0.485], [0.225, 0.224, 0.229], "ImageNet for blue, green, red"),
    ],
)
def test_a_normalisation_of_other_values_or_colours_is_refused(make_card, mean, std, message):
    with pytest.raises(CardError, match=message):
        make_card({}, preprocessing={"size": 32, "mean": mean, "std": std})
    make_card({}, preprocessing={"size": 32, "mean": [-100.0], "std": [300.0], "channels": 1, "input": "hu"})
