"""How labels, images and masks are read: options that every source of real data shares, and one way to use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from bench.data.dataset import TaskSource
from bench.data.images import fit, fit_mask, name_of, read_header, read_image
from bench.data.labels import Blank, Labels, Numbers, Uncertain
from bench.data.masks import MaskRule, Palettes, read_mask, to_mask, united
from bench.data.pixels import Window
from bench.data.task import Task
from bench.errors import DataError

UNITED = "images: several masks, united"


class ReadSource(TaskSource):
    """A source of real data; `reading` and `pictures` read as the card says."""

    numbers: Numbers | None = None
    uncertain: Uncertain | None = None
    blank: Blank | None = None
    mask: MaskRule = "index"
    window: Window | None = None

    @field_validator("uncertain", mode="before")
    @classmethod
    def _not_ignored(cls, value: Any) -> Any:
        if value == "ignore":
            raise ValueError(
                "U-Ignore leaves single cells out, which neither the protocols nor the metrics can; 'drop' leaves the "
                "images out, 'zeros' and 'ones' are U-Zeros and U-Ones"
            )
        return value

    def reading(self, task: Task) -> Labels:
        """How labels are read."""
        return Labels(task, self.numbers, self.uncertain, self.blank)

    def pictures(self, task: Task, size: int | None = None) -> Pictures:
        """How image and mask files are read."""
        return Pictures(len(task.classes), self.window, self.mask, size)


@dataclass(frozen=True)
class Pictures:
    """Reads image files, and image and mask together, always in the same way; remembers palettes."""

    classes: int
    window: list[float] | None
    mask: MaskRule
    size: int | None = None
    palettes: Palettes = field(default_factory=Palettes)

    def image(self, source: Path | bytes, channels: int | None, remarks: Counter[str]) -> np.ndarray:
        """uint8 (h, w, c) of an image file, fitted to `size`; channels None: its own. Raises DataError."""
        image = read_image(source, self.window, remarks)
        return fit(image, self.size, channels or image.shape[-1], where=name_of(source))

    def pair(
        self, source: Path | bytes, masks: Sequence[Path | bytes], channels: int | None, remarks: Counter[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask, uint8 (h, w, c) and (h, w), both upright and fitted. Raises DataError.

        masks: one file, or several of two classes, which are united.
        """
        header = read_header(source)
        image = self.image(source, channels, remarks)
        if len(masks) > 1:
            remarks[UNITED] += 1
        mask = united([self._mask(m, header.turn, (header.height, header.width)) for m in masks], self.classes, source)
        return image, fit_mask(mask, self.size)

    def _mask(self, source: Path | bytes, turn: int, shape: tuple[int, int]) -> np.ndarray:
        where, file = name_of(source), read_mask(source, self.mask, self.classes)
        if file.values.shape != shape:
            (h, w), (ih, iw) = file.values.shape, shape
            turned = f", turned by its EXIF orientation {turn}" if turn != file.turn else ""
            raise DataError(f"is {w} x {h} pixels, its image {iw} x {ih}{turned}", where=where)
        decided = (turn >= 5) != (file.turn >= 5) and shape[0] != shape[1]  # The sizes tell which way is meant.
        if turn != file.turn and not decided:
            what = f"has EXIF orientation {file.turn}, its image {turn}: is it of the turned or the unturned one?"
            raise DataError(what, where=where, fix="save both upright, without the tag")
        self.palettes.agree(file.colours, where)
        return to_mask(file.values[None], self.classes, self.mask, where=where)[0]
