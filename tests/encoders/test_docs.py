"""The examples of docs/encoders.md are cards that the adapters accept."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from bench.discover import members
from bench.encoders.card import FeatureChoice, Preprocessing
from bench.encoders.load import EXAMPLES, source_of

DOCS = Path(__file__).resolve().parents[2] / "docs" / "encoders.md"
BLOCKS = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.split('"')[1])
def test_each_example_is_accepted(block, make_card):
    source = tomllib.loads(block)["source"]
    assert source_of(make_card(source), where="docs").name == source["adapter"]
    assert len(block.splitlines()) <= 12


def test_every_adapter_has_an_example():
    shown = {tomllib.loads(block)["source"]["adapter"] for block in BLOCKS}
    assert shown == set(members("bench.encoders.sources", "SOURCE"))


@pytest.mark.parametrize("schema", [Preprocessing, FeatureChoice])
def test_every_key_is_described(schema):
    text = DOCS.read_text(encoding="utf-8")
    assert [key for key in schema.model_fields if f"`{key}`" not in text] == []


def test_the_ready_example_is_the_shipped_card():
    card = tomllib.loads((EXAMPLES / "imagenet-efficientnet-lite0.toml").read_text())
    assert card["source"] in [tomllib.loads(block)["source"] for block in BLOCKS]
