"""From a file as people have it to a card that loads the right features, with nothing to edit but what people know."""

from __future__ import annotations

import argparse
import copy
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.cli import main
from bench.encoders.architectures import build
from bench.encoders.from_file import card_of
from bench.encoders.load import load_encoder
from bench.encoders.preprocess import prepare
from bench.encoders.recognise import recognise
from bench.errors import CardError, EncoderError

KNOWN = [
    *("--author", "A", "--licence", "MIT", "--paradigm", "predictive", "--objective", "other", "--method", "x"),
]
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 192, "depth": 1}


def under(prefix: str, state: dict) -> dict:
    return {prefix + name: value for name, value in state.items()}


@pytest.fixture(scope="module")
def nets(make_card) -> dict[str, torch.nn.Module]:
    wide = {**VIT, "embed_dim": 384, "num_heads": 6, "patch_size": 14, "img_size": 28}
    moco = {**wide, "num_heads": 12, "patch_size": 8, "img_size": 32}
    made = {
        "resnet": ("resnet18", {}),
        "vit": ("vit_tiny_patch16_224", VIT),
        "moco": ("vit_small_patch16_224", moco),
        "registers": ("vit_small_patch14_reg4_dinov2", {k: v for k, v in wide.items() if k != "embed_dim"}),
    }
    return {name: build(make_card({}), model, options=options, seed=5) for name, (model, options) in made.items()}


def solo_learn(nets, path):
    held = under("backbone.", nets["resnet"].state_dict()) | {"classifier.weight": torch.zeros(2, 2)}
    torch.save({"state_dict": held, "hyper_parameters": argparse.Namespace(lr=np.float64(0.1))}, path / "last.ckpt")
    return path / "last.ckpt", "resnet"


def dino(nets, path):
    own = nets["vit"].state_dict()
    student = under("module.backbone.", {k: v + 1 for k, v in own.items()})
    teacher = under("backbone.", own) | {"head.mlp.0.weight": torch.zeros(2, 2)}
    torch.save({"student": student, "teacher": teacher, "args": argparse.Namespace(arch="x")}, path / "dino.pth")
    return path / "dino.pth", "vit"


def mae(nets, path):
    more = {n: torch.zeros(1) for n in ("mask_token", "decoder_pos_embed", "decoder_blocks.0.norm1.weight")}
    torch.save({"model": nets["vit"].state_dict() | more, "epoch": 1}, path / "mae.pth")
    return path / "mae.pth", "vit"


def moco_v3(nets, path):
    own = nets["moco"].state_dict()
    held = under("module.momentum_encoder.", {k: v + 1 for k, v in own.items()}) | under("module.base_encoder.", own)
    held["module.base_encoder.head.0.weight"] = torch.zeros(2, 2)
    torch.save({"state_dict": held, "arch": "vit_small"}, path / "moco.pth.tar", _use_new_zipfile_serialization=False)
    return path / "moco.pth.tar", "moco"


def dinov2(nets, path):
    own = nets["registers"].state_dict()
    held = {("register_tokens" if k == "reg_token" else k): v for k, v in own.items()}
    held |= {"pos_embed": torch.cat([torch.zeros(1, 1, 384), own["pos_embed"]], 1), "mask_token": torch.zeros(1, 384)}
    torch.save(held, path / "dinov2.pth")
    return path / "dinov2.pth", "registers"


@pytest.mark.parametrize("layout", [solo_learn, dino, mae, moco_v3, dinov2])
def test_layouts_of_training_code(layout, nets, images, tmp_path, monkeypatch):
    path, name = layout(nets, tmp_path)
    encoder = _made(path, monkeypatch)
    x = prepare(images, encoder.card.preprocessing)
    with torch.inference_mode():
        right = nets[name].forward_head(nets[name].forward_features(x), pre_logits=True)
    torch.testing.assert_close(encoder.encode(images).pooled, right, atol=1e-5, rtol=1e-4)


def test_a_folder_of_transformers(images, tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
                                    image_size=32, patch_size=8)  # fmt: skip
    network = transformers.ViTModel(config, add_pooling_layer=False).eval()
    network.save_pretrained(tmp_path / "saved")
    encoder = _made(tmp_path / "saved", monkeypatch)
    with torch.inference_mode():
        tokens = network(pixel_values=prepare(images, encoder.card.preprocessing)).last_hidden_state
    torch.testing.assert_close(encoder.encode(images).pooled, tokens[:, 1:].mean(1), atol=1e-5, rtol=1e-4)


class Pooled(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.forward_features(x)


def test_onnx_with_external_data(nets, images, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(4, 3, 4, 4)).astype(np.float32), "w")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w"], ["y"], strides=[4, 4])], "g",
        [value("x", 1, ["n", 3, 32, 32])], [value("y", 1, ["n", 4, 8, 8])], [weight],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    encoder = _made(tmp_path / "m.onnx", monkeypatch)
    assert (tmp_path / "made" / "m.bin").is_file()
    assert encoder.card.preprocessing.size == 32
    assert encoder.encode(images, dense=True).grid.shape == (10, 8, 8, 4)
    assert not any("scores of classes" in said for said in recognise(tmp_path / "m.onnx").assumed)
    model.graph.node[0].output[0] = model.graph.output[0].name = "logits"
    onnx.save(model, tmp_path / "l.onnx", save_as_external_data=True, location="l.bin", size_threshold=0)
    assert (
        "its output 'logits' is taken for features, not for scores of classes" in recognise(tmp_path / "l.onnx").assumed
    )
    (tmp_path / "m.bin").unlink()
    with pytest.raises(EncoderError, match=r"external data is missing: m\.bin"):
        recognise(tmp_path / "m.onnx")


def test_programs_and_embeddings(nets, tmp_path):
    program = torch.export.export(Pooled(nets["vit"]), (torch.zeros(2, 3, 32, 32),))
    torch.export.save(program, tmp_path / "net.pt2")
    found = recognise(tmp_path / "net.pt2")
    assert (found.source["adapter"], found.size, found.pooling) == ("torch-export", 32, "mean")
    vector = torch.export.export(torch.nn.Flatten(), (torch.zeros(2, 3, 48, 48),))
    torch.export.save(vector, tmp_path / "vector.pt2")
    assert (recognise(tmp_path / "vector.pt2").size, recognise(tmp_path / "vector.pt2").pooling) == (48, "native")
    torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)).save(str(tmp_path / "net.pt"))
    assert recognise(tmp_path / "net.pt").source["adapter"] == "torchscript"
    (tmp_path / "features").mkdir()
    np.savez(tmp_path / "features" / "my-task.npz", **{"test/ids": np.array(["a"]), "test/pooled": np.zeros((1, 2))})
    assert recognise(tmp_path / "features").source["files"].keys() == {"my-task"}


def test_what_only_people_know_stays_blank_and_is_named(nets, tmp_path, monkeypatch, capsys):
    save_file(nets["resnet"].state_dict(), tmp_path / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    assert _run("new", "made", "--from", "w.safetensors") == 0
    card = tomllib.loads(Path("made/encoder.toml").read_text())
    assert [card[k] for k in ("authors", "licence", "paradigm", "objective", "method")] == [[""], "", "", "", ""]
    assert _run("check", "made") == 1
    assert "5 blanks to fill in: authors, licence, paradigm (contrastive" in " ".join(capsys.readouterr().out.split())


def test_a_file_without_a_card_runs_by_itself(nets, images, tmp_path, capsys):
    """The features are those of the card that `new --from` writes; what nobody said is not made up."""
    torch.save({"state_dict": under("module.encoder_q.", nets["resnet"].state_dict())}, tmp_path / "My Net.pth")
    encoder = load_encoder(tmp_path / "My Net.pth", model="resnet18")
    x = prepare(images, encoder.card.preprocessing)
    with torch.inference_mode():
        torch.testing.assert_close(encoder.encode(images).pooled, nets["resnet"](x), atol=1e-5, rtol=1e-4)
    assert (encoder.card.name, encoder.card.paradigm, encoder.card.licence) == ("my-net", "unknown", "not stated")
    options = ("--model", "resnet18", "--suite", "phantom-mini", "--task", "nothing,neither", "--out", str(tmp_path))
    assert _run("run", str(tmp_path / "My Net.pth"), *options) == 2
    assert "nothing" in capsys.readouterr().err
    with pytest.raises(CardError, match="--model is for weights without a card"):
        load_encoder("raw-pixels", model="resnet18")


def test_a_width_whose_heads_nobody_knows(make_card, tmp_path):
    network = build(make_card({}), "vit_tiny_patch16_224", options={**VIT, "embed_dim": 48, "num_heads": 2})
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    found = recognise(tmp_path / "w.safetensors")
    assert found.source["options"]["num_heads"] == 0
    assert "left blank" in found.assumed[0]
    with pytest.raises(EncoderError, match="do not tell num_heads"):
        load_encoder(tmp_path / "w.safetensors")


def test_weights_of_nothing_known(tmp_path):
    torch.save({"state_dict": {"a.b": torch.zeros(3)}}, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match="no architecture known by its names"):
        recognise(tmp_path / "w.pth")


def test_a_network_that_was_guessed_is_called_a_guess(nets, tmp_path):
    held = {name: value for name, value in nets["resnet"].state_dict().items() if "layer3.1" not in name}
    torch.save(held, tmp_path / "x.pth")
    with pytest.raises(EncoderError, match=r"resnet18 is a guess from names and shapes; .* say --model"):
        recognise(tmp_path / "x.pth")
    with pytest.raises(EncoderError, match="names do not match") as named:
        recognise(tmp_path / "x.pth", "resnet18")
    assert "guess" not in str(named.value)


def _run(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return stop.value.code or 0


def _made(path: Path, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert _run("new", "made", "--from", path.name, *KNOWN) == 0
    return load_encoder(path.parent / "made")


def test_of_several_networks_the_chosen_one_and_the_others_are_named(nets, tmp_path):
    path, _ = dino(nets, tmp_path)
    assert "the weights under 'teacher.backbone'; there are others under student.module.backbone" in (
        recognise(path).assumed
    )
    alone = tmp_path / "alone.pth"
    torch.save(under("decoder.", nets["vit"].state_dict()), alone)
    assert "the weights under 'decoder' are the encoder: the file holds no others" in recognise(alone).assumed


def test_a_normalisation_that_the_file_holds_is_told(nets, tmp_path):
    state = under("backbone.", nets["vit"].state_dict()) | {"data_preprocessor.mean": torch.full((3, 1, 1), 127.5)}
    torch.save({"state_dict": state}, tmp_path / "mm.pth")
    said = "data_preprocessor.mean in the file is [127.5, 127.5, 127.5]: is it that of the card?"
    assert said in recognise(tmp_path / "mm.pth").assumed


@pytest.mark.parametrize(
    ("meant", "other"),
    [("model", "exp_avg"), ("best", "init"), ("swa_state_dict", "state_dict"), ("online_network", "target_network")],
)
def test_of_several_networks_the_usual_one_is_chosen(nets, tmp_path, meant, other):
    torch.save({name: nets["vit"].state_dict() for name in sorted((meant, other))}, tmp_path / "w.pth")
    assert f"the weights under '{meant}'; there are others under {other}" in recognise(tmp_path / "w.pth").assumed


def test_adapters_inside_the_blocks_are_not_left_out_in_silence(nets, tmp_path):
    adapted = {"blocks.0.attn.qkv.lora_A.weight": torch.zeros(4, 192)}
    torch.save(nets["vit"].state_dict() | adapted, tmp_path / "lora.pth")
    with pytest.raises(EncoderError, match=r"no place for .* inside it: blocks\.0\.attn\.qkv\.lora_A.*merge"):
        recognise(tmp_path / "lora.pth")


@pytest.mark.parametrize("model", ["convnext_atto", "resnet18"])
def test_a_network_of_grey_images(make_card, tmp_path, model):
    card = make_card({}, preprocessing={"size": 32, "channels": 1, "mean": [0.5], "std": [0.5]})
    torch.save(build(card, model).state_dict(), tmp_path / "grey.pth")
    found = card_of(tmp_path / "grey.pth")
    assert (found.preprocessing.channels, found.preprocessing.mean) == (1, [0.449])


@pytest.mark.parametrize(("kept", "message"), [(0, "is empty"), (0.5, "is cut short")])
def test_a_file_that_is_not_all_there(nets, tmp_path, kept, message):
    path = tmp_path / "last.pth"
    torch.save(nets["vit"].state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EncoderError, match=f"{message}.*copy or download it again"):
        recognise(path)


def _sequential(nets, path):
    own, stages = (
        nets["resnet"].state_dict(),
        {"conv1": "0", "bn1": "1", **{f"layer{i}": str(i + 3) for i in range(1, 5)}},
    )
    renamed = {".".join([stages[k.split(".")[0]], *k.split(".")[1:]]): v for k, v in own.items()}
    torch.save({"state_dict": under("backbone.", renamed)}, path / "lightly.ckpt")
    return path / "lightly.ckpt", "resnet"


def _wrapped_inside(nets, path):
    renamed = {k.replace("blocks.0.", "blocks.0._fsdp_wrapped_module."): v for k, v in nets["vit"].state_dict().items()}
    torch.save({"model": under("module._orig_mod.", renamed)}, path / "fsdp.pth")
    return path / "fsdp.pth", "vit"


def _chunks(nets, path):
    renamed = {k.replace("blocks.0.", "blocks.0.0."): v for k, v in nets["vit"].state_dict().items()}
    torch.save({"teacher": under("backbone.", renamed)}, path / "teacher_checkpoint.pth")
    return path / "teacher_checkpoint.pth", "vit"


@pytest.mark.parametrize("layout", [_sequential, _wrapped_inside, _chunks])
def test_names_inside_which_others_stand(layout, nets, images, tmp_path, monkeypatch):
    test_layouts_of_training_code(layout, nets, images, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "name", ["norm_pre.weight", "rel_pos_bias.relative_position_bias_table", "temporal_embed", "blocks.0.gamma_3"]
)
def test_a_part_of_the_network_is_never_left_out_as_if_beside_it(name, nets, tmp_path):
    torch.save(nets["vit"].state_dict() | {name: torch.ones(192)}, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match=f"no place for what the file holds inside it: {name}"):
        recognise(tmp_path / "w.pth")


def test_what_is_left_out_is_said(nets, tmp_path):
    torch.save(nets["vit"].state_dict() | {"head.weight": torch.ones(2, 192)}, tmp_path / "w.pth")
    assert "left out, as no part of the encoder: head." in recognise(tmp_path / "w.pth").assumed


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"reg_tokens": 4}, {"reg_tokens": 4}),
        ({"qk_norm": True}, {"qk_norm": True}),
        ({"global_pool": "avg", "fc_norm": True}, {"global_pool": "avg", "fc_norm": True}),
    ],
)
def test_kinds_of_transformers(options, expected, make_card, images, tmp_path):
    network = build(make_card({}), "vit_tiny_patch16_224", options={**VIT, **options}, seed=3)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    encoder = load_encoder(tmp_path / "w.pth")
    assert expected.items() <= encoder.card.source["options"].items()
    x = prepare(images, encoder.card.preprocessing)
    with torch.inference_mode():
        tokens = network.forward_features(x)
        right = network.forward_head(tokens, pre_logits=True) if "fc_norm" in options else tokens[:, 0]
    torch.testing.assert_close(encoder.encode(images).pooled, right, atol=1e-5, rtol=1e-4)


def test_positions_that_are_no_square(make_card, nets, tmp_path):
    torch.save(nets["vit"].state_dict() | {"pos_embed": torch.zeros(1, 13, 192)}, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match="13 position embeddings are no square grid"):
        recognise(tmp_path / "w.pth")


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.complex64, torch.float8_e4m3fn])
def test_weights_that_are_codes_are_not_taken_for_numbers(kind, nets, tmp_path):
    coded = {n: v.to(kind) if v.ndim == 2 else v for n, v in nets["vit"].state_dict().items()}
    torch.save(coded, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match=r"is stored as .* not as floating-point numbers"):
        recognise(tmp_path / "w.pth")


def test_channels_that_no_image_has(make_card, nets, tmp_path):
    held = nets["resnet"].state_dict()
    torch.save(held | {"conv1.weight": torch.zeros(64, 4, 7, 7)}, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match="first convolution takes 4 channels"):
        recognise(tmp_path / "w.pth")


def test_what_the_author_says_stands_on_the_card(nets, tmp_path, monkeypatch, capsys):
    save_file(nets["resnet"].state_dict(), tmp_path / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    said = ("--size", "96", "--normalisation", "half", "--pooling", "mean", "--architecture", "other")
    assert _run("new", "made", "--from", "w.safetensors", *said) == 0
    assert "ImageNet" not in (told := capsys.readouterr().out)
    assert "size 224" not in told
    card = tomllib.loads(Path("made/encoder.toml").read_text())
    assert [card["preprocessing"][k] for k in ("size", "mean", "std")] == [96, [0.5], [0.5]]
    assert (card["features"]["pooling"], card["architecture"]) == ("mean", "other")
    assert _run("new", "other", "--from", "w.safetensors", "--normalisation", "imagnet") == 2
    assert _run("new", "other", "--from", "w.safetensors", "--adapter", "onnx") == 2
    assert not Path("other").exists()
