"""State dicts: by name, by order, and the first mismatch by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.encoders.architectures import build
from bench.encoders.statedict import fit, select, state_at, under
from bench.errors import EncoderError


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def put(network: nn.Module, state: dict, how: str, *, where: str) -> None:
    """Fit and load, as the adapter does."""
    network.load_state_dict(fit(network, state, (), how, where=where)[0])


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
    with pytest.raises(EncoderError, match=r"1 missing from the file \('2.bias'\)"):
        put(network, {k: v for k, v in state.items() if k != "2.bias"}, "by-name", where="test")
    with pytest.raises(EncoderError, match=r"1 unknown to the network \('head'\).*drop = ..head.."):
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
    with pytest.raises(EncoderError, match=r"no entry 'model.student' .*entry = .model.teacher. .3."):
        state_at(held, "model.student", where="test")
    with pytest.raises(EncoderError, match="flat state dict"):
        state_at(held, None, where="test")
    with pytest.raises(EncoderError, match="flat state dict"):
        state_at([1], None, where="test")


def test_what_is_no_tensor_is_left_out():
    state = state_at({"a": torch.ones(1), "epoch": 3, "args": {"lr": 1}}, None, where="test")
    assert list(state) == ["a"]


def test_without_counters_by_name(network):
    state = {k: v for k, v in changed(network).items() if "num_batches" not in k}
    put(network, state, "by-name", where="test")
    assert torch.equal(network[1].weight, state["1.weight"])
    assert network[1].num_batches_tracked == 0


def test_messages_say_the_cure(network):
    state = {f"module.net.{k}": v for k, v in network.state_dict().items()}
    with pytest.raises(EncoderError, match=r"9 names begin with 'module.net.': prefix = .module.net.."):
        put(network, state, "by-name", where="test")
    with pytest.raises(EncoderError, match=r"no name .* begins with 'backbone.' .they begin: 'module' .9."):
        under(state, "backbone.", where="test")
    every = {**network.state_dict(), **{f"head.{i}": torch.zeros(1) for i in range(40)}}
    with pytest.raises(EncoderError, match=r"40 unknown .*'head.11' and 28 more.*drop = ..head.."):
        put(network, every, "by-name", where="test")


SMALL = {"img_size": 56, "embed_dim": 32, "depth": 1, "num_heads": 2}


def test_registers_under_their_authors_names(make_card):
    network = build(make_card({}), "vit_small_patch14_reg4_dinov2", options=SMALL, seed=1)
    own = network.state_dict()
    theirs = {("register_tokens" if k == "reg_token" else k): v for k, v in own.items()}
    theirs["cls_token"] = own["cls_token"] - 0.25
    theirs["pos_embed"] = torch.cat([torch.full((1, 1, 32), 0.25), own["pos_embed"]], 1)
    for more in ({}, {"mask_token": torch.zeros(1, 32)}):
        state, notes = fit(network, {**theirs, **more}, ["mask_token"], "by-name", where="test")
        assert state.keys() == own.keys()
        assert all(torch.allclose(state[name], own[name], atol=1e-6) for name in own)
        assert notes[0] == "1 tensors renamed as timm does"


def test_positions_of_another_size_are_resampled_and_said(make_card):
    from timm.layers import resample_abs_pos_embed

    small, large = (
        build(make_card({}), "vit_tiny_patch16_224", options={**SMALL, "img_size": side, "patch_size": 8})
        for side in (32, 64)
    )
    state, notes = fit(large, small.state_dict(), (), "by-name", where="test")
    torch.testing.assert_close(state["pos_embed"], resample_abs_pos_embed(small.pos_embed.detach(), (8, 8)))
    assert notes == ("pos_embed resampled from (1, 17, 32) to (1, 65, 32)",)


def test_weights_of_another_patch_are_never_resampled(make_card):
    coarse, fine = (
        build(make_card({}), "vit_tiny_patch16_224", options={**SMALL, "img_size": 32, "patch_size": side})
        for side in (16, 8)
    )
    with pytest.raises(EncoderError, match=r"'patch_embed.proj.weight' is \(32, 3, 16, 16\) in the file"):
        fit(fine, coarse.state_dict(), (), "by-name", where="test")
