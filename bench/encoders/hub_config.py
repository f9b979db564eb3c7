"""What a hub repository says about its model in its JSON files."""

import json
from pathlib import Path
from typing import Any

from bench.encoders.card import Preprocessing
from bench.encoders.hub import fetch
from bench.encoders.mistaken import refuse_mistaken_json
from bench.errors import EncoderError

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
MAX_BYTES = 1 << 20
DONE = (
    *("do_resize", "do_rescale", "do_normalize", "do_center_crop", "do_convert_rgb", "do_pad", "do_reduce_labels"),
    *("do_thumbnail", "do_align_long_axis", "do_crop_margin", "do_random_crop", "do_color_jitter", "do_mask"),
)
"""Steps that are done, are about labels or training, or only place the image in its square."""
RESAMPLE = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of its filters."""


def read_json(repository: str, name: str, revision: str, *, where: str) -> dict[str, Any]:
    """One JSON object of a repository. Raises EncoderError."""
    return read_object(fetch(repository, name, revision, where=where), f"{name} of {repository}", where=where)


def read_object(path: Path, name: str, *, where: str) -> dict[str, Any]:
    """The JSON object in a file, which messages call `name`. Raises EncoderError that says what stands in its place."""
    refuse_mistaken_json(path, name, where=where)
    if path.stat().st_size > MAX_BYTES:
        raise EncoderError(f"{name} is over the limit of {MAX_BYTES:,} bytes", where=where)
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{name} is not valid JSON: {str(error)[:100]}", where=where) from None
    if not isinstance(values, dict):
        raise EncoderError(f"{name} is not an object", where=where)
    return values


def preprocessing_of(repository: str, revision: str, *, where: str) -> Preprocessing:
    """From `preprocessor_config.json`: the side the network gets, mean, std and filter.

    A resize to a longer side that is then cropped becomes a resize to the crop: nothing is cut off an image here.
    Raises EncoderError when there is no such file, or it says what a card cannot.
    """
    try:
        said = read_json(repository, PROCESSOR, revision, where=where)
    except EncoderError as error:
        if "holds no" not in error.what and "lacks a file" not in error.what:
            raise
        raise EncoderError(
            f"{repository} does not say how images are prepared (no {PROCESSOR})",
            where=where,
            fix="write a card with 'medssl new' that says it",
        ) from None
    return preprocessing_from(said, where=where)


def preprocessing_from(said: dict[str, Any], *, where: str, channels: int = 3) -> Preprocessing:
    """The same from the object itself, for a network of `channels`.

    Pixels that are scaled otherwise than to [0, 1] get the mean and std that come to the same.

    >>> preprocessing_from({"size": 224, "image_mean": [0.5], "image_std": [0.5]}, where="x").size
    224
    """
    inner = said.get("image_processor")
    said = inner if isinstance(inner, dict) else said
    if other := next((key for key in said if key.startswith("do_") and said[key] is True and key not in DONE), None):
        fix = "write a card of your own, and export the network with this step inside"
        raise EncoderError(f"{PROCESSOR} says {other}, which is not done to images here", where=where, fix=fix)
    if said.get("do_normalize") is False:
        mean, std = [0.0], [1.0]
    else:
        mean, std = _numbers(said.get("image_mean")), _numbers(said.get("image_std"))
    mean, std = _for_unit_range(said, mean, std, where)
    if channels == 1 and isinstance(mean, list) and isinstance(std, list) and len({*mean}) == len({*std}) == 1:
        mean, std = mean[:1], std[:1]
    return Preprocessing.parse(
        {
            "size": _side(said, where),
            "channels": channels,
            "mean": mean,
            "std": std,
            "interpolation": RESAMPLE.get(said.get("resample", 2), said.get("resample")),
        },
        where=f"{where}: {PROCESSOR}",
    )


def _for_unit_range(said: dict[str, Any], mean: Any, std: Any, where: str) -> tuple[Any, Any]:
    """mean and std for v in [0, 1], where the repository normalises s v + o: (m - o) / s and d / s."""
    factor = said.get("rescale_factor", 1 / 255) if said.get("do_rescale") is not False else 1.0
    if not isinstance(factor, (int, float)) or not 0 < factor <= 1:
        raise EncoderError(f"{PROCESSOR} scales images by {factor!r}", where=where, fix="write a card of your own")
    scale, offset = 255 * factor, -1.0 if said.get("rescale_offset") is True else 0.0
    if (abs(scale - 1) <= 1e-3 and not offset) or not isinstance(mean, list) or not isinstance(std, list):
        return mean, std
    return [round((m - offset) / scale, 9) for m in mean], [round(d / scale, 9) for d in std]


def _numbers(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [float(value)]
    return (
        [float(v) for v in value]
        if isinstance(value, list) and all(isinstance(v, (int, float)) for v in value)
        else value
    )


def _side(said: dict[str, Any], where: str) -> int:
    cropped = said.get("do_center_crop") and said.get("crop_size") is not None
    size = said.get("crop_size") if cropped else said.get("size")
    if isinstance(size, dict):
        size = size.get("shortest_edge") or (size.get("height") if size.get("height") == size.get("width") else None)
    if not isinstance(size, int):
        raise EncoderError(f"{PROCESSOR} states no square size", where=where, fix="write a card of your own")
    return size


def timm_network(config: dict[str, Any], *, where: str) -> dict[str, Any]:
    """`model`, `num_classes` and `options` of a `[source]` table, from the config.json of a timm repository."""
    if not isinstance(config.get("architecture"), str):
        raise EncoderError(f"{CONFIG} names no timm architecture", where=where)
    table = {"model": config["architecture"], "num_classes": config.get("num_classes") or 0}
    return table | ({"options": config["model_args"]} if config.get("model_args") else {})


def timm_preprocessing(cfg: dict[str, Any], *, where: str) -> Preprocessing:
    """From timm's pretrained_cfg. Raises EncoderError for an input that is not square or not of three colours."""
    channels, height, width = cfg.get("input_size") or (3, None, None)
    if height != width or channels not in (1, 3):
        raise EncoderError(
            f"takes images of {height} x {width}, {channels} channels", where=where, fix="write a card of your own"
        )
    return Preprocessing.parse(
        {
            "size": height,
            "channels": channels,
            "mean": _numbers(list(cfg.get("mean") or ())),
            "std": _numbers(list(cfg.get("std") or ())),
            "interpolation": cfg.get("interpolation"),
        },
        where=f"{where}: pretrained_cfg",
    )
