"""A task card for a folder of images: what can be seen is written, what was chosen or is not known is said."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.data.decathlon import described
from bench.data.listed import ListedSource
from bench.data.load import read_source
from bench.data.shares import SPLIT_NAMES
from bench.data.sources.csv import PATIENT
from bench.data.sources.imagefolder import MASKS
from bench.data.survey import Survey, image_table, mask_values
from bench.data.task import Task, folded
from bench.errors import CardError, DataError
from bench.files import write_atomic
from bench.toml import to_toml

SIZE = 224
MAX_CLASSES = 40
AIR = -500
"""Values of a CT that reach below it are Hounsfield units, whose air is -1000."""
PATIENT_NAME = re.compile(r"(p|pat|patient|case|sub|subj|subject|id|mrn|study)[ _-]*\d+|\d{3,}", re.IGNORECASE)
HEALTHY = ("normal", "benign", "negative", "no", "none", "healthy", "control", "absent", "false", "0")
"""Class names that come first: the other is what is looked for."""
LABEL = ("label", "class", "diagnosis", "dx", "target", "finding", "y", "category")
MASK = ("mask", "segmentation", "seg", "annotation")
MASK_FOLDERS = {name.casefold() for name in MASKS}
SUBGROUPS = {
    "site": ("site", "hospital", "centre", "center", "institution"),
    "scanner": ("scanner", "device", "manufacturer", "vendor"),
    "sex": ("sex", "gender"),
    "age": ("age", "age group"),
    "skin": ("skin", "skin tone", "skin type", "fitzpatrick"),
}
"""What columns of subgroups are called."""
LAYOUTS = (
    "one folder a class (benign/x.dcm), images/ and masks/, a CSV table with a column of files, or a COCO file; "
    "train/, val/ and test/ may lie above"
)


@dataclass
class Proposal:
    """A card as plain data, and a sentence for each thing that was chosen or could not be known."""

    card: dict[str, Any]
    chosen: list[str] = field(default_factory=list)
    splits: dict[str, int] = field(default_factory=dict)
    """Images of each split, once the card is written."""

    def text(self) -> str:
        """The card as TOML, what was chosen as comments above it."""
        return "".join(f"# {line}\n" for line in self.chosen) + to_toml(self.card)


def propose(seen: Survey, *, name: str | None = None, modality: str | None = None) -> Proposal:
    """The card of a folder. Raises DataError where its layout says neither classes nor masks."""
    title = name or re.sub(r"[^a-z0-9._-]+", "-", seen.folder.resolve().name.lower()).strip("-._") or "own"
    made = Proposal({"schema": 1, "name": title[:64], "title": title})
    made.card["modality"] = modality or _modality(seen, made)
    found = _npz(seen) or _coco(seen) or _table(seen, made) or _masks(seen, made) or _classes(seen)
    if found is None:
        raise DataError("says neither classes nor masks", where=seen.folder, fix=f"expected {LAYOUTS}")
    made.card |= found
    made.card |= {"licence": "not for redistribution", "corpus": title}
    made.card["source"] = made.card.pop("source")
    if made.card["source"]["reader"] != "npz":
        made.card["source"] |= _reading(seen, made)
    _refuse_unreadable(made, seen)
    return made


def write_proposal(made: Proposal, seen: Survey, path: Path) -> Path:
    """Write the card. Raises CardError where one is there already, DataError where its images cannot be listed."""
    if path.exists():
        raise CardError("is there already", where=path, fix="remove it, or name another with --out")
    source = made.card["source"]
    for key in {"file", "folder"} & set(source):
        source[key] = _relative(seen.folder / source[key], path.parent)
    if "files" in source:
        source["files"] = {s: _relative(seen.folder / f, path.parent) for s, f in source["files"].items()}
    made.splits = splits_of(made.card, path.parent)
    write_atomic(path, made.text())
    return path


def splits_of(card: dict[str, Any], folder: Path) -> dict[str, int]:
    """Split -> number of images, as the card reads them. Raises DataError."""
    task = Task.parse(card, where=folder)
    source = read_source(task)
    assert isinstance(source, ListedSource)
    return {name: len(rows) for name, rows in source.listed(task, folder, Counter()).items()}


def _refuse_unreadable(made: Proposal, seen: Survey) -> None:
    try:
        read_source(Task.parse(made.card, where="the card for this folder"))
    except CardError as error:
        raise DataError(f"cannot be described: {error.what}", where=seen.folder, fix="write the card by hand") from None


def _modality(seen: Survey, made: Proposal) -> str:
    common = seen.modalities.most_common(2)
    if (said := described(seen.folder)) is not None and said.modality is not None:
        return said.modality
    if len(common) == 1 and common[0][0] != "mixed":
        return common[0][0]
    made.chosen.append('modality: the files do not say one; correct "mixed"')
    return "mixed"


def _target(names: list[str]) -> dict[str, Any]:
    order = sorted(names, key=lambda name: (not _is_healthy(folded(name)), folded(name)))
    if len(order) < 2:
        raise DataError(f"has one class alone: {', '.join(order)}", fix="a task needs two")
    return {"target": "binary" if len(order) == 2 else "multi-class", "classes": order}


def _is_healthy(name: str) -> bool:
    return name in HEALTHY or name.startswith(("no ", "non"))


def _npz(seen: Survey) -> dict[str, Any] | None:
    if seen.images or len(seen.arrays) != 1:
        return None
    fix = "npz files need a card written by hand: see docs/data.md, npz"
    raise DataError("holds arrays, whose classes have no names", where=seen.arrays[0], fix=fix)


def _coco(seen: Survey) -> dict[str, Any] | None:
    if not seen.outlines:
        return None
    table = json.loads(seen.outlines[0].read_text(encoding="utf-8"))
    names = [str(kind["name"]) for kind in table["categories"]]
    first = str(table["images"][0]["file_name"]) if table["images"] else ""
    at = next((p for p in seen.images if p.as_posix().endswith(f"/{first}")), None)
    if at is None:
        raise DataError(f"names the image {first!r}, which is not here", where=seen.outlines[0])
    root = at.parents[len(Path(first).parts) - 1]
    parent = seen.outlines[0].parent
    source: dict[str, Any] = {"reader": "coco", "root": _relative(root, parent)}
    split = {SPLIT_NAMES.get(p.stem.casefold()): p for p in seen.outlines}
    if len(seen.outlines) == 1:
        source["file"] = _relative(seen.outlines[0], seen.folder)
    elif None in split:
        fix = "leave one, or name them train.json, val.json, test.json"
        raise DataError(f"holds {len(seen.outlines)} COCO files", where=seen.folder, fix=fix)
    else:
        source["files"] = {str(s): _relative(p, seen.folder) for s, p in split.items()}
    return {"target": "mask", "classes": ["background", *names], "source": source}


def _table(seen: Survey, made: Proposal) -> dict[str, Any] | None:
    tables = [(path, found) for path in seen.tables if (found := image_table(path)) is not None]
    if not tables:
        return None
    if len(tables) > 1:
        raise DataError(
            f"holds {len(tables)} tables of images", where=seen.folder, fix="leave one, or write the card by hand"
        )
    path, (table, image) = tables[0]
    others = [c for c in table.columns if c != image]
    columns = {} if folded(image) == "image" else {"image": image}
    source: dict[str, Any] = {"reader": "csv", "file": _relative(path, seen.folder)}
    mask = next((c for c in others if folded(c) in MASK), None)
    if mask is not None:
        columns |= {} if folded(mask) == "mask" else {"mask": mask}
        files = [path.parent / cells[table.column(mask)] for _, cells in table.rows if cells[table.column(mask)]]
        return _with_masks([f for f in files if f.exists()], source | ({"columns": columns} if columns else {}), made)
    label = next((c for name in LABEL for c in others if folded(c) == name), None)
    if label is None:
        fix = f"call the column of labels 'label'; it has {', '.join(table.columns)}"
        raise DataError("has no column of labels", where=path, fix=fix)
    columns |= {} if folded(label) == "label" else {"label": label}
    cells = [cells[table.column(label)] for _, cells in table.rows]
    several = any("|" in cell for cell in cells)
    names = sorted({part.strip() for cell in cells for part in cell.split("|") if part.strip()})
    target = {"target": "multi-label", "classes": names} if several else _target(names)
    if not any(table.find(name) is not None for name in PATIENT):
        made.chosen.append("patients: the table has no column of them; images count as patients of their own")
    known = {trait: c for trait, names in SUBGROUPS.items() for c in others if folded(c) in names}
    if known:
        made.chosen.append(f"subgroups: scores by {', '.join(known)}")
    optional = {"columns": columns, "subgroups": known}
    return target | {"source": source | {key: value for key, value in optional.items() if value}}


def _masks(seen: Survey, made: Proposal) -> dict[str, Any] | None:
    masks = [
        p for p in seen.images if MASK_FOLDERS & {part.casefold() for part in p.relative_to(seen.folder).parts[:-1]}
    ]
    if not masks:
        return None
    seen.images[:] = [p for p in seen.images if p not in set(masks)]
    return _with_masks(
        masks, {"reader": "imagefolder", "folder": "."}, made, said.classes if (said := described(seen.folder)) else {}
    )


def _with_masks(
    masks: list[Path], source: dict[str, Any], made: Proposal, names: dict[int, str] | None = None
) -> dict[str, Any]:
    """names: of the values of the masks, where `dataset.json` says them."""
    values = mask_values(masks)
    if names and set(values) <= set(names) and len(names) > 1 and min(names) == 0:
        order = sorted(names)
        more = {} if order == list(range(len(order))) else {"mask": order}
        return {"target": "mask", "classes": [names[v] for v in order], "source": source | more}
    if len(values) <= 2 and values[-1:] in ([1], [255], [65535], [0]):
        return {"target": "mask", "classes": ["background", "foreground"], "source": source}
    if values == list(range(len(values))):
        classes = ["background", *(f"class {v}" for v in values[1:])]
    else:
        classes, source = ["background", *(f"value {v}" for v in values[1:])], source | {"mask": values}
    made.chosen.append(f"classes: the masks hold {', '.join(map(str, values[:8]))}; give each its name")
    return {"target": "mask", "classes": classes, "source": source}


def _classes(seen: Survey) -> dict[str, Any] | None:
    parts = [_below_split(p, seen) for p in seen.images]
    names = sorted({part[0] for part in parts if len(part) > 1})
    if not names or any(len(part) < 2 for part in parts):
        return None
    if len(names) > MAX_CLASSES or all(PATIENT_NAME.fullmatch(name) for name in names):
        what = f"holds folders called {', '.join(names[:3])}, ...: patients rather than classes?"
        raise DataError(what, where=seen.folder, fix=f"expected {LAYOUTS}")
    return _target(names) | {"source": {"reader": "imagefolder", "folder": "."}}


def _below_split(path: Path, seen: Survey) -> tuple[str, ...]:
    """Folders and name of an image below the folder of its split, or below the whole folder where there is none."""
    parts = path.relative_to(seen.folder).parts
    return parts[1:] if parts[0].casefold() in SPLIT_NAMES else parts


def _reading(seen: Survey, made: Proposal) -> dict[str, Any]:
    """Keys of [source] that follow from the files."""
    found: dict[str, Any] = {}
    dense = made.card["target"] == "mask"
    if max(seen.frames) > 1:
        found |= {"volume": True} | ({} if dense else {"aggregation": "mean"})
        if dense:
            made.chosen.append('volume: masks are scored volume by volume, in mm; slices = "all" scores slices instead')
        if len(seen.frames) > 1:
            found["depth"] = min(seen.frames)
            most = f"{max(seen.frames)}; {found['depth']} of each are taken, evenly"
            made.chosen.append(f"depth: the volumes have {found['depth']} to {most}")
    if seen.plane is not None:
        found["plane"] = seen.plane
        made.chosen.append(f'plane: voxels are coarsest across {seen.plane} slices; could be "axial"')
    if len(seen.sizes) > 1:
        found["size"] = SIZE
        made.chosen.append(f"size: the images have {len(seen.sizes)} sizes; padded to squares and resized to {SIZE}")
    if max(seen.frames) == 1 and {"ct", "mri"} & set(seen.modalities):
        made.chosen.append("slices: each file is an image; with volume = true and aggregation a folder is a series")
    found |= _window(seen, made)
    if made.card["source"]["reader"] == "imagefolder":
        found |= _patients(seen, made)
    return found


def _window(seen: Survey, made: Proposal) -> dict[str, Any]:
    depth = seen.depth
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
        top = next(t for t in (255, 1023, 4095, 65535, depth.high) if depth.high <= t)
        chosen, other = [min(0.0, depth.low), float(top)], "another [low, high]"
    made.chosen.append(f"window: values run from {depth.low:g} to {depth.high:g}; chosen {chosen}, could be {other}")
    return {"window": chosen}


def _patients(seen: Survey, made: Proposal) -> dict[str, Any]:
    if seen.patients is not None:
        return {"groups": "dicom"}
    if made.card["target"] != "mask" and all(len(_below_split(p, seen)) > 2 for p in seen.images):
        made.chosen.append("patients: the folder an image lies in is taken for its patient")
        return {"groups": "folder"}
    made.chosen.append("patients: not known; images count as patients of their own")
    return {}


def _relative(path: Path, start: Path) -> str:
    return Path(os.path.relpath(path, start)).as_posix()
