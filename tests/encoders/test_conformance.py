"""One contract for every adapter: the same known weights give the same features, whichever adapter carries them."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.encoders.features import Features
from bench.encoders.sources.embeddings import write_embeddings
from bench.errors import EncoderError
from bench.files import sha256_file

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}


class Tokens(nn.Module):
    """Images to all tokens, class token first: what an author exports."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.forward_features(x)


def _named(folder: Path, name: str, **more) -> dict:
    return {"weights": name, "sha256": sha256_file(folder / name), **more}


def carry_timm_safetensors(vit, vit_source, folder, images):
    save_file(vit.state_dict(), folder / "w.safetensors")
    return {**vit_source, **_named(folder, "w.safetensors")}


def carry_timm_pth(vit, vit_source, folder, images):
    held = {"epoch": 3, "teacher": {f"module.backbone.{k}": v for k, v in vit.state_dict().items()}}
    held["teacher"]["module.head.weight"] = torch.zeros(3, 3)
    torch.save(held, folder / "w.pth")
    return {**vit_source, **_named(folder, "w.pth", entry="teacher", prefix="module.backbone.")}


def carry_timm_by_order(vit, vit_source, folder, images):
    renamed = {f"t{i:03d}": v for i, v in enumerate(vit.state_dict().values())}
    torch.save(renamed, folder / "w.pth")
    return {**vit_source, **_named(folder, "w.pth", key_mapping="by-order")}


def carry_torchscript(vit, vit_source, folder, images):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Tokens(vit), torch.zeros(2, 3, 32, 32), check_trace=False).save(str(folder / "w.pt"))
    return {"adapter": "torchscript", "prefix_tokens": 1, **_named(folder, "w.pt")}


def carry_torch_export(vit, vit_source, folder, images):
    batch = {"x": {0: torch.export.Dim("batch", min=1, max=4096)}}
    program = torch.export.export(Tokens(vit), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=batch)
    torch.export.save(program, folder / "w.pt2")
    return {"adapter": "torch-export", "prefix_tokens": 1, **_named(folder, "w.pt2")}


def carry_torch_export_fixed_batch(vit, vit_source, folder, images):
    program = torch.export.export(Tokens(vit), (torch.zeros(4, 3, 32, 32),))
    torch.export.save(program, folder / "w.pt2")
    return {"adapter": "torch-export", "prefix_tokens": 1, **_named(folder, "w.pt2")}


def _to_onnx(vit, folder: Path, *, exporter: str) -> dict:
    pytest.importorskip("onnxruntime")
    options = {
        "modern": {"dynamo": True, "dynamic_shapes": {"x": {0: torch.export.Dim("batch", min=1, max=4096)}}},
        "legacy, one image": {"dynamo": False},
    }[exporter]
    shape = (1 if exporter == "legacy, one image" else 2, 3, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Tokens(vit), (torch.zeros(shape),), str(folder / "w.onnx"), external_data=False, verbose=False, **options
        )
    return {"adapter": "onnx", "prefix_tokens": 1, **_named(folder, "w.onnx")}


def carry_onnx(vit, vit_source, folder, images):
    return _to_onnx(vit, folder, exporter="modern")


def carry_onnx_fixed_batch(vit, vit_source, folder, images):
    return _to_onnx(vit, folder, exporter="legacy, one image")


def carry_python(vit, vit_source, folder, images):
    save_file(vit.state_dict(), folder / "w.safetensors")
    (folder / "mine.py").write_text(
        "from bench.encoders.architectures import build\n"
        "from bench.encoders.networks import TimmEncoder\n"
        "from safetensors.torch import load_file\n"
        "def load(card, folder):\n"
        f"    network = build(card, 'vit_tiny_patch16_224', options={vit_source['options']!r})\n"
        "    network.load_state_dict(load_file(folder / 'w.safetensors'))\n"
        "    return TimmEncoder(card, network)\n"
    )
    return {"adapter": "python", "file": "mine.py", "sha256": sha256_file(folder / "mine.py")}


def carry_huggingface(vit, vit_source, folder, images):
    pytest.importorskip("transformers")
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, image_size=32,
        patch_size=8, layer_norm_eps=1e-6, hidden_act="gelu",
    )  # fmt: skip
    model = ViTModel(config, add_pooling_layer=False)
    model.load_state_dict(_in_transformers_naming(vit.state_dict(), model))
    model.save_pretrained(folder / "model")
    weights = folder / "model" / "model.safetensors"
    return {"adapter": "huggingface", "folder": "model", "sha256": sha256_file(weights)}


def _in_transformers_naming(state: dict, model: nn.Module) -> dict:
    """timm's tensors under the names of a transformers ViT: query, key and value apart."""
    out: dict[str, torch.Tensor] = {}
    for name in model.state_dict():
        kind = name.rsplit(".", 1)[-1]
        if "cls_token" in name or "position_embeddings" in name:
            out[name] = state["cls_token" if "cls_token" in name else "pos_embed"]
        elif "patch_embeddings" in name:
            out[name] = state[f"patch_embed.proj.{kind}"]
        elif name.startswith("layernorm."):
            out[name] = state[f"norm.{kind}"]
        else:
            block = next(int(p) for p in name.split(".") if p.isdigit())
            out[name] = _block_tensor(state, f"blocks.{block}", name, kind)
    return out


def _block_tensor(state: dict, block: str, name: str, kind: str) -> torch.Tensor:
    for i, words in enumerate((("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))):
        if any(f".{w}." in name for w in words):
            return state[f"{block}.attn.qkv.{kind}"].chunk(3)[i]
    parts = {
        "attention.output": "attn.proj", "o_proj": "attn.proj", "intermediate": "mlp.fc1", "fc1": "mlp.fc1",
        "layernorm_before": "norm1", "layernorm_after": "norm2", "fc2": "mlp.fc2", "output.dense": "mlp.fc2",
    }  # fmt: skip
    return state[f"{block}.{next(ours for theirs, ours in parts.items() if theirs in name)}.{kind}"]


CARRIERS = {name.removeprefix("carry_"): value for name, value in list(globals().items()) if name.startswith("carry_")}


@pytest.fixture(scope="module")
def expected(vit, images, make_card) -> tuple[torch.Tensor, torch.Tensor]:
    """(pooled, grid) worked out without any adapter: PIL-free resize by torch, normalise, mean of patch tokens."""
    x = torch.nn.functional.interpolate(
        images.permute(0, 3, 1, 2).float(), (32, 32), mode="bilinear", antialias=True, align_corners=False
    )
    card = make_card({}).preprocessing
    x = (x / 255 - torch.tensor(card.mean)[:, None, None]) / torch.tensor(card.std)[:, None, None]
    with torch.inference_mode():
        tokens = vit.forward_features(x)
    return tokens[:, 1:].mean(1), tokens[:, 1:].reshape(10, 4, 4, 32)


@pytest.fixture(scope="module", params=CARRIERS)
def carried(request, vit, vit_source, images, tmp_path_factory, load):
    """The known weights, loaded through one adapter."""
    folder = tmp_path_factory.mktemp(request.param)
    return load(CARRIERS[request.param](vit, vit_source, folder, images), folder, trust_code=True)


def test_same_features_whichever_adapter(carried, images, expected):
    out = carried.encode(images, dense=True)
    torch.testing.assert_close(out.pooled, expected[0], **TOLERANCE)
    torch.testing.assert_close(out.grid, expected[1], **TOLERANCE)


def test_padding_and_range_reach_every_adapter(carried, vit, images):
    """A 2:1 image under another normalisation, padded by hand, straight through the network."""
    own = carried.card.preprocessing
    changed = own.model_copy(update={"pad_to_square": True, "mean": [0.5], "std": [0.25]})
    wide = images[:3, :16, :32]
    x = torch.zeros(3, 3, 32, 32)
    x[:, :, 8:24] = wide.permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        expected = vit.forward_features((x - 0.5) / 0.25)[:, 1:].mean(1)
    torch.testing.assert_close(carried.encode(wide, preprocessing=changed).pooled, expected, **TOLERANCE)


def test_batch_size_does_not_matter(carried, images):
    whole = carried.encode(images, dense=True)
    for size in (1, 3):
        parts = [carried.encode(images[i : i + size], dense=True) for i in range(0, 10, size)]
        assert (torch.cat([p.pooled for p in parts]) - whole.pooled).abs().max() < 1e-5
        assert (torch.cat([p.grid for p in parts]) - whole.grid).abs().max() < 1e-5


def test_same_twice(carried, images):
    assert torch.equal(carried.encode(images).pooled, carried.encode(images).pooled)


def test_grey_equals_its_three_copies(carried, images):
    grey = images[..., :1]
    torch.testing.assert_close(carried.encode(grey).pooled, carried.encode(grey.expand(-1, -1, -1, 3)).pooled)


def test_dtype_and_grid_only_when_asked(carried, images):
    out = carried.encode(images[:2])
    assert out.pooled.dtype == torch.float32
    assert out.pooled.shape == (2, 32)
    assert out.grid is None
    assert carried.encode(images[:2], dense=True).grid.dtype == torch.float32


def test_knows_its_weights_hash_and_size(carried, vit):
    assert len(carried.weights_sha256) == 64
    # An exported program may fold constants or drop what it does not use, never more than a few per cent.
    assert carried.parameters == pytest.approx(sum(p.numel() for p in vit.parameters()), rel=0.05)


@pytest.mark.parametrize("name", ["python", "torchscript", "torch_export"])
def test_code_needs_trust(name, vit, vit_source, images, tmp_path, load):
    source = CARRIERS[f"{name}"](vit, vit_source, tmp_path, images)
    with pytest.raises(EncoderError, match="runs code of its author"):
        load(source, tmp_path)


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_embeddings_carry_the_same_features(ending, images, expected, tmp_path, load):
    pooled, grid = (t.numpy() for t in expected)
    ids = [f"test/{i}" for i in range(10)]
    path = tmp_path / f"mini.{ending}"
    digest = write_embeddings(path, {"train": (["train/0"], Features(pooled[:1], grid[:1])),
                                     "test": (ids, Features(pooled, grid))})  # fmt: skip
    encoder = load({"adapter": "embeddings", "files": {"mini": {"path": path.name, "sha256": digest}}}, tmp_path)
    order = np.random.default_rng(0).permutation(10)
    found = encoder.lookup("mini", "test", [ids[i] for i in order])
    assert encoder.precomputed
    np.testing.assert_array_equal(found.pooled, pooled[order])
    np.testing.assert_array_equal(found.grid, grid[order])
