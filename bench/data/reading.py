"""How labels, images and masks are read: options that every source of real data shares, and one way to use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import field_validator

from bench.data.blocks import joined
from bench.data.dataset import Split, TaskSource
from bench.data.guard import name_of
from bench.data.images import (
    Shown,
    fit,
    fit_intensities,
    fit_mask,
    frame_of,
    is_clinical,
    only,
    read_header,
    read_image,
)
from bench.data.labels import FINDINGS, Blank, LabelReader, Numbers, Uncertain
from bench.data.masks import DrawnMask, MaskFile, MaskRule, MasksSeen, is_colours, read_mask, to_mask, united
from bench.data.stack import Plane, Stack, refuse_elsewhere
from bench.data.stacks import Stacks
from bench.data.task import Task
from bench.data.windows import PRESETS, UnitsSeen, Window, uses_presets
from bench.errors import CardError, DataError

UNITED = "images: several masks, united"
NO_UNITS = 'leave intensities = "hu" out of [source]'


class ReadSource(TaskSource):
    """A source of real data; `reading` and `pictures` read as the card says."""

    numbers: Numbers | None = None
    uncertain: Uncertain | None = None
    blank: Blank | None = None
    mask: MaskRule = "index"
    window: Window | None = None
    plane: Plane | None = None
    """How volumes are cut into slices (`bench.data.stack.in_plane`); needed where nothing speaks for axial ones."""
    later: ClassVar[frozenset[str]] = frozenset({"plane"})

    def load(self, task: Task, folder: Path) -> dict[str, Split]:
        """All splits in memory. Raises DataError."""
        return {name: joined(blocks) for name, blocks in self.stream(task, folder, Counter()).items()}

    def refuse_units(self, task: Task, what: str) -> None:
        """Raise CardError where `what` is in Hounsfield units and the task is no CT."""
        if task.modality not in ("ct", "mixed"):
            found = f"{what} in Hounsfield units, the modality is {task.modality!r}"
            raise CardError(found, where=f"task {task.name!r}", fix='window = [low, high] or "percentile"')

    def check_window(self, task: Task) -> None:
        """Raise CardError where the window is one of Hounsfield units and the task is no CT."""
        if uses_presets(self.window):
            self.refuse_units(task, f"the windows {', '.join(PRESETS)} are")

    @field_validator("uncertain", mode="before")
    @classmethod
    def _not_ignored(cls, value: Any) -> Any:
        if value == "ignore":
            raise ValueError(
                "U-Ignore leaves single cells out, which neither the protocols nor the metrics can; 'drop' leaves the "
                "images out, 'zeros' and 'ones' are U-Zeros and U-Ones"
            )
        return value

    def reading(self, task: Task) -> LabelReader:
        """How labels are read. Raises CardError for a policy of unknown findings where there are none."""
        for key, said in (("uncertain", self.uncertain), ("blank", self.blank if self.blank != "drop" else None)):
            if said is not None and task.target not in FINDINGS:
                what = f'{key} = "{said}" is for findings that are there or not, the target is {task.target!r}'
                raise CardError(what, where=f"task {task.name!r}", fix='blank = "drop" leaves such images out')
        return LabelReader(task, self.numbers, self.uncertain, self.blank)

    def pictures(self, task: Task, size: int | None = None) -> ImageReader:
        """How image and mask files are read. Raises CardError for Hounsfield units of what is no CT."""
        self.check_window(task)
        return ImageReader(len(task.classes), self.window, self.mask, size, self.plane)


@dataclass(frozen=True)
class ImageReader:
    """Reads image files, and image and mask together, always in the same way; remembers masks seen and open volumes."""

    classes: int
    window: Shown
    mask: MaskRule
    size: int | None = None
    plane: Plane | None = None
    channel: int | None = None
    """Of images in 4-D; masks have none."""
    seen: MasksSeen = field(default_factory=MasksSeen)
    stacks: Stacks = field(default_factory=Stacks)
    units: UnitsSeen = field(default_factory=UnitsSeen)

    def image(
        self, source: Path | bytes, channels: int | None, remarks: Counter[str], number: int | None = None
    ) -> np.ndarray:
        """uint8 (h, w, c) of an image file, fitted to `size`; channels None: its own. Raises DataError.

        number: the slice or frame of a file that has several.
        """
        if is_clinical(source):
            stack = self._stack(source)
            if self.window is not None and not isinstance(self.window, str):
                self.units.agree(stack.meant, name_of(source))
            image = frame_of(stack, number, self.window, remarks, where=name_of(source))
        elif number is not None:
            raise DataError(f"is one picture, of which there is no slice {number}", where=name_of(source))
        else:
            image = read_image(source, self.window, remarks)
        return fit(image, self.size, channels or image.shape[-1], where=name_of(source))

    def _stack(self, source: Path | bytes) -> Stack:
        """The slices of an image."""
        return self.stacks.get(source, self.plane, self.channel)

    def volume(self, source: Path, channels: int | None, depth: int | None, remarks: Counter[str]) -> np.ndarray:
        """uint8 (depth, h, w, c) of all slices of a file or series, `depth` of them taken evenly. Raises DataError."""
        done: Counter[str] = Counter()
        slices = np.stack([self.image(source, channels, done, number) for number in self._chosen(source, depth)])
        remarks.update(dict.fromkeys(done, 1))  # of volumes, not of slices
        return slices

    def volume_pair(
        self,
        source: Path,
        masks: Sequence[Path | DrawnMask],
        channels: int | None,
        depth: int | None,
        remarks: Counter[str],
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `volume`, with the same slices of its masks, uint8 (depth, h, w). Raises DataError."""
        done: Counter[str] = Counter()
        if flat := next((m for m in masks if isinstance(m, DrawnMask) or not is_clinical(m)), None):
            raise DataError("is a mask of one picture, and its image a volume", where=flat)
        chosen = self._chosen(source, depth)
        images, found = zip(*(self.pair(source, masks, channels, done, number) for number in chosen), strict=True)
        remarks.update(dict.fromkeys(done, 1))
        return np.stack(images), np.stack(found)

    def _chosen(self, source: Path, depth: int | None) -> list[int]:
        """The slices of a volume that are taken: `depth` of them, evenly, or all."""
        if not is_clinical(source):
            raise DataError("is one picture, and the card says volume = true", where=source)
        n = len(self._stack(source).frames)
        return list(range(n)) if depth is None else [int((i + 0.5) * n / depth) for i in range(depth)]

    def intensities(self, source: Path, depth: int | None, number: int | None = None) -> np.ndarray:
        """Hounsfield units of what `image` gives, float32 (h, w, 1), or with a depth of what `volume` gives.

        Raises DataError for a file that holds others, or none.
        """
        if depth is not None:
            return np.stack([self.intensities(source, None, n) for n in self._chosen(source, depth)])
        where = name_of(source)
        if not is_clinical(source):
            raise DataError("holds no Hounsfield units, as DICOM and NIfTI files do", where=where, fix=NO_UNITS)
        stack = self._stack(source)
        if stack.meant.units == "other" or stack.meant.inverted or stack.frames.shape[-1] != 1:
            raise DataError("is not in Hounsfield units", where=where, fix=NO_UNITS)
        return fit_intensities(stack.frames[only(stack, number, where)].astype(np.float32), self.size)

    def spacing(self, source: Path, depth: int) -> tuple[float, float, float]:
        """mm between planes, rows and columns of what `volume` gives; NaN where the file does not say."""
        stack = self._stack(source)
        planes, *sides = stack.frames.shape[:3]
        between, down, across = stack.spacing or (np.nan,) * 3
        shrunk = 1.0 if self.size is None else max(sides) / self.size
        return between * planes / depth, down * shrunk, across * shrunk

    def pair(
        self,
        source: Path | bytes,
        masks: Sequence[Path | bytes | DrawnMask],
        channels: int | None,
        remarks: Counter[str],
        number: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask, uint8 (h, w, c) and (h, w), both upright and fitted. Raises DataError.

        masks: one, or several of two classes, which are united. number: the slice of both.
        """
        image = self.image(source, channels, remarks, number)
        turn, shape = self._upright(source)
        if len(masks) > 1:
            remarks[UNITED] += 1
        found = [self._mask(m, turn, shape, source, number) for m in masks]
        return image, fit_mask(united(found, self.classes, source), self.size)

    def _upright(self, source: Path | bytes) -> tuple[int, tuple[int, int]]:
        """EXIF orientation of an image, and (h, w) once upright."""
        if is_clinical(source):
            h, w = self._stack(source).frames.shape[1:3]
            return 1, (h, w)
        header = read_header(source)
        return header.turn, (header.height, header.width)

    def _mask(
        self, mask: Path | bytes | DrawnMask, turn: int, shape: tuple[int, int], image: Path | bytes, number: int | None
    ) -> np.ndarray:
        where = str(mask) if isinstance(mask, DrawnMask) else name_of(mask)
        file = self._values(mask, image, number, turn)
        if file.values.shape != shape:
            (h, w), (ih, iw) = file.values.shape, shape
            turned = f", turned by its EXIF orientation {turn}" if turn != file.turn else ""
            fix = "bring it to the size of its image, each pixel with the nearest value"
            raise DataError(f"is {w} x {h} pixels, its image {iw} x {ih}{turned}", where=where, fix=fix)
        decided = (turn >= 5) != (file.turn >= 5) and shape[0] != shape[1]  # The sizes tell which way is meant.
        if turn != file.turn and not decided:
            what = f"has EXIF orientation {file.turn}, its image {turn}: is it of the turned or the unturned one?"
            raise DataError(what, where=where, fix="save both upright, without the tag")
        self.seen.agree(file.colours, where)
        read = is_colours(self.mask) and not isinstance(mask, DrawnMask) and not is_clinical(mask)
        indices = to_mask(file.values[None], self.classes, "index" if read else self.mask, where=where)[0]
        if self.classes == 2 and self.mask == "index":  # of masks that can be read alone
            self.seen.agree_on_foreground(file.values, where)
        return indices

    def _values(self, mask: Path | bytes | DrawnMask, image: Path | bytes, number: int | None, turn: int) -> MaskFile:
        """The values of a mask as they lie in it; of a volume, those of the slice of its image."""
        if isinstance(mask, DrawnMask):
            return MaskFile(mask.values(), turn)
        if not is_clinical(mask):
            return read_mask(mask, self.mask, self.classes)
        stack = self.stacks.get(mask, self.plane)
        if is_clinical(image):
            refuse_elsewhere(stack, self._stack(image), name_of(mask))
        return MaskFile(stack.frames[only(stack, number, name_of(mask)), ..., 0], 1)
