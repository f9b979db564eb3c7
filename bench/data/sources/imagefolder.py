"""A folder of image files.

global task   {split}/{class}/*.png              without splits: {class}/*.png
dense task    {split}/images/*.png, masks/*.png  without splits: images/*.png, masks/*.png (see bench.data.mask_files)

The folder of a split may also lie further below: {class}/{split}/*.png, images/{split}/*.png and masks/{split}/*.png.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, StringConstraints

from bench.data import dicom, series
from bench.data.foreign import CONVERT, files_below, is_hidden, unread_files
from bench.data.images import is_clinical, is_image, stem
from bench.data.listed import ListedSource
from bench.data.mask_files import channels_of, is_mask_of, masks_of, refuse_unmatched
from bench.data.shares import SPLIT_NAMES, ListedImage, group_name
from bench.data.task import Task
from bench.errors import DataError
from bench.strict import Line

IMAGES = ("images", "imagesTr")
MASKS = ("masks", "labelsTr")
"""Names of the folders of a dense task, the second as the Medical Segmentation Decathlon and nnU-Net have them."""


def _compiles(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError("needs one pair of parentheses, around the patient")
    return pattern


class ImageFolderSource(ListedSource):
    """`reader = "imagefolder"`. `patient` is a pattern that finds the patient in a file's name: "^(P[0-9]+)_"."""

    name: ClassVar[str] = "imagefolder"
    version: ClassVar[str] = "5"
    unread: ClassVar[frozenset[str]] = ListedSource.unread | {"folder"}

    reader: Literal["imagefolder"]
    folder: Line
    patient: Annotated[str, StringConstraints(max_length=200), AfterValidator(_compiles)] | None = None

    def rows(self, task: Task, folder: Path, remarks: Counter[str]) -> list[ListedImage]:
        """Every image below the folder, by path. Raises DataError when the layout is another."""
        root = folder / Path(self.folder).expanduser()
        if not root.is_dir():
            raise DataError(f"no such folder: {root}", where=f"task {task.name!r}", fix="correct 'folder' in [source]")
        read = self._masked if task.kind == "dense" else self._classed
        splits = _splits(root)
        rows = [row for part, split in splits.items() for row in read(part, split, root, task, remarks)]
        for other in _folders(root) if root not in splits else []:
            if other not in splits and (n := len(_images(other, stacked=False))):
                remarks[f"images: beside the folders of splits, in {other.name!r}, left out"] = n
        rows = [row if row.split else replace(row, split=_split_below(row.id)) for row in rows]
        unread = unread_files(root, is_image)
        if not rows:
            found = f"; {unread}, not read by this reader" if unread else ""
            fix = f"{_layout(task)}{f'; {CONVERT}' if unread else ''}"
            raise DataError(f"holds no images in the expected layout{found}", where=root, fix=fix)
        if unread:
            remarks[f"images are read; other files are left out: {unread}"] = len(rows)
        return rows

    def _classed(
        self, part: Path, split: str | None, root: Path, task: Task, remarks: Counter[str]
    ) -> list[ListedImage]:
        reading, rows = self.reading(task), []
        for folder in _folders(part):
            if not (images := _images(folder, self.stacked)):
                continue  # what else lies there, such as results
            label = reading.one(folder.name, remarks, where=folder)
            stems = {path.parent / stem(path) for path in images}
            masks = [p for p in images if is_mask_of(stem(p), {s.name for s in stems if s.parent == p.parent})]
            if masks:
                remarks[f"files: masks beside the images of {folder.name!r}, left out"] += len(masks)
            kept = sorted(set(images) - set(masks))
            rows += [self._row(path, root, split, label=label) for path in kept if label is not None]
        return rows

    def _masked(
        self, part: Path, split: str | None, root: Path, task: Task, remarks: Counter[str]
    ) -> list[ListedImage]:
        there, base = _first(part, IMAGES) or part, _first(part, MASKS)
        images, masks = _images(there, self.stacked), _images(base, self.stacked) if base else []
        if base is None:
            stems = {path.parent / stem(path) for path in images}
            masks = [p for p in images if is_mask_of(stem(p), {s.name for s in stems if s.parent == p.parent})]
            if images and not masks:
                raise _no_masks(part, there)
            images, base = sorted(set(images) - set(masks)), there
        if cases := channels_of(images, masks):
            return self._cases(cases, masks, base, root, split)
        found = masks_of(images, there, masks, base)
        refuse_unmatched(found, masks, there, base)
        if spare := len(set(masks) - {mask for own in found.values() for mask in own}):
            remarks["masks: no image of their name, left out"] += spare
        # A missing mask keeps the name it should have, so that the check can list it.
        homes = {path: base / path.relative_to(there).parent for path in found}
        return [
            self._row(path, root, split, masks=own or (homes[path] / _mask_name(path, apart=base != there),))
            for path, own in found.items()
        ]

    def _cases(
        self, cases: dict[Path, tuple[str, int]], masks: list[Path], base: Path, root: Path, split: str | None
    ) -> list[ListedImage]:
        """One channel of each case of nnU-Net, and its mask."""
        channels = sorted({channel for _, channel in cases.values()})
        if (self.channel is None and len(channels) > 1) or self.channel not in (None, *channels):
            what = f"holds the channels {', '.join(map(str, channels))} of each case (x_0000, x_0001, ...)"
            fix = f"say channel = {channels[0]} in [source]: an encoder sees one"
            raise DataError(what, where=root, fix=fix)
        chosen, own = channels[0] if self.channel is None else self.channel, {stem(mask): mask for mask in masks}
        return [
            self._row(path, root, split, masks=(own.get(case, base / path.name.replace(stem(path), case)),))
            for path, (case, channel) in cases.items()
            if channel == chosen
        ]

    def _row(self, path: Path, root: Path, split: str | None, **target: Any) -> ListedImage:
        group = None
        if self.patient is not None:
            found = re.search(self.patient, path.name)
            if found is None:
                raise DataError("has no patient in its name", where=path, fix=f"pattern {self.patient!r}")
            group = group_name(found.group(1), path)
        return ListedImage(path.relative_to(root).as_posix(), path, split=split, group=group, **target)


def _no_masks(part: Path, images: Path) -> DataError:
    others = ", ".join(path.name for path in _folders(part) if path != images)
    what = "holds images and no masks" + (f"; its folders beside {images.name!r} are: {others}" if others else "")
    return DataError(what, where=part, fix="call the folder of masks 'masks', or each mask x_mask.png beside x.png")


def _mask_name(path: Path, apart: bool) -> str:
    """What the mask of an image is called, in a folder of masks or beside the image: of a volume as itself."""
    if not apart:
        return path.name.replace(stem(path), f"{stem(path)}_mask")
    return path.name if is_clinical(path) else f"{stem(path)}.png"


def _splits(root: Path) -> dict[Path, str | None]:
    """Folders of splits and what they are; the root alone where there are none."""
    named = {path: SPLIT_NAMES[path.name.casefold()] for path in _folders(root) if path.name.casefold() in SPLIT_NAMES}
    for name, n in Counter(named.values()).items():
        if n > 1:
            same = ", ".join(path.name for path, split in named.items() if split == name)
            raise DataError(f"has {n} folders for the split {name!r}: {same}", where=root, fix="leave one")
    return dict(named) or {root: None}


def _split_below(name: str) -> str | None:
    """The split that a folder on the way to an image names ("images/train/x.png", "benign/train/x.png"), or None."""
    named = {SPLIT_NAMES[part.casefold()] for part in name.split("/")[:-1] if part.casefold() in SPLIT_NAMES}
    return named.pop() if len(named) == 1 else None


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not is_hidden(Path(p.name)))


def _images(folder: Path, stacked: bool) -> list[Path]:
    """Image files below a folder, by path; hidden ones and what other systems leave behind aside.

    stacked: the DICOM files of a folder are one series where there are several, and the folder stands for them.
    """
    images = [path for path in files_below(folder) if is_image(path)]
    if not stacked:
        return images
    homes = {path.parent for path in images}
    whole = {home for home in homes if len(found := series.files_of(home)) > 1 and not dicom.is_several(found[0])}
    return sorted({path.parent if path.parent in whole and is_clinical(path) else path for path in images})


def _first(part: Path, names: Iterable[str]) -> Path | None:
    """The first folder of these names, whatever their case."""
    there = {path.name.casefold(): path for path in _folders(part)}
    return next((there[name.casefold()] for name in names if name.casefold() in there), None)


def _layout(task: Task) -> str:
    inner = "images/x.png and masks/x.png" if task.kind == "dense" else f"{task.classes[0]}/x.png"
    return f"expected train/{inner}, and the same below val and test"


SOURCE = ImageFolderSource
