"""A two-tower model of open_clip from its config and its weights, built by that library; nothing is fetched or run."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.encoders.architectures import check_name
from bench.encoders.transformers_config import POOLER
from bench.errors import NotForThisEncoderError

MOST, DEEPEST = 1_000_000, 256
"""No number of a config is beyond the first, no count of layers beyond the second."""
POSITION_IDS = "text.transformer.embeddings.position_ids"
"""A table of 0, 1, 2, ... that older files of BERT hold beside the weights."""
WORDS, TYPES = "text.transformer.embeddings.word_embeddings.weight", "token_type_embeddings.weight"
MISSING = "pip install 'medssl-bench[clip]'"


def two_towers(said: Mapping[str, Any], state: Mapping[str, Tensor], where: str) -> nn.Module:
    """The `CLIP` or `CustomTextCLIP` of `model_cfg` with every weight of it from `state`, in float32 on the CPU.

    Raises NotForThisEncoderError where open_clip is not installed, or the two do not fit each other.
    """
    try:
        from open_clip import CLIP, CustomTextCLIP
        from open_clip.model import convert_to_custom_text_state_dict
    except ImportError:
        raise NotForThisEncoderError("its text tower needs open_clip", where=where, fix=MISSING) from None
    model = {key: value for key, value in said.items() if key != "custom_text"}
    vision, text = (dict(model.get(key) or {}) for key in ("vision_cfg", "text_cfg"))
    _check(model, where)
    if name := vision.get("timm_model_name"):
        check_name(str(name), where)
    custom = bool(said.get("custom_text") or text.get("hf_model_name"))
    held = dict(convert_to_custom_text_state_dict(dict(state)) if custom else state)
    held.pop(POSITION_IDS, None)
    with tempfile.TemporaryDirectory(prefix="medssl-") as folder:
        if text.get("hf_model_name"):
            (Path(folder) / "config.json").write_text(json.dumps(_bert(held, where)), encoding="utf-8")
            text |= {"hf_model_name": folder, "hf_model_pretrained": False}
        model |= {"vision_cfg": vision | {"timm_model_pretrained": False}, "text_cfg": text}
        return _filled(CustomTextCLIP if custom else CLIP, model, held, where)


def _check(model: Mapping[str, Any], where: str) -> None:
    """Raises NotForThisEncoderError for what no model asks for; it would be built before the weights are looked at."""
    parts = [model, *(part for part in model.values() if isinstance(part, dict))]
    for key, value in ((key, value) for part in parts for key, value in part.items()):
        numbers = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, (int, float))]
        if any(not abs(n) <= (DEEPEST if key == "layers" else MOST) for n in numbers):
            raise NotForThisEncoderError(f"{key[:40]!r} of its config is out of range", where=where)


def _filled(kind: type[nn.Module], model: dict[str, Any], state: dict[str, Tensor], where: str) -> nn.Module:
    try:
        with torch.device("meta"):
            asked = sum(p.numel() for p in kind(**model).parameters())
        if asked > 1.5 * sum(v.numel() for v in state.values()) + POOLER:
            raise ValueError(f"the config describes {asked:,} parameters, the file holds fewer")
        with torch.random.fork_rng(devices=[]):
            network = kind(**model)
        for name in ("logit_scale", "logit_bias"):
            if name in state and getattr(network, name) is not None:
                state[name] = state[name].reshape(getattr(network, name).shape)
        network.load_state_dict(state, strict=True)
    except Exception as error:  # open_clip, timm and transformers raise many unrelated classes
        what = f"open_clip cannot build its two towers: {' '.join(str(error).split())[:300]}"
        raise NotForThisEncoderError(what, where=where, fix="zero-shot reads CLIP and SigLIP, not CoCa") from None
    return network.float().eval()


def _bert(state: Mapping[str, Tensor], where: str) -> dict[str, Any]:
    """The config of a text tower of transformers, which a folder of open_clip does not hold: of a BERT, by its shapes.

    Heads are 64 wide, as in every BERT (Devlin et al. 2019, section 3; PubMedBERT, Gu et al. 2021). RoBERTa has one
    type of token, BERT two. Raises NotForThisEncoderError for other networks.
    """
    words, types = state.get(WORDS), state.get(WORDS.replace("word_embeddings.weight", TYPES))
    layers = {int(m[1]) for n in state if (m := re.match(r"text\.transformer\.encoder\.layer\.(\d+)\.", n))}
    first = state.get("text.transformer.encoder.layer.0.intermediate.dense.weight")
    places = state.get(WORDS.replace("word_embeddings", "position_embeddings"))
    if words is None or types is None or first is None or places is None or len(types) != 2 or words.shape[1] % 64:
        fix = "save it with transformers as CLIP or SigLIP, or leave zero-shot out"
        raise NotForThisEncoderError("has a text tower of transformers that is no BERT", where=where, fix=fix)
    width = words.shape[1]
    return {
        "model_type": "bert", "vocab_size": len(words), "hidden_size": width, "num_hidden_layers": len(layers),
        "num_attention_heads": width // 64, "intermediate_size": len(first), "max_position_embeddings": len(places),
        "type_vocab_size": 2,
    }  # fmt: skip
