"""Folders as people have them: what their files say of preprocessing and weights is what the card says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from bench.encoders.from_file import card_of
from bench.encoders.load import load_encoder
from bench.encoders.preprocess import prepare
from bench.encoders.recognise import recognise
from bench.errors import EncoderError, UserError

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
HALF = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3}
PROCESSOR = "preprocessor_config.json"


def saved(folder: Path, processor: object = None, **changes):
    config = transformers.ViTConfig(**SMALL, image_size=32, patch_size=8, **changes)
    network = transformers.ViTModel(config, add_pooling_layer=False).eval()
    network.save_pretrained(folder, max_shard_size=changes.pop("max_shard_size", "5GB"))
    if processor is not None:
        (folder / PROCESSOR).write_text(json.dumps(processor))
    return network


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ([0.5] * 3, [0.25] * 3)),
        ({"size": 32}, ([0.5] * 3, [0.25] * 3)),
        ({"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": 32}, ([0.5] * 3, [0.25] * 3)),
        ({"do_normalize": False}, ([0.0], [1.0])),
        ({"image_mean": 0.5, "image_std": [0.25]}, ([0.5], [0.25])),
        ({"rescale_factor": 1 / 127.5}, ([0.25] * 3, [0.125] * 3)),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, ([0.75] * 3, [0.125] * 3)),
        ({"do_rescale": False, "image_mean": [51.0], "image_std": [102.0]}, ([0.2], [0.4])),
    ],
)
def test_preprocessing_is_what_the_folder_says(said, expected, tmp_path):
    saved(tmp_path / "saved", HALF | said)
    card = card_of(tmp_path / "saved")
    found = card.preprocessing
    assert (found.size, found.mean, found.std, found.interpolation) == (32, *expected, "bicubic")
    assert "ImageNet" not in card.description


def test_the_normalisation_comes_to_the_same_pixels(tmp_path):
    """As transformers itself prepares an image, with a scale that is not that of [0, 1]."""
    said = HALF | {"rescale_factor": 1 / 127.5, "rescale_offset": True}
    saved(tmp_path / "saved", said)
    image = torch.arange(32 * 32 * 3, dtype=torch.int32).reshape(32, 32, 3).remainder(256).to(torch.uint8)
    right = ((image.double() / 127.5 - 1) - 0.5) / 0.25
    got = prepare(image[None], card_of(tmp_path / "saved").preprocessing)[0].permute(1, 2, 0)
    torch.testing.assert_close(got.double(), right, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"size": {"height": 32, "width": 48}}, "no square size"),
        ({"resample": 1}, "interpolation"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order, which is not done to images here"),
        ({"image_mean": [123.675, 116.28, 103.53]}, "mean and std are of values from 0 to 255"),
    ],
)
def test_what_no_card_can_say_is_refused(said, message, tmp_path):
    saved(tmp_path / "saved", HALF | said)
    with pytest.raises(UserError, match=message):
        recognise(tmp_path / "saved")


def test_channels_of_the_config(images, tmp_path):
    saved(tmp_path / "grey", HALF, num_channels=1)
    encoder = load_encoder(tmp_path / "grey")
    assert (encoder.card.preprocessing.channels, encoder.card.preprocessing.mean) == (1, [0.5])
    assert torch.isfinite(encoder.encode(images).pooled).all()
    saved(tmp_path / "four", num_channels=4)
    with pytest.raises(EncoderError, match="images of 4 channels"):
        recognise(tmp_path / "four")


def test_weights_in_other_files(images, tmp_path):
    network = saved(tmp_path / "saved")
    held = load_file(tmp_path / "saved" / "model.safetensors")
    (tmp_path / "saved" / "model.safetensors").unlink()
    torch.save(held, tmp_path / "saved" / "pytorch_model.bin")
    encoder = load_encoder(tmp_path / "saved")
    with torch.inference_mode():
        tokens = network(pixel_values=prepare(images, encoder.card.preprocessing)).last_hidden_state
    torch.testing.assert_close(encoder.encode(images).pooled, tokens[:, 1:].mean(1))


def test_shards_and_a_missing_one(tmp_path):
    network = saved(tmp_path / "whole")
    network.save_pretrained(tmp_path / "saved", max_shard_size="20KB")
    found = recognise(tmp_path / "saved")
    assert found.source["weights"] == "model.safetensors.index.json"
    load_encoder(tmp_path / "saved")
    (shard := sorted((tmp_path / "saved").glob("model-*.safetensors"))[1]).unlink()
    with pytest.raises(EncoderError, match=f"names {shard.name}, which is not there"):
        recognise(tmp_path / "saved")


def test_a_byte_order_mark_in_the_list_of_shards_changes_nothing(tmp_path):
    saved(tmp_path / "whole").save_pretrained(tmp_path / "saved", max_shard_size="20KB")
    before = recognise(tmp_path / "saved")
    path = tmp_path / "saved" / "model.safetensors.index.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert recognise(tmp_path / "saved") == before


def test_a_byte_order_mark_in_the_config_is_one_message(tmp_path):
    """transformers reads that file by itself, and does not take one."""
    saved(tmp_path / "saved")
    path = tmp_path / "saved" / "config.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    with pytest.raises(EncoderError, match="transformers cannot read its config"):
        recognise(tmp_path / "saved")


def test_integers_are_not_taken_for_weights(tmp_path):
    saved(tmp_path / "saved")
    path = tmp_path / "saved" / "model.safetensors"
    coded = {n: (v * 100).to(torch.int8) if v.ndim == 2 else v for n, v in load_file(path).items()}
    save_file(coded, path, metadata={"format": "pt"})
    with pytest.raises(EncoderError, match="is stored as I8, not as floating-point numbers"):
        load_encoder(tmp_path / "saved")


@pytest.mark.parametrize("name", ["layers.1.mlp.fc1.weight", "layers.0.attention.q_proj.lora_A.weight"])
def test_weights_that_the_config_leaves_out_of_the_network_are_refused(name, tmp_path):
    saved(tmp_path / "saved")
    path = tmp_path / "saved" / "model.safetensors"
    beside = {"classifier.weight": torch.ones(2, 32), "embeddings.mask_token": torch.ones(1, 1, 32)}
    save_file(load_file(path) | beside, path, metadata={"format": "pt"})
    load_encoder(tmp_path / "saved")
    save_file(load_file(path) | {name: torch.ones(2, 32)}, path, metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=f"no place for '{name}' in the file"):
        load_encoder(tmp_path / "saved")


def test_code_elsewhere_is_refused_before_a_card_is_written(tmp_path):
    saved(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text()) | {"auto_map": {"AutoModel": "a.B"}}
    (tmp_path / "saved" / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="auto_map"):
        recognise(tmp_path / "saved")


def test_a_folder_of_timm(images, tmp_path):
    network = timm.create_model("resnet10t", num_classes=5).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    cfg = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic"}
    about = {"architecture": "resnet10t", "num_classes": 5, "pretrained_cfg": cfg}
    (tmp_path / "config.json").write_text(json.dumps(about))
    encoder = load_encoder(tmp_path)
    assert (encoder.card.preprocessing.size, encoder.card.preprocessing.std) == (32, [0.25] * 3)
    x = prepare(images, encoder.card.preprocessing)
    with torch.inference_mode():
        right = network.forward_head(network.forward_features(x), pre_logits=True)
    torch.testing.assert_close(encoder.encode(images).pooled, right)


def test_the_image_tower_of_open_clip(images, tmp_path):
    trunk = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32).eval()
    held = {f"visual.trunk.{n}": v for n, v in trunk.state_dict().items()}
    held |= {"visual.head.proj.weight": torch.zeros(8, 192), "logit_scale": torch.ones(1), "text.x": torch.zeros(2)}
    save_file(held, tmp_path / "open_clip_model.safetensors")
    tower = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "", "timm_proj": "linear", "image_size": 32}
    about = {"model_cfg": {"vision_cfg": tower}, "preprocess_cfg": {"mean": [0.4] * 3, "std": [0.3] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(about))
    encoder = load_encoder(tmp_path)
    assert (encoder.card.preprocessing.mean, encoder.card.preprocessing.interpolation) == ([0.4] * 3, "bicubic")
    with torch.inference_mode():
        right = trunk(prepare(images, encoder.card.preprocessing))
    torch.testing.assert_close(encoder.encode(images).pooled, right)
    own = {"vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32}, "quick_gelu": True}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": own}))
    assert recognise(tmp_path).source["model"] == "vit_base_patch32_clip_quickgelu_224"
    own["vision_cfg"]["attentional_pool"] = True
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": own}))
    with pytest.raises(EncoderError, match="attentional_pool, which is not read"):
        recognise(tmp_path)


def test_folders_that_have_to_be_gathered_first(tmp_path):
    (tmp_path / "zero_to_fp32.py").write_text("")
    with pytest.raises(EncoderError, match="gather the shards of DeepSpeed"):
        recognise(tmp_path)
