"""The card of an npz file: which arrays are images, labels, masks and patients, and what the labels hold."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.columns import MAX_CLASSES, classes_of, distinct, is_quantity
from bench.data.sources.npz import Member, opened
from bench.data.survey import SAMPLED, Depth, depth_of
from bench.errors import DataError
from bench.words import REQUIRED_SPLITS

IMAGES = re.compile(r"image|img|scan|volume|pixel|^x|_x\b|_x$", re.IGNORECASE)
TARGETS = re.compile(r"label|mask|seg|target|class|^y|_y$", re.IGNORECASE)
PATIENTS = re.compile(r"patient|group|subject|pid", re.IGNORECASE)
LAYOUT = "expected train_images, train_labels (masks: train_label), and the same of val and test: see docs/data.md, npz"


def card_of(path: Path) -> tuple[dict[str, Any], Depth, list[str], list[int] | None]:
    """Card, values of the images, what was chosen, and the values of masks or None. Raises DataError."""
    with opened(path) as archive:
        names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
        patterns = [name.replace("train", "{split}", 1) for name in names if "train" in name]
        whole = [p for p in patterns if all(p.replace("{split}", split) in names for split in REQUIRED_SPLITS)]

        def member(pattern: str, split: str = "train") -> Member:
            return Member(archive, pattern.replace("{split}", split), path)

        tails = {pattern: member(pattern).tail for pattern in whole}
        images, target, groups = _parts(tails, names, path)
        source: dict[str, Any] = {"reader": "npz", "file": path.name, "images": images, "labels": target}
        said = [f"arrays: {images} are the images, {target} what is predicted"]
        if groups is not None:
            source["groups"] = groups
            said.append(f"patients: {groups}")
        tail, is_masks = tails[images], len(tails[target]) >= 2
        if len(tail) == 4 or (len(tail) == 3 and tail[-1] > 4):
            if is_masks:
                fix = "write a card with volume = true and spacing = [planes, rows, columns]: see docs/data.md, npz"
                raise DataError("holds masks of volumes, whose spacing in mm it does not say", where=path, fix=fix)
            if tail[0] in (1, 3) and len(set(tail[1:])) == 1:
                what = f"{images} are {' x '.join(map(str, tail))}: channels first, or volumes of {tail[0]} planes?"
                fix = "save channels last (numpy.moveaxis(images, 1, -1)), or write a card with volume = true"
                raise DataError(what, where=path, fix=fix)
            source |= {"volume": True, "aggregation": "mean"}
            said.append(f"volume: each image is {' x '.join(map(str, tail))}; channels would come last")
        depth = depth_of(member(images).read(SAMPLED))
        if is_masks:
            values = {int(v) for s in REQUIRED_SPLITS for v in np.unique(member(target, s).read(1 << 20))}
            return {"source": source}, depth, said, sorted(values)
        labels = [member(target, split) for split in REQUIRED_SPLITS]
        card, more, chosen = _meaning(np.concatenate([m.read(m.rows) for m in labels]), path)
        return card | {"source": source | more}, depth, [*said, *chosen], None


def _parts(tails: Mapping[str, tuple[int, ...]], names: list[str], path: Path) -> tuple[str, str, str | None]:
    """The arrays of images, of what is predicted, and of patients where there are some."""
    pictures = [p for p, tail in tails.items() if len(tail) >= 2 and not TARGETS.search(p)]
    pictures = [p for p in pictures if IMAGES.search(p)] or pictures
    groups = [p for p, tail in tails.items() if len(tail) < 2 and PATIENTS.search(p)]
    targets = [p for p in tails if p not in (*pictures, *groups)]
    targets = [p for p in targets if TARGETS.search(p)] or targets
    if len(pictures) != 1 or len(targets) != 1:
        shown = ", ".join(sorted(names)[:12])
        raise DataError(f"holds the arrays {shown}: which are images and labels?", where=path, fix=LAYOUT)
    return pictures[0], targets[0], groups[0] if len(groups) == 1 else None


def _meaning(labels: np.ndarray, path: Path) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Target and classes of labels (n,), (n, 1) or (n, k); keys of [source]; what was chosen."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        several = "multi-label" if (labels.sum(1) != 1).any() else "multi-class"
        target = "binary" if several == "multi-class" and labels.shape[1] == 2 else several
        said = f"classes: the labels have {labels.shape[1]} columns; give each its name"
        card = {"target": target, "classes": [f"class {i}" for i in range(labels.shape[1])]}
        if not (unknown := int((labels == -1).sum())):
            return card, {}, [said]
        return card, {"uncertain": "zeros"}, [said, f"uncertain: {unknown:,} labels are -1; read as 0, as in CheXpert"]
    values = labels.reshape(-1)
    if values.dtype.kind in "US":
        names = [v.decode() if isinstance(v, bytes) else str(v) for v in np.unique(values).tolist()]
        return classes_of(distinct(names)), {}, []
    if is_quantity(values.astype(np.float64).tolist()):
        return {"target": "number", "classes": ["number"]}, {}, ["target: numbers; name the quantity and its unit"]
    found, more, chosen = sorted({int(v) for v in values.tolist()}), dict[str, Any](), list[str]()
    if found[0] == -1 and len(found) > 2:
        found, more["blank"] = found[1:], "drop"
        chosen.append("labels: -1 is taken for none; these images are left out")
    if len(found) > MAX_CLASSES:
        raise DataError(f"has {len(found)} different labels", where=path, fix=LAYOUT)
    if found != list(range(len(found))):
        more["numbers"] = "name"
    chosen.append(f"classes: the labels are {', '.join(map(str, found[:8]))}; give each its name")
    return classes_of([str(v) for v in found]), more, chosen
