"""Which values are shown black and white: numbers on the card, a preset by name, or what the file itself says."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator
from typing_extensions import TypeIs

from bench.errors import DataError
from bench.strict import did_you_mean

PRESETS = {"lung": (-1350, 150), "soft-tissue": (-160, 240), "bone": (-500, 1300), "brain": (0, 80)}
"""Hounsfield units shown black and white: level -600 width 1500, 40 and 400, 400 and 1800, 40 and 80, as is usual."""
NAMES = (*PRESETS, "percentile", "tags")
"""percentile: of each file, over all its slices. tags: the window (VOI LUT) of each DICOM file."""
PERCENTILES = (0.5, 99.5)
One = str | list[float]


def is_several(window: One | list[One] | None) -> TypeIs[list[One]]:
    """Whether a window of the card is three: one for each channel."""
    return isinstance(window, list) and len(window) == 3


def uses_presets(window: One | list[One] | None) -> bool:
    """Whether a window of the card speaks of Hounsfield units."""
    return any(isinstance(one, str) and one in PRESETS for one in (window if is_several(window) else [window]))


def _checked(value: Any) -> One | list[One]:
    if isinstance(value, list) and len(value) == 3:
        return [_one(part) for part in value]
    return _one(value)


def _one(value: Any) -> One:
    if isinstance(value, str):
        name = value.strip().lower().replace(" ", "-").replace("_", "-")
        if name in NAMES:
            return name
        raise ValueError(did_you_mean(name, NAMES, f"is [low, high] or one of {', '.join(NAMES)}"))
    numbers = isinstance(value, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    if not numbers or len(value) != 2 or not np.isfinite(value).all():
        raise ValueError(f"is [low, high], one of {', '.join(NAMES)}, or three of these for three channels")
    if value[0] >= value[1]:
        raise ValueError("the first value of a window is below the second")
    return [float(v) for v in value]


Window = Annotated[Any, BeforeValidator(_checked)]
"""[low, high], a name of NAMES, or three of these, one a channel."""


@dataclass
class PixelMeaning:
    """What a file says of its values beyond the numbers.

    units: Hounsfield units, others, or nobody says. window: the values it asks to be shown black and white. shown:
    uint8 pictures through a table of its own (VOI LUT, sigmoid), where it has one instead. inverted: its low values are
    white (MONOCHROME1). whole: all values of the file, of which a picture is a part. rescaled: whether tags of the file
    turned its values into others; None where that is no question, or they say that nothing is to be done.
    """

    units: Literal["hounsfield", "other", "unknown"] = "unknown"
    window: tuple[float, float] | None = None
    shown: np.ndarray | None = None
    inverted: bool = False
    whole: np.ndarray | None = None
    rescaled: bool | None = None
    why: str = "names no window of its own"
    """Why `window` is None."""

    @cached_property
    def percentiles(self) -> tuple[float, float]:
        """The 0.5th and 99.5th percentile of the whole file."""
        assert self.whole is not None
        return percentiles(self.whole)


@dataclass
class UnitsSeen:
    """The units of files that belong together: numbers cannot mean Hounsfield units in some and others in others."""

    first: dict[str | bool | None, object] = field(default_factory=dict)
    """Units, or whether values were rescaled -> the first such file."""

    def agree(self, meant: PixelMeaning, where: object) -> None:
        """Raise DataError at a file that is not in Hounsfield units, or not rescaled, once there is one that is."""
        for seen in (meant.units, meant.rescaled):
            self.first.setdefault(seen, where)
        for one, other, what in (
            ("hounsfield", "other", "is not in Hounsfield units (rescale tags)"),
            (True, False, "has no rescale tags"),
        ):
            if one in self.first and other in self.first:
                what = f"{what}, unlike {self.first[one]}: one window cannot mean both"
                raise DataError(what, where=self.first[other], fix="convert these files, or leave them out")


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile; of a flat picture its value and one above."""
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high if high > low else low + 1)


def limits(one: One, values: np.ndarray, meant: PixelMeaning, where: object) -> tuple[float, float]:
    """The values shown black and white. Raises DataError where the file does not say, or says other units."""
    if not isinstance(one, str):
        return one[0], one[1]
    if one == "percentile":
        return percentiles(values) if meant.whole is None else meant.percentiles
    if one == "tags":
        if meant.window is None:
            fix = "give it as window = [low, high]"
            raise DataError(f'{meant.why}, and the card says window = "tags"', where=where, fix=fix)
        return meant.window
    if meant.units == "other" or (meant.units == "unknown" and values.dtype.kind == "u"):
        what = f"holds no Hounsfield units, in which the window {one!r} is meant"
        raise DataError(what, where=where, fix="give the window in the values of the file: window = [low, high]")
    return PRESETS[one]
