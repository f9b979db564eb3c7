"""Folders of open_clip asked for classes: logits against open_clip's own, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.encoders.preprocess import prepare
from bench.errors import EncoderError, NotForThisEncoderError
from tests.encoders import two_towers
from tests.encoders.test_folders import load_encoder

open_clip = pytest.importorskip("open_clip", reason="pip install 'medssl-bench[clip]'")
pytest.importorskip("transformers")
SENTENCES = ["dark mass", "an image of a bright lesion", "Benign"]
OWN = {"width": 128, "heads": 2, "layers": 2}
TIMM = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "", "timm_proj": "linear", "image_size": 224}
WHOLE = {**TIMM, "timm_proj": "none", "timm_pool": "token"}
BERT = {"hf_model_name": "microsoft/PubMedBERT", "hf_proj_type": "mlp", "context_length": 12,
        "hf_pooler_type": "cls_last_hidden_state_pooler", "hf_tokenizer_name": "microsoft/PubMedBERT"}  # fmt: skip
SIGLIP = {**OWN, "context_length": 9, "vocab_size": 40, "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
          "hf_tokenizer_name": "x", "tokenizer_kwargs": {"clean": "canonicalize"}}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "ViT-B-32": {"vision_cfg": {"image_size": 32, "layers": 10, "width": 256, "patch_size": 16}, "text_cfg": OWN},
    "BiomedCLIP": {"vision_cfg": TIMM, "text_cfg": BERT},
    "SigLIP": {"vision_cfg": WHOLE, "text_cfg": SIGLIP, "custom_text": True, "init_logit_bias": -10, "embed_dim": 192},
}  # fmt: skip


def built(kind: str, folder: Path) -> torch.nn.Module:
    """open_clip's own model with random weights. Its BERT is given a config, which open_clip looks up by name."""
    import transformers

    said = {"embed_dim": 16, **MODELS[kind]}
    custom = said.pop("custom_text", False) or kind == "BiomedCLIP"
    if kind == "BiomedCLIP":
        config = transformers.BertConfig(vocab_size=40, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
                                         intermediate_size=64, max_position_embeddings=16)  # fmt: skip
        config.save_pretrained(folder / "bert")
        said["text_cfg"] = {**BERT, "hf_model_name": str(folder / "bert"), "hf_model_pretrained": False}
    torch.manual_seed(0)
    network = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**said).eval()
    torch.nn.init.constant_(network.logit_scale, 3.0)
    return network


def write(kind: str, folder: Path, **changed: Any) -> torch.nn.Module:
    """The model in a folder as open_clip saves it."""
    network = built(kind, folder.parent)
    folder.mkdir()
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    about = {"model_cfg": {"embed_dim": 16, **MODELS[kind], **changed}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(about))
    if kind != "ViT-B-32":
        two_towers.tokenizer("clip" if kind == "BiomedCLIP" else "siglip").save_pretrained(folder)
    return network


def numbers(kind: str, folder: Path, sentences: list[str]) -> torch.Tensor:
    """As open_clip's own tokenizer gives them."""
    return open_clip.get_tokenizer(f"local-dir:{folder}")(sentences)


@pytest.mark.parametrize("kind", MODELS)
def test_logits_are_those_of_open_clip(kind, images, tmp_path):
    network = write(kind, tmp_path / "m")
    encoder = load_encoder(tmp_path / "m")
    tower = encoder.text_tower()
    sentences = [s.lower() for s in SENTENCES] if kind == "BiomedCLIP" else SENTENCES
    texts = tower.embed(sentences)
    with torch.inference_mode():
        x = prepare(images, encoder.card.preprocessing)
        right, _ = network.get_logits(x, numbers(kind, tmp_path / "m", sentences))
    found = tower.logits(encoder.encode(images).pooled, texts)
    assert tower.sigmoid == (kind == "SigLIP")
    assert right.std() > 0.01
    torch.testing.assert_close(found, right, rtol=0, atol=1e-5)


def test_its_hash_is_of_weights_and_tokenizer(tmp_path):
    write("SigLIP", tmp_path / "m")
    first = load_encoder(tmp_path / "m").text_tower().sha256
    assert load_encoder(tmp_path / "m").text_tower().sha256 == first
    path = tmp_path / "m" / "tokenizer.json"
    said = json.loads(path.read_text())
    vocabulary = said["model"]["vocab"]
    vocabulary["dark"], vocabulary["bright"] = vocabulary["bright"], vocabulary["dark"]
    path.write_text(json.dumps(said))
    second = load_encoder(tmp_path / "m").text_tower().sha256
    weights = tmp_path / "m" / "open_clip_model.safetensors"
    save_file({n: v + 0.5 if n == "logit_bias" else v for n, v in load_file(weights).items()}, weights)
    assert len({first, second, load_encoder(tmp_path / "m").text_tower().sha256}) == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"text_cfg": {**SIGLIP, "layers": 10**6}}, "'layers' of its config is out of range"),
        ({"text_cfg": {**SIGLIP, "width": 10**5}}, "describes .* parameters, the file holds fewer"),
        ({"multimodal_cfg": {"layers": 2}}, "cannot build its two towers: .*multimodal_cfg.* not CoCa"),
        ({"text_cfg": {**SIGLIP, "layers": 3}}, "cannot build its two towers: .*Missing key"),
        ({"text_cfg": None}, "describes no text tower"),
        ({"text_cfg": {**SIGLIP, "tokenizer_kwargs": {"strip_sep_token": True}}}, "'strip_sep_token'"),
        ({"vision_cfg": {**WHOLE, "timm_pool": "avg"}}, "cannot build|the card chooses another"),
        (
            {"vision_cfg": {**WHOLE, "timm_model_name": "hf-hub:a/b"}},
            "unknown timm model",
        ),
    ],
)
def test_what_is_refused(changed, message, tmp_path):
    write("SigLIP", tmp_path / "m")
    encoder = load_encoder(tmp_path / "m")
    about = tmp_path / "m" / "open_clip_config.json"
    said = json.loads(about.read_text())
    about.write_text(json.dumps({**said, "model_cfg": {**said["model_cfg"], **changed}}))
    with pytest.raises(EncoderError, match=message):
        encoder.text_tower()


def test_a_text_network_that_is_no_bert_is_refused(tmp_path):
    write("BiomedCLIP", tmp_path / "m")
    path = tmp_path / "m" / "open_clip_model.safetensors"
    kept = {n: v[:1] if "token_type" in n else v for n, v in load_file(path).items()}
    save_file({n: v.contiguous() for n, v in kept.items()}, path)
    with pytest.raises(NotForThisEncoderError, match="that is no BERT"):
        load_encoder(tmp_path / "m").text_tower()


def test_a_long_sentence_and_a_missing_tokenizer_are_refused(tmp_path):
    write("ViT-B-32", tmp_path / "own")
    with pytest.raises(NotForThisEncoderError, match="has 82 tokens, the text tower reads 77"):
        load_encoder(tmp_path / "own").text_tower().embed(["dark " * 80])
    write("BiomedCLIP", tmp_path / "m")
    (tmp_path / "m" / "tokenizer.json").unlink()
    with pytest.raises(NotForThisEncoderError, match=r"no tokenizer.json .*save_pretrained"):
        load_encoder(tmp_path / "m").text_tower()


def test_weights_alone_are_an_image_tower(tmp_path):
    write("ViT-B-32", tmp_path / "m")
    encoder = load_encoder(tmp_path / "m")
    beside = Path(encoder.reads_text.args[1]).parent / "open_clip_config.json"
    beside.unlink()
    with pytest.raises(NotForThisEncoderError, match=r"no open_clip_config.json \(download it too"):
        encoder.text_tower()
