"""Cards: every problem at once, by name, with the nearest valid key; hostile TOML is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data.task import Task
from bench.encoders.card import EncoderCard
from bench.errors import CardError, SubmissionError
from bench.strict import MAX_CARD_BYTES, one_line, parse_json, parse_toml, plain, read_toml


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(CardError, match=r"unknown key 'licens' \(did you mean 'licence'\?\)"):
        EncoderCard.parse({"licens": "MIT"}, where="card")


def test_unknown_nested_key_offers_the_keys_of_its_table() -> None:
    with pytest.raises(CardError, match=r"'preprocessing.sise' \(did you mean 'size'\?\)"):
        EncoderCard.parse({"preprocessing": {"sise": 224}}, where="card")


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(CardError) as caught:
        EncoderCard.parse({"schema": 1, "name": "Not Allowed", "paradigm": "contrastve"}, where="card")
    for part in ("'name'", "'paradigm'", "missing key 'version'"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 50 + "]" * 50, "a" + ".a" * 50 + " = 1", "x = " + "[" * 100_000, "a" + ".a" * 60_000 + " = 1"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(CardError):
        parse_toml(text, where="card")


def test_brackets_in_text_are_not_nesting() -> None:
    lines = "\n".join(f'k{i} = "[{{[ (see [1], [2]) a.b.c.d.e"' for i in range(100))
    assert len(parse_toml(lines, where="card")) == 100


def test_files_that_cannot_be_cards(tmp_path: Path) -> None:
    big, binary = tmp_path / "big.toml", tmp_path / "binary.toml"
    big.write_text("#" * (MAX_CARD_BYTES + 1))
    binary.write_bytes(b"\xff\xfe\x00")
    absent = tmp_path / "no"
    for path, message in ((big, "over the limit"), (binary, "UTF-8"), (tmp_path, "folder"), (absent, "no such")):
        with pytest.raises(CardError, match=message):
            read_toml(path)


def test_a_pattern_is_told_in_words() -> None:
    from bench.runs.records import Unit

    with pytest.raises(CardError, match=r"'task' is 'My_Enc', expected a name of lower-case letters"):
        Unit.parse({"task": "My_Enc", "protocol": "knn-v1", "budget": "100%", "seed": 0}, where="unit")


def test_what_is_wrong_with_a_whole_is_said_without_repeating_it() -> None:
    card = {"schema": 1, "name": "t", "title": "t", "modality": "xray", "target": "multi-label", "licence": "x"}
    with pytest.raises(CardError) as caught:
        Task.parse(card | {"corpus": "x", "classes": ["a"], "source": {"reader": "npz", "file": "x.npz"}}, where="card")
    assert str(caught.value).endswith("other targets have at least two")


@pytest.mark.parametrize("text", ["Größe, 肺, Tiếng Việt", "e\u0301, ש\u05bc\u05c1", "❤\ufe0f", "a\u00a0b"])
def test_what_can_be_seen_may_stand_in_a_line(text: str) -> None:
    assert one_line(text) == plain(text) == text


@pytest.mark.parametrize("text", ["\u3164", "a\u2800", "a\u034f", "a\uffff", "a\ufdd0", "a\u200b", "R" + "\u0336" * 5])
def test_what_cannot_be_seen_or_covers_its_neighbours_stands_nowhere(text: str) -> None:
    with pytest.raises(ValueError, match=r"invisible character|marks on one letter"):
        plain(text)


@pytest.mark.parametrize("text", [" ", "\u00a0", "\ufe0f", "\u0301"])
def test_a_line_shows_something(text: str) -> None:
    with pytest.raises(ValueError, match="nothing that can be seen"):
        one_line(text)


def test_a_key_given_twice_is_named_however_many_there_are() -> None:
    keys = ",".join(f'"k{i}":0' for i in range(20_000))
    with pytest.raises(SubmissionError, match="key 'k7' is given twice"):
        parse_json(f'{{{keys},"k7":1}}', where="record")
