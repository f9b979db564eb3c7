"""Finding cards by name, file and folder."""

from __future__ import annotations

from inspect import getsource

import pytest

from bench.discover import members
from bench.encoders.load import REFERENCE, card_path, load_encoder
from bench.errors import CardError


def test_by_name_file_and_folder(tmp_path):
    card = (REFERENCE / "raw-pixels.toml").read_text()
    (tmp_path / "encoder.toml").write_text(card)
    names = {load_encoder(p).card.name for p in ("raw-pixels", tmp_path, tmp_path / "encoder.toml", str(tmp_path))}
    assert names == {"raw-pixels"}
    assert card_path("imagenet-efficientnet-lite0").is_file()


def test_misspelt_name():
    with pytest.raises(CardError, match=r"known encoder 'raw-pixel' \(did you mean 'raw-pixels'"):
        load_encoder("raw-pixel")


def test_misspelt_folder(tmp_path, monkeypatch):
    (tmp_path / "my-net").mkdir()
    (tmp_path / "my-net" / "encoder.toml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CardError, match=r"known encoder 'my-nte' \(did you mean 'my-net'"):
        load_encoder("my-nte")


def test_missing_files(tmp_path):
    with pytest.raises(CardError, match=r"holds no encoder\.toml"):
        load_encoder(tmp_path)
    with pytest.raises(CardError, match="no such file"):
        load_encoder(tmp_path / "card.toml")
    with pytest.raises(CardError, match="no such file"):
        load_encoder("some/where")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('licens = "x"', r"unknown key 'licens' \(did you mean 'licence'"),
        ("a = " + "[" * 100_000, "nested|not valid TOML"),
        ("a = nan", "valid|unknown key"),
        ("=", "not valid TOML"),
    ],
)
def test_broken_cards(text, message, tmp_path):
    card = text + "\n" + (REFERENCE / "raw-pixels.toml").read_text()
    (tmp_path / "encoder.toml").write_text(card)
    with pytest.raises(CardError, match=message):
        load_encoder(tmp_path)


def test_card_without_adapter(tmp_path):
    card = (REFERENCE / "raw-pixels.toml").read_text().replace('adapter = "reference"', "")
    (tmp_path / "encoder.toml").write_text(card)
    with pytest.raises(CardError, match=r"missing key 'source.adapter' \(one of: embeddings, huggingface, monai, onnx"):
        load_encoder(tmp_path)


def test_every_adapter_that_asks_for_trust_says_that_it_runs_code():
    for name, source in members("bench.encoders.sources", "SOURCE").items():
        assert source.runs_code == ("refuse_code(" in getsource(source.load)), name
