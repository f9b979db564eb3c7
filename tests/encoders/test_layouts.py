"""Layouts as people save them beyond those of training code: read as meant, or refused with what they are."""

from __future__ import annotations

import json
import os
import re
import tomllib

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from bench.cli import main
from bench.encoders.architectures import build
from bench.encoders.load import load_encoder
from bench.encoders.preprocess import prepare
from bench.encoders.recognise import recognise
from bench.errors import EncoderError
from bench.files import sha256_file


@pytest.fixture(scope="module")
def resnet() -> torch.nn.Module:
    torch.manual_seed(3)
    return timm.create_model("resnet18", num_classes=0).eval()


SLOW = pytest.mark.skipif("MEDSSL_SLOW" not in os.environ, reason="large networks: MEDSSL_SLOW=1 tries them")


def under(prefix: str, state: dict) -> dict:
    return {prefix + name: value for name, value in state.items()}


def same(path, network, images):
    encoder = load_encoder(path)
    with torch.inference_mode():
        right = network(prepare(images[:2], encoder.card.preprocessing))
    torch.testing.assert_close(encoder.encode(images[:2]).pooled, right, atol=1e-5, rtol=1e-4)


def test_an_optimizer_beside_the_model(resnet, images, tmp_path):
    state = {n: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2)} for n in range(3)}
    torch.save({"model": resnet.state_dict(), "optimizer": {"state": state}}, tmp_path / "last.pth")
    same(tmp_path / "last.pth", resnet, images)


def test_the_query_encoder_of_moco_also_where_the_key_stands_first(resnet, images, tmp_path):
    own = resnet.state_dict()
    key = {n: v + 0.01 if v.is_floating_point() else v for n, v in own.items()}
    torch.save({"state_dict": under("module.encoder_k.", key) | under("module.encoder_q.", own)}, tmp_path / "moco.pth")
    same(tmp_path / "moco.pth", resnet, images)


def test_the_original_swin_with_its_tables(images, tmp_path):
    network = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0).eval()
    held = {
        re.sub(r"(?<=layers\.)\d(?=\.down)", lambda m: str(int(m[0]) - 1), n): v
        for n, v in network.state_dict().items()
    }
    held |= {"layers.0.blocks.1.attn_mask": torch.zeros(64, 49, 49), "head.weight": torch.zeros(3, 768)}
    held["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
    torch.save({"model": held}, tmp_path / "swin.pth")
    same(tmp_path / "swin.pth", network, images)


@pytest.mark.parametrize("name", ["RN50", *(pytest.param(n, marks=SLOW) for n in ("RN101", "RN50x4", "RN50x16"))])
def test_a_resnet_of_open_clip(name, images, tmp_path):
    open_clip = pytest.importorskip("open_clip", reason="pip install 'medssl-bench[clip]'")
    model = open_clip.get_model_config(name) | {"embed_dim": 32, "text_cfg": {"width": 64, "heads": 1, "layers": 1}}
    torch.manual_seed(0)
    network = open_clip.CLIP(**model).eval()
    save_file({n: v.contiguous() for n, v in network.state_dict().items()}, tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    encoder = load_encoder(tmp_path)
    pooled = encoder.encode(images[:2]).pooled
    with torch.inference_mode():
        right = network.visual(prepare(images[:2], encoder.card.preprocessing))
        projected = network.visual.attnpool.c_proj(pooled)
        texts = encoder.text_tower().embed(["a lesion"])
        logits = network.logit_scale.exp() * torch.nn.functional.normalize(right, dim=-1) @ texts.t()
    torch.testing.assert_close(projected, right, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(encoder.text_tower().logits(pooled, texts), logits, atol=1e-4, rtol=1e-4)


def test_torch_weights_called_onnx(resnet, images, tmp_path):
    torch.save(resnet.state_dict(), tmp_path / "w.onnx")
    same(tmp_path / "w.onnx", resnet, images)


class Pooled(torch.nn.Module):
    def forward(self, x):
        return x[:, :1, :20, :40].mean(2).flatten(1)


class Tokens(torch.nn.Module):
    def forward(self, x):
        return x[:, :, :3, :7].flatten(2).transpose(1, 2)


def test_what_a_program_leaves_open_is_said(tmp_path):
    torch.export.save(torch.export.export(Tokens(), (torch.zeros(1, 3, 32, 32),)), tmp_path / "w.pt2")
    found = recognise(tmp_path / "w.pt2")
    assert found.source["prefix_tokens"] == 21 - 16
    assert found.assumed[-1] == "the mean of the patches represents an image: pooling"
    torch.jit.trace(Tokens(), torch.zeros(1, 3, 32, 32)).save(str(tmp_path / "w.pt"))
    found = recognise(tmp_path / "w.pt")
    assert found.assumed[0] == "what it returns is not known: --trust-code runs it once to see"
    assert "no vector, and the mean of the patches represents an image: pooling" in found.assumed[-1]


@pytest.mark.parametrize(
    ("network", "channels", "pooling", "prefix"), [(Pooled(), 3, "native", 1), (Tokens(), 1, "mean", 21 - 16)]
)
def test_a_trusted_program_is_run_once_to_see_what_it_returns(
    network, channels, pooling, prefix, images, tmp_path, monkeypatch, capsys
):
    whole = torch.nn.Sequential(torch.nn.Conv2d(channels, 1, 1), network)
    torch.jit.trace(whole, torch.zeros(1, channels, 48, 48)).save(str(tmp_path / "w.pt"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        main(["new", "mine", "--from", "w.pt", "--size", "48", "--trust-code"])
    said = tomllib.loads((tmp_path / "mine" / "encoder.toml").read_text())
    assert (said["features"]["pooling"], said["source"]["prefix_tokens"]) == (pooling, prefix)
    assert said["preprocessing"]["channels"] == channels
    assert "not known" not in capsys.readouterr().out
    encoder = load_encoder(tmp_path / "w.pt", trust_code=True)
    assert encoder.card.features.pooling == pooling
    assert torch.isfinite(encoder.encode(images[..., :channels]).pooled).all()


def test_a_program_that_takes_no_image_of_the_usual_size(tmp_path):
    class Rigid(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1) @ torch.ones(3 * 48 * 48, 2)

    torch.jit.trace(Rigid(), torch.zeros(1, 3, 48, 48)).save(str(tmp_path / "w.pt"))
    found = recognise(tmp_path / "w.pt", run_at=224)
    assert (
        found.assumed[0] == "what it returns is not known: it takes no image of 224 x 224, --size says which it takes"
    )
    assert recognise(tmp_path / "w.pt", run_at=48).pooling == "native"


def test_tokens_that_leave_no_square_are_told_with_the_number_that_would(load, images, tmp_path):
    torch.jit.trace(Tokens(), torch.zeros(1, 3, 48, 48)).save(str(tmp_path / "w.pt"))
    source = {"adapter": "torchscript", "weights": "w.pt", "prefix_tokens": 1, "sha256": sha256_file(tmp_path / "w.pt")}
    encoder = load(source, tmp_path, trust_code=True)
    with pytest.raises(EncoderError, match=r"21 tokens less 1 prefix tokens.*: 5 would leave 4 x 4 patches"):
        encoder.encode(images)


@pytest.mark.parametrize("padding", [1, 2])
def test_a_resnet_for_cifar_once_its_padding_is_said(padding, images, tmp_path, capsys):
    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    network.conv1 = torch.nn.Conv2d(3, 64, 3, stride=1, padding=padding, bias=False)
    network.maxpool, network.fc = torch.nn.Identity(), torch.nn.Identity()
    torch.save({"state_dict": under("backbone.", network.eval().state_dict())}, tmp_path / "last.ckpt")
    with pytest.raises(EncoderError, match=r"do not tell small_stem .*fill in small_stem; .*solo-learn 2"):
        load_encoder(tmp_path / "last.ckpt")
    known = ["--author", "A", "--licence", "x", "--paradigm", "contrastive", "--objective", "other", "--method", "x"]
    with pytest.raises(SystemExit):
        main(["new", "mine", "--from", str(tmp_path / "last.ckpt"), "--out", str(tmp_path / "mine"), *known])
    assert "no max pooling follows, as for CIFAR; small_stem" in capsys.readouterr().out
    card = tmp_path / "mine" / "encoder.toml"
    with pytest.raises(EncoderError, match="'small_stem' is still a blank"):
        load_encoder(card)
    card.write_text(card.read_text().replace("small_stem = 0", f"small_stem = {padding}"))
    encoder = load_encoder(card)
    x = prepare(images[:2], encoder.card.preprocessing)
    assert x.shape[-1] == 32
    with torch.inference_mode():
        right = network(x)
    assert torch.equal(encoder.encode(images[:2]).pooled, right)


@pytest.mark.parametrize(("model", "stem"), [("resnet18d", 1), ("vit_tiny_patch16_224", 1), ("resnet18", 3)])
def test_a_small_stem_is_that_of_a_plain_resnet(model, stem, make_card):
    with pytest.raises(EncoderError, match="small_stem"):
        build(make_card({}), model, options={"small_stem": stem})


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"0.weight": torch.zeros(64, 3, 3, 3), "4.0.conv1.weight": torch.zeros(64, 64, 3, 3)},
         "first convolution of CIFAR.*docs/encoders.md#onnx"),
        ({"patch_embed.proj.weight": torch.zeros(192, 1, 4, 8, 8)}, "a network of volumes .*#volumes"),
        ({"a.weight": torch.zeros(1, 1, 3, 3, 3)}, "a network of volumes .*#volumes"),
        ({"patch_embed.proj.weight": torch.zeros(9, 1, dtype=torch.uint8)}, "is stored as uint8.*dequantise"),
        ({"base_model.model.a.lora_A.weight": torch.zeros(2, 2)}, "they are adapters.*merge them"),
        ({"embeddings.patch_embeddings.projection.weight": torch.zeros(2)}, "names of transformers.*save_pretrained"),
        ({"visual.transformer.resblocks.0.ln_1.weight": torch.zeros(2)}, "OpenAI's CLIP.*open_clip_config.json"),
        ({"conv1.weight": "an array"}, r"holds no tensors by name, only conv1\.weight.*torch\.save"),
        ({"conv1.parametrizations.weight.original0": torch.zeros(2)}, "they are parametrised weights"),
    ],
)  # fmt: skip
def test_what_it_is_and_the_cure(held, message, tmp_path):
    torch.save(held, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match=message):
        recognise(tmp_path / "w.pth")


def test_the_nearest_architecture_is_named(tmp_path):
    torch.save(timm.create_model("seresnet50", num_classes=0).state_dict(), tmp_path / "w.pth")
    with pytest.raises(EncoderError, match=r"resnet50 has no place for .*layer1\.0\.se"):
        recognise(tmp_path / "w.pth")


def test_no_prefix_is_offered_for_one_missing_weight(resnet, tmp_path):
    torch.save({n: v for n, v in resnet.state_dict().items() if n != "bn1.weight"}, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match=r"1 missing from the file \('bn1.weight'\)") as refusal:
        recognise(tmp_path / "w.pth")
    assert "names begin with" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "cure"),
    [("adapter_config.json", "merge them first"), ("w.safetensors", "--from FOLDER/NAME.safetensors"),
     ("w.onnx", "--from FOLDER/NAME.onnx")],
)  # fmt: skip
def test_a_folder_without_a_config(name, cure, tmp_path):
    (tmp_path / name).write_text("x")
    with pytest.raises(EncoderError, match=cure):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbf<!DOCTYPE html>", "is a web page"),
        (b"Entry not found", "is text, not weights: 'Entry not found'"),
    ],
)
def test_an_error_of_a_hub_saved_as_weights(content, message, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(EncoderError, match=message):
        recognise(tmp_path / "w.pth")
