"""Tiny random CLIP and SigLIP models with a tokenizer of words, written as transformers writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench.files import sha256_file

WORDS = ["a", "an", "image", "of", "no", "dark", "bright", "mass", "lesion", "benign"]
TEXT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 40}
VISION = {**TEXT, "hidden_size": 32, "image_size": 32, "patch_size": 8}
CONTEXT = 9


def tokenizer(kind: str) -> Any:
    """Words between marks, as CLIP; words before an end mark, as SigLIP."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    marks = ["<pad>", "<end>", "<unk>", "<begin>"]
    vocabulary = {word: i for i, word in enumerate([*marks, *WORDS])}
    rules = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    pattern = "<begin> $A <end>" if kind == "clip" else "$A <end>"
    ends = [(mark, vocabulary[mark]) for mark in ("<begin>", "<end>") if mark in pattern]
    rules.post_processor = processors.TemplateProcessing(single=pattern, special_tokens=ends)
    rules.enable_truncation(4)  # must not be followed
    return PreTrainedTokenizerFast(tokenizer_object=rules, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")


def model(kind: str, seed: int = 0, **text: Any) -> torch.nn.Module:
    """A random model of two towers; its logits are spread out."""
    import transformers

    torch.manual_seed(seed)
    towers = {"text_config": {**TEXT, "max_position_embeddings": CONTEXT, "eos_token_id": 1, **text}}
    towers["vision_config"] = VISION
    if kind == "clip":
        made = transformers.CLIPModel(transformers.CLIPConfig(**towers, projection_dim=16))
    else:
        towers["text_config"]["projection_size"] = VISION["hidden_size"]
        made = transformers.SiglipModel(transformers.SiglipConfig(**towers))
        torch.nn.init.constant_(made.logit_bias, -3.0)
    torch.nn.init.constant_(made.logit_scale, 3.0)
    return made.eval()


def write(folder: Path, kind: str, **text: Any) -> dict[str, Any]:
    """The model and its tokenizer in a folder; the `[source]` table of a card beside it."""
    model(kind, **text).save_pretrained(folder)
    tokenizer(kind).save_pretrained(folder)
    return source(folder)


def source(folder: Path) -> dict[str, Any]:
    """The `[source]` table of a model in a folder."""
    weights = sha256_file(folder / "model.safetensors")
    return {"adapter": "huggingface", "folder": folder.name, "part": "vision_model", "sha256": weights}
