"""State dicts: by name, by order, and the first mismatch by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.encoders.statedict import put, select, state_at
from bench.errors import EncoderError


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def changed(network: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v + 1 for k, v in network.state_dict().items()}


def test_by_order_ignores_names(network):
    state = {f"other.{i}": v for i, v in enumerate(changed(network).values())}
    state = {("x.num_batches_tracked" if v.ndim == 0 else k): v for k, v in state.items()}
    put(network, state, "by-order", where="test")
    assert torch.equal(network[2].weight, state[list(state)[-2]])


def test_by_order_without_counters(network):
    state = {k: v for k, v in changed(network).items() if "num_batches" not in k}
    put(network, {f"t{i}": v for i, v in enumerate(state.values())}, "by-order", where="test")
    assert torch.equal(network[0].weight, state["0.weight"])
    assert network[1].num_batches_tracked == 0


def test_by_order_names_the_first_mismatch(network):
    state = {f"t{i}": v for i, v in enumerate(changed(network).values()) if v.ndim}
    state["t2"] = torch.zeros(5)
    with pytest.raises(
        EncoderError, match=r"tensor 3 differs: the network has '1.weight' \(4,\), the file 't2' \(5,\)"
    ):
        put(network, state, "by-order", where="test")


@pytest.mark.parametrize(
    ("drop", "more", "message"), [("2.bias", {}, "'2.bias' of the network"), (None, {"z": 1}, "'z' of the file")]
)
def test_by_order_counts(network, drop, more, message):
    state = {k: v for k, v in changed(network).items() if k != drop}
    state |= {k: torch.zeros(v) for k, v in more.items()}
    with pytest.raises(EncoderError, match=message):
        put(network, state, "by-order", where="test")


def test_by_name_is_strict(network):
    state = changed(network)
    with pytest.raises(EncoderError, match=r"1 missing from the file \(first: '2.bias'\)"):
        put(network, {k: v for k, v in state.items() if k != "2.bias"}, "by-name", where="test")
    with pytest.raises(EncoderError, match=r"1 unknown to the network \(first: 'head'\)"):
        put(network, {**state, "head": torch.zeros(1)}, "by-name", where="test")
    with pytest.raises(EncoderError, match=r"'0.bias' is \(9,\) in the file, \(4,\) in the network"):
        put(network, {**state, "0.bias": torch.zeros(9)}, "by-name", where="test")


def test_select_and_entry():
    held = {
        "epoch": 4,
        "model": {"teacher": {"backbone.a": torch.ones(1), "backbone.head.b": torch.ones(1), "x": torch.ones(1)}},
    }
    state = state_at(held, "model.teacher", where="test")
    assert list(select(state, "backbone.", ["head."])) == ["a"]
    with pytest.raises(EncoderError, match=r"no entry 'model.student' in the weights file \(it has: teacher\)"):
        state_at(held, "model.student", where="test")
    with pytest.raises(EncoderError, match="flat state dict"):
        state_at(held, None, where="test")
    with pytest.raises(EncoderError, match="flat state dict"):
        state_at([1], None, where="test")
