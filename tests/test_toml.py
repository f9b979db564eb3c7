"""TOML that is written is read back as it was."""

from __future__ import annotations

import tomllib

import pytest

from bench.errors import CardError
from bench.strict import read_toml
from bench.toml import to_toml


def test_toml_is_read_back_as_it_was():
    values = {
        "a": 'quote " \\ \n \x7f é 🩻', "b": 1e-7, "n": [], "c": [{"d e": 1, "f": [True], "g": {"h": [{"i": 1}]}}, {}],
        "t": {"u": {"v-w": -3, "🩻": 1}, "": {}}, "o": {}, "m": [[{"x": 1}], [2]],
    }  # fmt: skip
    assert tomllib.loads(to_toml(values)) == values


def test_a_byte_order_mark_is_no_part_of_a_card(tmp_path):
    (tmp_path / "card.toml").write_text('name = "é"', encoding="utf-8-sig")
    assert read_toml(tmp_path / "card.toml") == {"name": "é"}


@pytest.mark.parametrize("text", ["", " \n\n", "\ufeff"])
def test_an_empty_card_is_called_empty(tmp_path, text):
    (tmp_path / "card.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CardError, match="is empty"):
        read_toml(tmp_path / "card.toml")


@pytest.mark.parametrize("bad", [None, float("nan"), object()])
def test_what_toml_cannot_hold_is_refused(bad):
    with pytest.raises(CardError, match="cannot be written"):
        to_toml({"a": [bad]})
