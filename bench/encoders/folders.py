"""What a folder of weights holds: a model of transformers, of timm's hub layout, of open_clip, or files of features."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.encoders.card import Preprocessing
from bench.encoders.hub_config import (
    CONFIG,
    PROCESSOR,
    preprocessing_from,
    read_object,
    timm_network,
    timm_preprocessing,
)
from bench.encoders.normalisations import NORMALISATIONS
from bench.encoders.open_card import WEIGHTS
from bench.encoders.open_clip_text import OPEN_CLIP, OPEN_CLIP_WEIGHTS
from bench.encoders.shards import shard_names
from bench.encoders.transformers_config import check_config
from bench.encoders.transformers_text import TOWERS
from bench.encoders.weights import sha256_of
from bench.errors import EncoderError

CLIP_SIZES = {
    256: "xsmall", 384: "small", 512: "medium", 640: "betwixt", 768: "base", 1024: "large", 1280: "huge", 1408: "giant",
    1664: "gigantic",
}  # fmt: skip
"""Width of open_clip's own towers -> what timm calls them."""
CLIP_RESNETS = {
    (3, 4, 6, 3): ("resnet50", 64), (3, 4, 23, 3): ("resnet101", 64), (4, 6, 10, 6): ("resnet50x4", 80),
    (6, 8, 18, 8): ("resnet50x16", 96), (3, 15, 36, 10): ("resnet50x64", 128),
}  # fmt: skip
"""Blocks of each stage of its ResNets -> their name, and their width."""
GATHER = {
    "zero_to_fp32.py": "gather the shards of DeepSpeed first: python zero_to_fp32.py . weights.pth",
    "*.distcp": "gather the shards first: dcp_to_torch of torch.distributed.checkpoint.format_utils",
    "*.bin.index.json": "load it with transformers and save_pretrained(FOLDER), which writes safetensors",
    "saved_model.pb": "it is of TensorFlow: export it as ONNX (tf2onnx)",
    "adapter_config.json": "it holds adapters alone: merge them first (peft: merge_and_unload)",
    "*.onnx": "give the file itself: --from FOLDER/NAME.onnx",
    "*.safetensors": "give the file itself (--from FOLDER/NAME.safetensors), or put its config.json beside it",
    "*.bin": "give the file itself (--from FOLDER/NAME.bin), or put its config.json beside it",
    "*.pth": "give the file itself: --from FOLDER/NAME.pth",
    "*.ckpt": "give the file itself: --from FOLDER/NAME.ckpt",
}
"""A file in a folder that is nothing an adapter reads -> the cure."""


def transformers_folder(path: Path) -> dict[str, Any]:
    """Keys of `Recognised` for a folder with the config of transformers. Raises EncoderError."""
    from transformers import AutoConfig

    weights = _weights(path, WEIGHTS)
    check_config(path / CONFIG, str(path))
    try:
        config = AutoConfig.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises many unrelated classes
        raise EncoderError(f"transformers cannot read its config: {str(error)[:200]}", where=path) from None
    tower = getattr(config, "vision_config", None)
    size = getattr(tower or config, "image_size", None)
    size = size[0] if isinstance(size, (list, tuple)) else size
    channels = _channels(getattr(tower or config, "num_channels", 3), path)
    source = {"adapter": "huggingface", "folder": path.name, "sha256": _joint_sha256(weights)}
    source |= {"weights": weights.name} if weights.name != WEIGHTS[0] else {}
    source |= {"part": "vision_model"} if tower is not None else {}
    maps = "hidden_sizes" in config.to_dict() or "swin" in config.model_type
    stated = _prepared(path, channels)
    two = config.model_type in TOWERS  # trained on their own global vector, which the text tower goes with
    assumed = [] if two else ["the mean of the patches represents an image: pooling"]
    assumed += [] if size or stated else ["size 224: the config does not say it"]
    return {
        "source": source, "files": (path,), "architecture": "cnn" if maps else "vit", "size": size or 224,
        "pooling": "native" if two else "mean", "channels": channels, "stated": stated, "assumed": tuple(assumed),
    }  # fmt: skip


def _prepared(path: Path, channels: int) -> dict[str, Any]:
    """What `preprocessor_config.json` says, for a network of `channels`; {} where there is none."""
    found = next((path / name for name in (PROCESSOR, "processor_config.json") if (path / name).is_file()), None)
    said = None if found is None else read_object(found, found.name, where=str(path))
    if said is None or not ("image_processor" in said or "size" in said or "image_mean" in said):
        return {}
    return preprocessing_from(said, where=str(path), channels=channels).model_dump(exclude_none=True)


def timm_folder(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of `Recognised` for a folder as timm writes it for the hub. Raises EncoderError."""
    weights = _weights(path, ("model.safetensors", "pytorch_model.bin"))
    network = timm_network(dict(config), where=str(path))
    cfg = config.get("pretrained_cfg") or config
    stated = timm_preprocessing(dict(cfg), where=str(path)).model_dump(exclude_none=True)
    return _of_timm(weights, network, stated)


def open_clip_folder(path: Path) -> dict[str, Any]:
    """Keys of `Recognised` for the image tower of a folder of open_clip. Raises EncoderError."""
    said = read_object(path / OPEN_CLIP, OPEN_CLIP, where=str(path))
    model, prepared = said.get("model_cfg") or {}, said.get("preprocess_cfg") or {}
    tower = model.get("vision_cfg") if isinstance(model, dict) else None
    if not isinstance(tower, dict) or not isinstance(prepared, dict):
        raise EncoderError(f"{OPEN_CLIP} describes no image tower", where=path)
    side = tower.get("image_size", 224)
    mean, std = (prepared.get(key) or usual for key, usual in zip(("mean", "std"), NORMALISATIONS["clip"], strict=True))
    stated = Preprocessing.parse(
        {"size": side, "mean": mean, "std": std, "interpolation": prepared.get("interpolation", "bicubic")}, where=path
    )
    if name := tower.get("timm_model_name"):
        network: dict[str, Any] = {"model": name, "prefix": "visual.trunk."}
    else:
        network = {"model": _clip_model(tower, bool(model.get("quick_gelu")), path)}
        network |= {"drop": ["head."] if str(network["model"]).startswith("vit_") else ["head.proj."]}
    if str(network["model"]).startswith("vit_"):
        network["options"] = {"img_size": side}
    return _of_timm(_weights(path, OPEN_CLIP_WEIGHTS), network, stated.model_dump(exclude_none=True))


def _clip_model(tower: Mapping[str, Any], quick: bool, path: Path) -> str:
    """timm's name of one of open_clip's own transformers. Raises EncoderError for a tower it has not."""
    own = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio", "output_tokens"}
    layers = tower.get("layers")
    if isinstance(layers, list) and CLIP_RESNETS.get(tuple(layers), ("", 0))[1] == tower.get("width", 64):
        return f"{CLIP_RESNETS[tuple(layers)][0]}_clip"
    strange = sorted(key for key, value in tower.items() if key not in own and value)
    if strange or not isinstance(layers, int):
        what = f"its image tower has {', '.join(strange)[:80] or 'layers of no known ResNet'}, which is not read"
        raise EncoderError(what, where=path, fix="export the image tower as ONNX")
    size = CLIP_SIZES.get(tower.get("width", 0), "unknown")
    return f"vit_{size}_patch{tower.get('patch_size')}_clip_{'quickgelu_' if quick else ''}224"


def _of_timm(weights: Path, network: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    source = {"adapter": "timm", "weights": f"{weights.parent.name}/{weights.name}", "sha256": _joint_sha256(weights)}
    source |= {key: value for key, value in network.items() if value}
    kind = "vit" if str(network["model"]).startswith("vit_") else "other"
    return {"source": source, "files": (weights.parent,), "architecture": kind, "stated": stated}


def _weights(path: Path, names: tuple[str, ...]) -> Path:
    """The first of the usual files that is there. Raises EncoderError, with the cure where the folder shows one."""
    if found := next((path / name for name in names if (path / name).is_file()), None):
        return found
    raise EncoderError(f"holds no {' or '.join(names)}", where=path, fix=cure(path))


def cure(path: Path) -> str:
    """What to do with a folder that no adapter reads, by the files in it."""
    return next((fix for pattern, fix in GATHER.items() if any(path.glob(pattern))), "download the weights too")


def _joint_sha256(weights: Path) -> str:
    files = [weights]
    if weights.name.endswith(".index.json"):
        files = [weights.parent / name for name in shard_names(weights, where=str(weights.parent))]
        if missing := [file.name for file in files if not file.is_file()]:
            fix = "download the missing files too"
            raise EncoderError(
                f"{weights.name} names {', '.join(missing)[:200]}, which is not there", where=weights.parent, fix=fix
            )
    return sha256_of(files, where=str(weights.parent))


def _channels(channels: object, path: Path) -> int:
    if channels not in (1, 3):
        raise EncoderError(f"takes images of {channels} channels, images have 1 or 3", where=path)
    return int(channels)
