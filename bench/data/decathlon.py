"""`dataset.json`: what a folder of the Medical Segmentation Decathlon, or of nnU-Net, says of itself."""

import json
from dataclasses import dataclass
from pathlib import Path

from bench.words import MODALITIES

FILE = "dataset.json"
MODALITY = {"ct": "ct", "mr": "mri", "mri": "mri", "t1": "mri", "t2": "mri", "flair": "mri", "pet": "pet"}
"""Names of channels, as far as they begin so -> ours."""


@dataclass(frozen=True)
class DatasetDescription:
    """classes: value of the mask -> name, as far as the file says. modality: one of ours, or None.

    channels: place -> name.
    """

    classes: dict[int, str]
    modality: str | None
    channels: dict[int, str]


def described(folder: Path) -> DatasetDescription | None:
    """What `dataset.json` of a folder says; None where there is none, or it is another kind of file."""
    try:
        table = json.loads((folder / FILE).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None
    labels = table.get("labels") if isinstance(table, dict) else None
    if not isinstance(labels, dict):
        return None
    channels = table.get("modality") or table.get("channel_names")
    named = channels if isinstance(channels, dict) else {}
    places = {int(place): str(name) for place, name in named.items() if str(place).isdecimal()}
    return DatasetDescription(_classes(labels), _modality(list(named.values())), places)


def _classes(labels: dict[str, object]) -> dict[int, str]:
    """The Decathlon writes {"1": "spleen"}, nnU-Net {"spleen": 1}; regions of several values are left out."""
    pairs = [(a, b) if str(a).isdecimal() else (b, a) for a, b in labels.items()]
    return {int(str(value)): str(name) for value, name in pairs if str(value).isdecimal() and isinstance(name, str)}


def _modality(names: list[object]) -> str | None:
    found = {MODALITY.get(str(name).casefold().split("-")[0].split(" ")[0].strip("w")) for name in names}
    only = found.pop() if len(found) == 1 else None
    return only if only in MODALITIES else None
