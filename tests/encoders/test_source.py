"""Which files beside a card an encoder is read from: what a submission with weights has to bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.encoders.load import source_of
from tests.encoders.conftest import make_card


@pytest.mark.parametrize(
    ("source", "there", "wanted"),
    [
        ({"adapter": "timm", "model": "resnet18", "weights": "w/a.pth"}, ["w/a.pth", "w/b.pth"], ["w/a.pth"]),
        ({"adapter": "timm", "model": "resnet18", "weights": "gone.pth"}, ["other.pth"], []),
        ({"adapter": "reference", "kind": "raw-pixels"}, [], []),
        (
            {"adapter": "onnx", "weights": "net/w.onnx", "external": {"w.bin": "0" * 64}},
            ["net/w.onnx", "net/w.bin"],
            ["net/w.onnx", "net/w.bin"],
        ),
        (
            {"adapter": "huggingface", "folder": "m"},
            ["m/config.json", "m/model.safetensors", "m/tokenizer.json", "m/notes.txt", "m/pytorch_model.bin"],
            ["m/config.json", "m/model.safetensors", "m/tokenizer.json"],
        ),
        ({"adapter": "huggingface", "repository": "a/b", "revision": "0" * 40}, [], []),
    ],
)
def test_files_of_a_source(source: dict, there: list[str], wanted: list[str], tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert source_of(make_card(source), where="card").own_files(tmp_path) == wanted


def test_an_index_names_its_shards(tmp_path: Path) -> None:
    index = "model.safetensors.index.json"
    (tmp_path / index).write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    card = make_card({"adapter": "huggingface", "folder": ".", "weights": index})
    assert [Path(name).name for name in source_of(card, where="card").own_files(tmp_path)] == [
        "config.json", index, "one.safetensors", "two.safetensors",
    ]  # fmt: skip
