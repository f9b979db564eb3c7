"""Files that are not what their name says: one message with what it is and the cure; what can be read is read."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from bench.encoders.load import load_encoder
from bench.encoders.mistaken import refuse_mistaken
from bench.encoders.recognise import recognise
from bench.encoders.weights import read_state
from bench.errors import EncoderError
from tests.encoders import two_towers

SHARDS = "model.safetensors.index.json"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.onnx", "w.bin"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LFS, "pointer of Git LFS.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page.*download it again"),
        (b'{"error": "not found"}', "is JSON text"),
        (gzip.compress(b"weights", mtime=0), "packed with gzip.*unpack it first"),
        (b"\x89HDF\r\n\x1a\n", "HDF5.*ONNX"),
        (b"", "is empty.*download it again"),
    ],
)
def test_what_it_is_and_the_cure(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EncoderError, match=message):
        recognise(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", SHARDS]
)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LFS, "is a pointer of Git LFS, not the file itself.*git lfs pull"),
        (b"<!doctype html><title>401</title>", "is a web page.*download it again"),
        (b"404: Not Found", "is text, not JSON: '404: Not Found'"),
        (b"", "is empty"),
    ],
)
def test_what_stands_in_the_place_of_json(name, content, message, tmp_path):
    pytest.importorskip("transformers")
    two_towers.write(tmp_path / "m", "clip")
    size = {"size": {"height": 32, "width": 32}, "image_mean": [0.5], "image_std": [0.5]}
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps(size))
    if name == SHARDS:
        (tmp_path / "m" / "model.safetensors").unlink()
    (tmp_path / "m" / name).write_bytes(content)
    with pytest.raises(EncoderError, match=f"{name} {message}"):
        load_encoder(tmp_path / "m").text_tower()


def test_archives_of_other_files(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as packed:
        packed.write(tmp_path / "w.pth", "w.pth")
    with tarfile.open(tmp_path / "w.pth.tar", "w") as bundled:
        bundled.add(tmp_path / "w.pth", "w.pth")
    for name in ("w.zip", "w.pth.tar"):
        with pytest.raises(EncoderError, match=r"archive of other files.*unpack it first"):
            refuse_mistaken(tmp_path / name, where="x")
    refuse_mistaken(tmp_path / "w.pth", where="x")


@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.safetensors", "0f3a"])
def test_the_content_tells_not_the_name(name, tmp_path):
    held = {"a.weight": torch.arange(3.0)}
    save_file(held, tmp_path / name)
    assert read_state(tmp_path / name, where="x")["a.weight"].tolist() == [0, 1, 2]
    torch.save(held, tmp_path / name)
    assert read_state(tmp_path / name, where="x")["a.weight"].tolist() == [0, 1, 2]
