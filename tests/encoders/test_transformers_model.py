"""Small random models of the transformers library: our features against what the models themselves return."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.encoders.preprocess import prepare
from bench.encoders.transformers_model import HuggingFaceEncoder
from bench.errors import EncoderError

transformers = pytest.importorskip("transformers")
VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SIZED = {**VIT, "image_size": 32, "patch_size": 8}
SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
CONV = {"hidden_sizes": [8, 16], "depths": [1, 1]}
HIERA = {
    "image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 1], "num_heads": [1, 2, 4], "num_query_pool": 2,
    "masked_unit_size": [4, 4],
}  # fmt: skip


def model(name: str, config: str | None = None, **values: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    made = getattr(transformers, config or name.replace("Model", "Config"))(**values)
    return getattr(transformers, name)(made).eval()


def encoder(make_card, network, size=64, pooling="mean", **more):
    card = make_card(
        {}, preprocessing={"size": size, "mean": [0.5], "std": [0.5]}, features={"pooling": pooling, **more}
    )
    return HuggingFaceEncoder(card, network)


def answer(network, encoder, images, **options):
    with torch.inference_mode():
        return network(pixel_values=prepare(images[:2], encoder.card.preprocessing), **options)


@pytest.mark.parametrize(
    ("name", "values", "prefix"),
    [
        ("ViTModel", {**SIZED, "image_size": 64}, 1),
        ("DeiTModel", {**SIZED, "image_size": 64}, 2),
        ("Dinov2Model", {**VIT, "image_size": 64, "patch_size": 8, "mlp_ratio": 2}, 1),
        ("Dinov2WithRegistersModel", {**VIT, "image_size": 64, "patch_size": 8, "num_register_tokens": 3}, 4),
        ("DINOv3ViTModel", {**VIT, "image_size": 64, "patch_size": 8, "num_register_tokens": 4}, 5),
        ("IJepaModel", {**SIZED, "image_size": 64}, 0),
        ("BeitModel", {**SIZED, "image_size": 64}, 1),
        ("SwinModel", SWIN, 0),
        ("Swinv2Model", SWIN, 0),
        ("DINOv3ConvNextModel", CONV, 1),
    ],
)
def test_grid_of_tokens(name, values, prefix, make_card, images):
    network = model(name, **values)
    ours = encoder(make_card, network).encode(images[:2], dense=True)
    tokens = answer(network, encoder(make_card, network), images).last_hidden_state
    side = round((tokens.shape[1] - prefix) ** 0.5)
    right = tokens[:, prefix:].reshape(2, side, side, -1)
    torch.testing.assert_close(ours.grid, right)
    torch.testing.assert_close(ours.pooled, right.mean((1, 2)))


def test_grid_of_hiera_lies_as_its_own_map(make_card, images):
    network = model("HieraModel", **HIERA)
    ours = encoder(make_card, network).encode(images[:2], dense=True).grid
    out = answer(network, encoder(make_card, network), images, output_hidden_states=True)
    torch.testing.assert_close(ours, out.reshaped_hidden_states[-1])
    inner = encoder(make_card, network, layer=1).encode(images[:2], dense=True).grid
    torch.testing.assert_close(inner, out.reshaped_hidden_states[1])


@pytest.mark.parametrize(("name", "values"), [("ConvNextModel", {**CONV, "num_stages": 2}), ("ResNetModel", CONV)])
def test_grid_of_maps(name, values, make_card, images):
    network = model(name, **values)
    out = encoder(make_card, network, pooling="native").encode(images[:2], dense=True)
    right = answer(network, encoder(make_card, network), images)
    torch.testing.assert_close(out.grid, right.last_hidden_state.permute(0, 2, 3, 1))
    torch.testing.assert_close(out.pooled, right.pooler_output.flatten(1))


@pytest.mark.parametrize("name", ["ViTModel", "IJepaModel", "SiglipVisionModel", "CLIPVisionModel", "BeitModel"])
def test_another_size_than_the_native(name, make_card, images):
    network = model(name, **SIZED)
    ours = encoder(make_card, network, size=64)
    right = answer(network, ours, images, interpolate_pos_encoding=True).last_hidden_state
    grid = ours.encode(images[:2], dense=True).grid
    torch.testing.assert_close(grid, right[:, -64:].reshape(2, 8, 8, -1))


def test_mae_is_read_without_its_mask(make_card, images):
    network = model("ViTMAEModel", **SIZED)
    plain = transformers.ViTModel(transformers.ViTConfig(**SIZED), add_pooling_layer=False).eval()
    plain.load_state_dict(network.state_dict())
    for size in (32, 64):
        ours = encoder(make_card, network, size=size, pooling="cls")
        right = answer(plain, ours, images, interpolate_pos_encoding=True).last_hidden_state
        torch.testing.assert_close(ours.encode(images[:2]).pooled, right[:, 0], atol=1e-5, rtol=1e-4)


def test_naflex_takes_patches(make_card, images):
    network = model("Siglip2VisionModel", **VIT, patch_size=8, num_patches=16)
    ours = encoder(make_card, network, size=64, pooling="native")
    x = prepare(images[:2], ours.card.preprocessing)
    from transformers.models.siglip2.image_processing_siglip2 import convert_image_to_patches

    flat = torch.stack([convert_image_to_patches(image, 8) for image in x])
    shapes, mask = torch.tensor([[8, 8]] * 2), torch.ones((2, 64), dtype=torch.int32)
    with torch.inference_mode():
        right = network(pixel_values=flat, pixel_attention_mask=mask, spatial_shapes=shapes)
    out = ours.encode(images[:2], dense=True)
    torch.testing.assert_close(out.pooled, right.pooler_output)
    torch.testing.assert_close(out.grid, right.last_hidden_state.reshape(2, 8, 8, -1))


def test_video_and_text_models_are_refused(make_card):
    video = {"patch_size": 8, "crop_size": 32, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
             "pred_hidden_size": 32, "pred_num_hidden_layers": 1, "pred_num_attention_heads": 2}  # fmt: skip
    with pytest.raises(EncoderError, match=r"VJEPA2Model takes 'pixel_values_videos'.*not images"):
        encoder(make_card, model("VJEPA2Model", **video))
    towers = {"text_config": VIT, "vision_config": SIZED}
    with pytest.raises(EncoderError, match='part = "vision_model"'):
        encoder(make_card, model("SiglipModel", **towers))


def test_tokens_that_are_no_grid(make_card, images):
    network = model("YolosModel", **{**SIZED, "image_size": [32, 32]}, num_detection_tokens=6)
    with pytest.raises(EncoderError, match=r"returns 23 tokens, 1 of them class and register tokens"):
        encoder(make_card, network, size=32, pooling="cls").encode(images, dense=True)
    assert encoder(make_card, network, size=32, pooling="cls").encode(images).pooled.shape == (10, 32)


def test_the_fast_attention_is_used(tmp_path, load):
    from bench.files import sha256_file

    model("ViTModel", **SIZED).save_pretrained(tmp_path / "m")
    source = {"adapter": "huggingface", "folder": "m", "sha256": sha256_file(tmp_path / "m" / "model.safetensors")}
    assert load(source, tmp_path).module.config._attn_implementation == "sdpa"
