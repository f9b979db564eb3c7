"""Training checkpoints as people save them are read as inert data; what could run is refused by name."""

from __future__ import annotations

import argparse
import collections
import enum
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from bench.encoders.torch_files import read_torch
from bench.errors import EncoderError


class AttributeDict(dict):
    """As Lightning's, under its name."""


class Choice(enum.Enum):
    A = 1


class Config:
    def __init__(self) -> None:
        self.lr, self.nested = 0.1, AttributeDict(a=1)


@pytest.fixture(autouse=True)
def lightning(monkeypatch):
    """A package that made a file and is not installed where it is read."""
    module = types.ModuleType("lightning_not_here")
    module.AttributeDict, AttributeDict.__module__ = AttributeDict, "lightning_not_here"
    monkeypatch.setitem(sys.modules, "lightning_not_here", module)


def _optimiser():
    found = collections.defaultdict(dict)
    found["state"]["step"] = 3
    return found


BESIDE = {
    "namespace": argparse.Namespace(arch="vit_small", out=pathlib.PurePosixPath("/x")),
    "numpy scalar": np.float64(0.3),
    "numpy array": np.arange(3.0),
    "random state": np.random.RandomState(0).get_state(),
    "attribute dict": AttributeDict(lr=0.1),
    "enum": Choice.A,
    "own class": Config(),
    "defaultdict": _optimiser(),
    "version": torch.__version__,
}


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("older", [False, True])
def test_what_training_scripts_save_beside_the_weights(kind, older, tmp_path, monkeypatch):
    weights = {"a": torch.arange(3.0)}
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"model": weights, "more": BESIDE[kind]}, path, _use_new_zipfile_serialization=not older)
    monkeypatch.delitem(sys.modules, "lightning_not_here")
    held = read_torch(path, where="test")
    assert torch.equal(held["model"]["a"], weights["a"])
    assert held["model"].keys() == {"a"}
    if kind == "namespace":
        assert held["more"]["arch"] == "vit_small"
    if kind == "own class":
        assert held["more"] == {"lr": 0.1, "nested": {"a": 1}}


def test_a_whole_module_is_read_as_its_state_dict(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Sequential(torch.nn.BatchNorm2d(4)))
    torch.save({"net": network}, tmp_path / "w.pt")
    held = read_torch(tmp_path / "w.pt", where="test")["net"]
    assert held.keys() == network.state_dict().keys()
    assert all(torch.equal(held[name], value) for name, value in network.state_dict().items())


class Call:
    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("function", [eval, subprocess.check_output, getattr, __import__])
def test_what_could_run_is_refused_by_name(function, older, tmp_path):
    trap = tmp_path / "sprung"
    path = tmp_path / "w.pth"
    bomb = Call(function, f"__import__('os').mkdir({str(trap)!r})")
    torch.save({"model": {"a": torch.zeros(1)}, "x": bomb}, path, _use_new_zipfile_serialization=not older)
    with pytest.raises(EncoderError, match=rf"{function.__name__}, which could run when read"):
        read_torch(path, where="test")
    assert not trap.exists()


def test_a_function_of_an_installed_package_is_not_called(tmp_path):
    trap = tmp_path / "sprung"
    torch.save({"model": {"a": torch.zeros(1)}, "x": Call(np.savetxt, str(trap), [1])}, tmp_path / "w.pth")
    assert read_torch(tmp_path / "w.pth", where="test").keys() == {"model", "x"}
    assert not trap.exists()


def test_the_message_has_no_escape_codes_and_no_advice_to_trust(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "v.pth").write_bytes(b"\x80\x02]q\x00K\x01a.")
    for name in ("w.pth", "v.pth"):
        with pytest.raises(EncoderError, match="cannot be read as tensors only") as error:
            read_torch(tmp_path / name, where="test")
        assert "\x1b" not in str(error.value)
        assert "weights_only=False" not in str(error.value)
