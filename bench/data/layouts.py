"""How a folder is laid out, as a card says it: COCO outlines, a table, masks beside images, folders of classes."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.data.arrays import card_of
from bench.data.columns import MASK, MAX_CLASSES, ImageTable, classes_of, image_table, labels_of, said_of
from bench.data.decathlon import described
from bench.data.foreign import files_below
from bench.data.images import stem
from bench.data.mask_files import channels_of, is_mask_of
from bench.data.shares import SPLIT_NAMES
from bench.data.sources.imagefolder import MASKS
from bench.data.survey import Depth, MaskRule, Survey, mask_values
from bench.data.table import path_of
from bench.data.task import folded
from bench.errors import DataError
from bench.toml import to_toml

PATIENT_NAME = re.compile(
    r"(p|pat|patient|case|sub|subj|subject|id|mrn|study|fold|split|cv)[ _-]*\d+|[a-z_ -]*\d{3,}", re.IGNORECASE
)
SPLIT_WORD = re.compile(r"(^|[\W_])(train|val|test)(ing|id|idation)?(?=[\W\d_]|$)", re.IGNORECASE)
"""What folders of splits are called beside other words, and no class is."""
MASK_NAME = re.compile(r"\b(masks?|gt|ground ?truths?|seg(mentation)?s?|(1st|2nd) manual|contours?)\b")
"""What folders of masks are called, and no class is."""
MASK_FOLDERS = {name.casefold() for name in MASKS}
PATHS = "paths of a table start at its folder, and are spelled as the files are, capitals and endings too"
UNREAD_TABLES = (".xlsx", ".xls", ".jsonl", ".parquet")
SUBJECT = re.compile(r"sub-[a-z0-9]+", re.IGNORECASE)
"""What BIDS calls the folder of a subject."""
LAYOUTS = (
    "one folder a class (benign/x.dcm), images/ and masks/, a CSV table with a column of files, or a COCO file; "
    "train/, val/ and test/ may lie above"
)


@dataclass
class Proposal:
    """A card as plain data, and a sentence for each thing that was chosen or could not be known."""

    card: dict[str, Any]
    seen: Survey
    """What was seen of the images, masks left out."""
    chosen: list[str] = field(default_factory=list)
    depth: Depth | None = None
    """Values of the images, where these are arrays."""
    splits: dict[str, int] = field(default_factory=dict)
    """Images of each split, once the card is written."""

    def text(self) -> str:
        """The card as TOML, what was chosen as comments above it."""
        return "".join(f"# {line}\n" for line in self.chosen) + to_toml(self.card)


def target_of(seen: Survey, made: Proposal) -> dict[str, Any]:
    """Target, classes and source of a card. Raises DataError where the layout says neither classes nor masks."""
    found = _npz(seen, made) or _coco(seen, made) or _table(seen, made) or _masks(seen, made) or _classes(seen)
    if (found := found or _beside(seen, made)) is None:
        raise DataError(f"says neither classes nor masks{_lost(seen)}", where=seen.folder, fix=f"expected {LAYOUTS}")
    return found


def _lost(seen: Survey) -> str:
    """What lies there and says nothing yet: tables of other files, workbooks, images outside the folders of classes."""
    if seen.tables:
        return f": {seen.tables[0].name} names no images that are here"
    if book := next((p for p in files_below(seen.folder) if p.suffix.lower() in UNREAD_TABLES), None):
        return f": {book.name} is not read, save it as CSV"
    if seen.arrays:
        return f": {seen.arrays[0].name} lies beside images: describe it in a folder of its own"
    inside = [p for p in seen.images if len(below_split(p, seen)) > 1]
    outside = [p for p in seen.images if len(below_split(p, seen)) == 1]
    if inside and outside:
        return f": {outside[0].relative_to(seen.folder)} lies in no folder of a class"
    return ""


def _npz(seen: Survey, made: Proposal) -> dict[str, Any] | None:
    if seen.images or not seen.arrays:
        return None
    if len(seen.arrays) > 1:
        names = ", ".join(path.name for path in seen.arrays[:3])
        fix = "one file holds train, val and test of a task; name its folder, or put the files into one each"
        raise DataError(f"holds {len(seen.arrays)} npz files: {names}", where=seen.folder, fix=fix)
    card, made.depth, said, values = card_of(seen.arrays[0])
    made.chosen += said
    card["source"]["file"] = relative(seen.arrays[0], seen.folder)
    return card if values is None else _of_values(values, card["source"], made, {}, seen.arrays[0])


def _coco(seen: Survey, made: Proposal) -> dict[str, Any] | None:
    if not seen.outlines:
        return None
    files = [json.loads(path.read_text(encoding="utf-8-sig")) for path in seen.outlines]
    table = files[0]
    used = {annotation["category_id"] for file in files for annotation in file["annotations"]}
    kinds = {str(kind["name"]): kind["id"] in used for kind in table["categories"]}
    names = [name for name, is_used in kinds.items() if is_used and folded(name) != "background"]
    if idle := [name for name, is_used in kinds.items() if not is_used]:
        made.chosen.append(f"classes: nothing is outlined as {', '.join(idle)}; left out")
    first = str(table["images"][0]["file_name"]) if table["images"] else ""
    at = next((p for p in seen.images if p.as_posix().endswith(f"/{first}")), None)
    if at is None:
        raise DataError(f"names the image {first!r}, which is not here", where=seen.outlines[0])
    root = at.parents[len(Path(first).parts) - 1]
    parent = seen.outlines[0].parent
    source: dict[str, Any] = {"reader": "coco", "root": relative(root, parent)}
    split = {_split_of(p): p for p in seen.outlines}
    if len(seen.outlines) == 1:
        source["file"] = relative(seen.outlines[0], seen.folder)
    elif None in split or len(split) < len(seen.outlines):
        fix = "leave one, or name them train.json, val.json, test.json"
        raise DataError(f"holds {len(seen.outlines)} COCO files", where=seen.folder, fix=fix)
    else:
        source["files"] = {str(s): relative(p, seen.folder) for s, p in split.items()}
    return {"target": "mask", "classes": ["background", *names], "source": source}


def _split_of(outlines: Path) -> str | None:
    """The split of a COCO file: by its name, or by its folder."""
    return SPLIT_NAMES.get(outlines.stem.casefold()) or SPLIT_NAMES.get(outlines.parent.name.casefold())


def _table(seen: Survey, made: Proposal) -> dict[str, Any] | None:
    tables = [found for path in seen.tables if (found := image_table(path, seen.images)) is not None]
    if not tables:
        return None
    if len(tables) > 1:
        names = ", ".join(found.table.path.name for found in tables[:3])
        fix = 'leave one; or join them, with a column "split" that says train, val or test'
        raise DataError(f"holds {len(tables)} tables of images: {names}", where=seen.folder, fix=fix)
    table = tables[0].table
    source: dict[str, Any] = {"reader": "csv", "file": relative(table.path, seen.folder)}
    if (root := relative(tables[0].root, table.path.parent)) != ".":
        source["root"] = root
    columns = {} if folded(tables[0].image) == "image" else {"image": tables[0].image}
    if tables[0].absent:
        n = f"{tables[0].absent:,} of {len(table.rows):,}"
        made.chosen.append(f"images: {n} that the table names are not here: remove their lines")
    if (mask := tables[0].called(MASK)) is not None:
        columns |= {} if folded(mask) == "mask" else {"mask": mask}
        files = [path_of(cell, tables[0].root, table.path)[1] for cell in tables[0].cells(mask) if cell]
        made.seen = seen.without(files)
        made.chosen += [
            *_outside(tables[0], made.seen),
            *said_of(tables[0], tables[0].known),
            *_unused(tables[0], [mask]),
        ]
        return _with_masks([f for f in files if f.exists()], source | ({"columns": columns} if columns else {}), made)
    folders = {part[0] for p in seen.images if len(part := below_split(p, seen)) > 1}
    meant = labels_of(tables[0], alone=len(folders) < 2 or all(map(PATIENT_NAME.fullmatch, folders)))
    columns |= meant.source.pop("columns", {})
    known = {trait: c for trait, c in tables[0].known.items() if c != columns.get("label")}
    made.chosen += [*meant.chosen, *_outside(tables[0], seen), *said_of(tables[0], known)]
    made.chosen += _unused(tables[0], ["label", *columns.values(), *meant.card["classes"]])
    optional = {"columns": columns, "subgroups": known}
    return meant.card | {"source": source | meant.source | {key: value for key, value in optional.items() if value}}


def _outside(found: ImageTable, seen: Survey) -> list[str]:
    """Images that stand in no line of the table, in words; a line may also name a series, a folder of files."""
    lone = len(seen.images) - len(found.table.rows) + found.absent
    if lone <= 0 or {"DICOM", "NIfTI"} & set(seen.kinds):
        return []
    return [f"images: {lone:,} of {len(seen.images):,} stand in no line of the column {found.image!r}; left out"]


def _unused(found: ImageTable, used: Iterable[str]) -> list[str]:
    """The columns that say nothing to the card, in words."""
    taken = set(map(folded, used))
    left = [c for c in found.others if folded(c) not in taken]
    return [f"columns: not used: {', '.join(left[:12])}{', ...' if len(left) > 12 else ''}"] if left else []


def _masks(seen: Survey, made: Proposal) -> dict[str, Any] | None:
    masks = [p for p in seen.images if MASK_FOLDERS & {f.casefold() for f in p.relative_to(seen.folder).parts[:-1]}]
    if not masks:
        return None
    above = {_above_masks(p, seen) for p in masks}
    if len(above) > 1:
        shown = ", ".join(str(path) for path in sorted(above)[:3])
        raise DataError(f"holds masks in {len(above)} places: {shown}", where=seen.folder, fix="describe one of them")
    root = above.pop()
    made.seen = seen.without([*masks, *(p for p in seen.images if not p.is_relative_to(root) or "imagesTs" in p.parts)])
    said = described(root)
    names: dict[int, str] = said.classes if said else {}
    if ignored := next((value for value, name in names.items() if folded(name) == "ignore"), None):
        fix = "leave these cases out, or give the pixels a class"
        raise DataError(f"has pixels that nobody has labelled ('ignore', {ignored})", where=root, fix=fix)
    source: dict[str, Any] = {"reader": "imagefolder", "folder": relative(root, seen.folder)}
    cases = {channel for _, channel in channels_of(made.seen.images, masks).values()}
    channels = sorted(cases or range(made.seen.channels))
    if len(channels) > 1:
        called = said.channels if said else {}
        what = ", ".join(f"{c} ({called[c]})" if c in called else str(c) for c in channels[:12])
        source["channel"] = channels[0]
        made.chosen.append(f"channel: there are {len(channels)}: {what}; an encoder sees one, {channels[0]} is chosen")
    return _with_masks(masks, source, made, names)


def _above_masks(mask: Path, seen: Survey) -> Path:
    """The folder that holds images and masks, or the splits of them."""
    parts = [f.casefold() for f in mask.relative_to(seen.folder).parts]
    at = next(i for i, name in enumerate(parts) if name in MASK_FOLDERS)
    above = seen.folder.joinpath(*mask.relative_to(seen.folder).parts[:at])
    return above.parent if above != seen.folder and above.name.casefold() in SPLIT_NAMES else above


def _beside(seen: Survey, made: Proposal) -> dict[str, Any] | None:
    """Masks that lie beside their images and are called after them."""
    stems = defaultdict(set)
    for path in seen.images:
        stems[path.parent].add(stem(path))
    masks = [p for p in seen.images if is_mask_of(stem(p), stems[p.parent])]
    if not masks:
        return None
    made.seen = seen.without(masks)
    return _with_masks(masks, {"reader": "imagefolder", "folder": "."}, made)


def _with_masks(
    masks: list[Path], source: dict[str, Any], made: Proposal, names: dict[int, str] | None = None
) -> dict[str, Any]:
    """names: of the values of the masks, where `dataset.json` says them."""
    values = mask_values(masks)
    if isinstance(values, MaskRule):
        made.chosen.append(f"mask: {values.said}")
        return {"target": "mask", "classes": values.classes, "source": source | {"mask": values.rule}}
    return _of_values(values, source, made, names or {}, masks[0].parent)


def _of_values(
    values: list[int], source: dict[str, Any], made: Proposal, names: dict[int, str], where: Path
) -> dict[str, Any]:
    """The classes of masks that hold these values."""
    if len(values) > MAX_CLASSES:
        shown = ", ".join(map(str, values[:6]))
        raise DataError(f"are masks of {len(values)} values ({shown}, ...): blurred, or none?", where=where)
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
    parts = [below_split(p, seen) for p in seen.images]
    names = distinct_names(part[0] for part in parts if len(part) > 1)
    if names and all(SUBJECT.fullmatch(name) for name in names):
        fix = "write a table with the columns image, label and patient, a line for each image you mean, e.g. "
        fix += f"{parts[0][0]}/..., with the label of that subject in participants.tsv"
        what = f"is laid out as BIDS ({names[0]}, ...), which does not say what is predicted from which images"
        raise DataError(what, where=seen.folder, fix=fix)
    if not names or any(len(part) < 2 for part in parts):
        return None
    tops = {p.relative_to(seen.folder).parts[0]: p for p in seen.images}
    beside = [top for top in tops if top.casefold() not in SPLIT_NAMES]
    if beside and len(beside) < len(tops):
        fix = "call it train, val, test or test-shift, or take it away"
        raise DataError(f"holds images beside those of its splits, in {beside[0]}", where=seen.folder, fix=fix)
    if len({match[2].lower() for name in names if (match := SPLIT_WORD.search(name))}) > 1:
        what = f"holds folders called {', '.join(names[:3])}: splits rather than classes?"
        raise DataError(what, where=seen.folder, fix="call them train, val and test")
    if len(names) > MAX_CLASSES or all(PATIENT_NAME.fullmatch(name) for name in names):
        what = f"holds folders called {', '.join(names[:3])}, ...: patients or folds rather than classes?"
        raise DataError(what, where=seen.folder, fix=f"expected {LAYOUTS}")
    if masks := [name for name in names if _is_mask_folder(name)]:
        fix = "call the folders images/ and masks/ (nothing else beside them), or name both in a CSV table"
        raise DataError(f"holds a folder {masks[0]!r}: of masks rather than of a class?", where=seen.folder, fix=fix)
    if len(names) == 1:
        fix = PATHS if seen.tables else f"medssl data new {seen.folder / names[0]}, or {LAYOUTS}"
        raise DataError(f"holds images in one folder alone, {names[0]}{_lost(seen)}", where=seen.folder, fix=fix)
    return classes_of(names) | {"source": {"reader": "imagefolder", "folder": "."}}


def distinct_names(names: Iterable[str]) -> list[str]:
    """Names of folders, one of each that are compared as equal."""
    return list({folded(name): name for name in sorted(set(names), reverse=True)}.values())[::-1]


def _is_mask_folder(name: str) -> bool:
    """Whether a folder is called as those of masks are: "GroundTruth", "2nd_manual", "labels"."""
    words = re.sub(r"[\s_.-]+", " ", re.sub(r"([a-z])([A-Z])", r"\1 \2", name)).lower()
    return bool(MASK_NAME.search(words)) or words in ("label", "labels", "annotation", "annotations")


def below_split(path: Path, seen: Survey) -> tuple[str, ...]:
    """Folders and name of an image, without the folder of its split."""
    *folders, name = path.relative_to(seen.folder).parts
    return (*(f for f in folders if f.casefold() not in SPLIT_NAMES), name)


def relative(path: Path, start: Path) -> str:
    """A path seen from a folder, with "/"."""
    return Path(os.path.relpath(path, start)).as_posix()
