"""A task card for a folder of images: what can be seen is written, what was chosen or is not known is said."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from bench.data.decathlon import described
from bench.data.layouts import Proposal, below_split, relative, target_of
from bench.data.listed import ListedSource
from bench.data.load import read_source
from bench.data.survey import Depth, Survey
from bench.data.task import Task
from bench.errors import CardError, DataError
from bench.files import write_atomic
from bench.strict import unaccented

SIZE = 224
VAL = 0.15
AIR = -500
"""Values of a CT that reach below it are Hounsfield units, whose air is -1000."""


def propose(seen: Survey, *, name: str | None = None, modality: str | None = None) -> Proposal:
    """The card of a folder. Raises DataError where its layout says neither classes nor masks."""
    title = name or re.sub(r"[^a-z0-9._-]+", "-", unaccented(seen.folder.resolve().name)).strip("-._") or "own"
    made = Proposal({"schema": 1, "name": title[:64], "title": title}, seen)
    made.card["modality"] = modality or "mixed"
    made.card |= target_of(seen, made)
    if modality is None:
        made.card["modality"] = _modality(made)
    made.card |= {"licence": "not for redistribution", "corpus": title}
    made.card["source"] = made.card.pop("source")
    made.card["source"] |= _reading(made.seen, made) if made.depth is None else _window(made.depth, seen, made)
    _refuse_unreadable(made, seen)
    return made


def write_proposal(made: Proposal, seen: Survey, path: Path) -> Path:
    """Write the card. Raises CardError where one is there already, DataError where its images cannot be listed."""
    if path.exists():
        raise CardError("is there already", where=path, fix="remove it, or name another with --out")
    source = made.card["source"]
    for key in {"file", "folder"} & set(source):
        source[key] = relative(seen.folder / source[key], path.parent)
    if "files" in source:
        source["files"] = {s: relative(seen.folder / f, path.parent) for s, f in source["files"].items()}
    _set_aside(made, path.parent)
    made.splits = splits_of(made.card, path.parent)
    write_atomic(path, made.text())
    return path


def _set_aside(made: Proposal, folder: Path) -> None:
    """Val from train, where there is a test split and no other."""
    task = Task.parse(made.card, where=folder)
    source = read_source(task)
    if not isinstance(source, ListedSource):
        return
    if {row.split for row in source.rows(task, folder, Counter())} == {"train", "test"}:
        made.card["source"]["val"] = VAL
        made.chosen.append(f"val: train and test are there; {VAL:.0%} of train are set aside to choose settings")


def splits_of(card: dict[str, Any], folder: Path) -> dict[str, int]:
    """Split -> number of images, as the card reads them. Raises DataError."""
    task = Task.parse(card, where=folder)
    source = read_source(task)
    if not isinstance(source, ListedSource):
        return {name: sum(map(len, blocks)) for name, blocks in source.stream(task, folder, Counter()).items()}
    return {name: len(rows) for name, rows in source.listed(task, folder, Counter()).items()}


def _refuse_unreadable(made: Proposal, seen: Survey) -> None:
    try:
        read_source(Task.parse(made.card, where="the card for this folder"))
    except CardError as error:
        raise DataError(f"cannot be described: {error.what}", where=seen.folder, fix="write the card by hand") from None


def _modality(made: Proposal) -> str:
    common = made.seen.modalities.most_common(2)
    said = described(made.seen.folder / made.card["source"].get("folder", "."))
    if said is not None and said.modality is not None:
        return said.modality
    if len(common) == 1 and common[0][0] != "mixed":
        return common[0][0]
    made.chosen.append('modality: the files do not say one; put it in the place of "mixed" (--modality)')
    return "mixed"


def _reading(seen: Survey, made: Proposal) -> dict[str, Any]:
    """Keys of [source] that follow from the files."""
    found: dict[str, Any] = {}
    if min(seen.frames) == 1 < max(seen.frames):
        one = next(path for path, head in seen.headers.items() if head.frames == 1)
        what = f"holds volumes, and flat images beside them, e.g. {one.relative_to(seen.folder)}"
        raise DataError(what, where=seen.folder, fix="keep one kind in this folder")
    dense = made.card["target"] == "mask"
    if max(seen.frames) > 1:
        found |= {"volume": True} | ({} if dense else {"aggregation": "mean"})
        if dense:
            made.chosen.append('volume: masks are scored volume by volume, in mm; slices = "all" scores slices instead')
        if len(seen.frames) > 1:
            found["depth"] = min(seen.frames)
            most = f"{max(seen.frames)}; {found['depth']} of each are taken, evenly"
            made.chosen.append(f"depth: the volumes have {found['depth']} to {most}")
    if seen.channels > 1 and "channel" not in made.card["source"]:
        found["channel"] = 0
        made.chosen.append(f"channel: the files hold {seen.channels} channels or time points; the first is taken")
    if seen.plane is not None:
        found["plane"] = seen.plane
        made.chosen.append(f'plane: voxels are coarsest across {seen.plane} slices; could be "axial"')
    if len(seen.sizes) > 1:
        found["size"] = SIZE
        made.chosen.append(f"size: the images have {len(seen.sizes)} sizes; padded to squares and resized to {SIZE}")
    if max(seen.frames) == 1 and {"ct", "mri"} & set(seen.modalities):
        made.chosen.append("slices: each file is an image; with volume = true and aggregation a folder is a series")
    found |= _window(seen.depth, seen, made)
    if made.card["source"]["reader"] == "imagefolder":
        found |= _patients(seen, made)
    return found


def _window(depth: Depth, seen: Survey, made: Proposal) -> dict[str, Any]:
    if depth.whole and depth.low >= 0 and depth.high <= 255 and not depth.hounsfield and not depth.windowed:
        return {}
    chosen: str | list[float]
    units = depth.hounsfield or (made.card["modality"] == "ct" and depth.low <= AIR)
    if units and made.card["modality"] in ("ct", "mixed"):
        chosen, other = "soft-tissue", '"lung", "bone", "brain", [low, high] or three of these'
    elif depth.windowed:
        chosen, other = "tags", "[low, high], the same for all images"
    elif "NIfTI" in seen.kinds or "mri" in seen.modalities:
        chosen, other = "percentile", "[low, high], the same for all images"
    else:
        chosen, other = _range_of(depth), "another [low, high]"
    made.chosen.append(f"window: values run from {depth.low:g} to {depth.high:g}; chosen {chosen}, could be {other}")
    return {"window": chosen}


def _range_of(depth: Depth) -> list[float]:
    """The range that values of this kind usually have: of bits, of shares, or the one that was met."""
    if depth.low < 0:
        return [-1.0, 1.0] if not depth.whole and depth.low >= -1 and depth.high <= 1 else [depth.low, depth.high]
    tops = (255, 1023, 4095, 65535) if depth.whole or depth.high > 1 else (1,)
    return [0.0, float(next((t for t in tops if depth.high <= t), depth.high))]


def _patients(seen: Survey, made: Proposal) -> dict[str, Any]:
    if seen.patients is not None:
        return {"groups": "dicom"}
    if made.card["target"] != "mask" and all(len(below_split(p, seen)) > 2 for p in seen.images):
        made.chosen.append("patients: the folder an image lies in is taken for its patient")
        return {"groups": "folder"}
    made.chosen.append("patients: not known; images count as patients of their own")
    return {}
