"""Layouts of weights that no adapter reads as they are, told by parts of their names, each with its cure."""

from collections.abc import Collection

NAMES = "where timm has the network under these names, give --model NAME; else export it as ONNX"
EXPORT = "export the network as ONNX or with torch.export: docs/encoders.md#onnx-a-graph-run-by-onnxruntime"
LAYOUTS = (
    ("lora_", "adapters", "merge them into the weights first (peft: merge_and_unload)"),
    ("_packed_params", "weights quantised by torch", "save the network before it is quantised"),
    ("absmax", "weights quantised by bitsandbytes", "dequantise them before saving"),
    ("parametrizations.", "parametrised weights", "remove_parametrizations of torch.nn.utils.parametrize first"),
    ("patch_embeddings.projection", "names of transformers", "give a folder: model.save_pretrained(FOLDER)"),
    ("visual.transformer.resblocks", "names of OpenAI's CLIP", "give open_clip's folder, with open_clip_config.json"),
    ("patch_embed.projection", "names of mmpretrain", EXPORT),
    ("patch_embedding.", "names of MONAI", "write a card: docs/encoders.md#monai-a-network-of-the-monai-library"),
    ("features.0.0.weight", "names of torchvision", EXPORT),
    ("trunk_output.", "names of torchvision", EXPORT),
)  # fmt: skip
"""Part of a name, what has such names, the cure."""


def told(names: Collection[str]) -> tuple[str, str]:
    """(what the names are of, "" where they do not tell; the cure)."""
    return next(((what, fix) for part, what, fix in LAYOUTS if any(part in n for n in names)), ("", NAMES))
