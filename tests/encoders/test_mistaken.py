"""Files that are not what their name says: one message with what it is and the cure; what can be read is read."""

from __future__ import annotations

import gzip
import tarfile
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from bench.encoders.mistaken import refuse_mistaken
from bench.encoders.recognise import recognise
from bench.encoders.weights import read_state
from bench.errors import EncoderError

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
