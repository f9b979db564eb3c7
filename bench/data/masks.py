"""One reading of masks for every source: files and arrays become class indices.

A mask means what it shows: a palette of greys is read by its greys, one of colours by its indices, the ground (black,
or else white) being 0. With two classes 0 and 255 (or 65535) are background and foreground. `mask` on the card says
what else is meant.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field, StringConstraints
from typing_extensions import TypeIs

from bench.data import tiff
from bench.data.guard import name_of
from bench.data.images import as_stored, opened, with_alpha
from bench.errors import DataError

Values = Annotated[list[Annotated[int, Field(ge=-(2**31), lt=2**32)]], Field(min_length=2, max_length=200)]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$", to_lower=True)]
Colours = Annotated[list[Colour], Field(min_length=2, max_length=200)]
MaskRule = Literal["index", "nonzero", "threshold"] | Values | Colours
"""What mask values mean: class index; 0, or below 128 (JPEG), against the rest; value or colour of each class."""

WHITE = (255, 65535)
FRINGE = 24
"""Grey values by which the channels of a lossy grey picture differ at most."""
PHOTOMETRIC = 262
"""Tag of TIFF: what its values show."""
LOSSY = ("JPEG", "MPO", "WEBP")


@dataclass
class MasksSeen:
    """What the masks of a set have in common: the colour of an index of a palette, the value of the foreground."""

    known: dict[int, tuple[tuple[int, ...], object]] = field(default_factory=dict)
    foreground: dict[bool, tuple[int, object]] = field(default_factory=dict)
    """Whether it is white -> the value, and the first file with it."""

    def agree_on_foreground(self, values: np.ndarray, where: object) -> None:
        """Raise DataError where some of two-class masks are 0 and 1, and others 0 and 255: those may be left out."""
        top = int(values.max(initial=0))
        if top:
            self.foreground.setdefault(top in WHITE, (top, where))
        if len(self.foreground) > 1:
            (one, _), (white, file) = self.foreground[False], self.foreground[True]
            what = f"holds 0 and {white}, another mask 0 and {one}: is {white} foreground, or what is left out?"
            fix = 'say mask = "nonzero" in [source] where both are foreground; else save masks of 0 and 1 alone'
            raise DataError(what, where=file, fix=fix)

    def agree(self, colours: dict[int, tuple[int, ...]], where: object) -> None:
        """Raise DataError when an index has another colour than in a mask before."""
        for index, colour in colours.items():
            before, file = self.known.setdefault(index, (colour, where))
            if before != colour:
                what = f"palette index {index} is {_hex(colour)}, but {_hex(before)} in {file}"
                raise DataError(what, where=where, fix="save masks as grey PNG of class indices")


class DrawnMask(ABC):
    """A mask that is drawn and lies in no file of its own, such as outlines; its text says where it stands."""

    @abstractmethod
    def values(self) -> np.ndarray:
        """Class indices (h, w) of an upright image. Raises DataError."""


@dataclass(frozen=True)
class MaskFile:
    """Whole numbers (h, w) of one mask file, upright; the colours behind them when they are palette indices."""

    values: np.ndarray
    turn: int
    """EXIF orientation; 1 where there is none."""
    colours: dict[int, tuple[int, ...]] = field(default_factory=dict)


def read_mask(source: Path | bytes, rule: MaskRule = "index", classes: int = 2) -> MaskFile:
    """One mask file, class indices where the rule is colours. Raises DataError when it can be meant in two ways."""
    if tiff.is_deep(source):
        return MaskFile(_deep(source), 1)
    with opened(source) as image:
        turn = image.getexif().get(0x0112, 1)
        lossy = image.format in LOSSY and not is_lossless(source)
        if getattr(image, "n_frames", 1) > 1:
            raise DataError("is a mask of several frames", where=name_of(source), fix="save one mask a file")
        if image.format == "TIFF" and getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:
            raise _white_is_zero(source)
        upright = ImageOps.exif_transpose(image)
        if is_colours(rule):
            return MaskFile(_by_colour(upright, rule, classes, name_of(source)), turn)
        if upright.mode in ("P", "PA"):
            values, colours = _indexed(upright, rule, classes, name_of(source))
        else:
            values, colours = as_stored(_greys(upright, rule, name_of(source)), image), {}
    if lossy and rule != "threshold" and not np.isin(values, (0, 255)).all():
        what = "is a lossy file (JPEG), in which the values of a mask are blurred"
        raise DataError(what, where=name_of(source), fix='say mask = "threshold" in [source], or save it as PNG')
    return MaskFile(values, turn, colours)


def to_mask(values: np.ndarray, classes: int, rule: MaskRule = "index", *, where: object = None) -> np.ndarray:
    """Masks (n, h, w) or (n, h, w, 1) of any whole numbers as uint8 class indices (n, h, w). Raises DataError.

    With two classes, masks of 0 and 255 (or 65535) alone are read as 0 and 1.
    """
    values = values[..., 0] if values.ndim == 4 and values.shape[-1] == 1 else values
    if values.ndim != 3:
        fix = "colours and one layer a class are no class indices" if values.ndim == 4 else None
        raise DataError(f"masks have shape {values.shape}, expected (n, h, w)", where=where, fix=fix)
    if is_colours(rule):
        raise DataError("holds numbers, and 'mask' gives colours", where=where, fix="mask = [0, ...] gives values")
    whole = _whole(values, where)
    if rule == "nonzero":
        return (whole != 0).astype(np.uint8)
    if rule == "threshold":
        if whole.size and 0 < whole.max() < 128:
            fix = 'say mask = "nonzero", or leave it out for class indices'
            what = f"masks hold the values {_some(whole)}, and a threshold of 128 leaves nothing"
            raise DataError(what, where=where, fix=fix)
        return (whole >= 128).astype(np.uint8)
    if rule != "index":
        return _by_value(whole, classes, rule, where)
    top = whole.max() if whole.size else 0
    if classes == 2 and top in WHITE and not ((whole != 0) & (whole != top)).any():
        return (whole == top).astype(np.uint8)
    if whole.size and (whole.min() < 0 or top >= classes):
        fix = f"expected class indices; mask = [0, ...] in [source] gives the value of each of the {classes} classes"
        if classes == 2:
            fix += '; mask = "nonzero" or "threshold" make any mask a two-class one'
        raise DataError(f"masks hold the values {_some(whole)}; expected 0 to {classes - 1}", where=where, fix=fix)
    return whole.astype(np.uint8)


def united(masks: Sequence[np.ndarray], classes: int, where: object) -> np.ndarray:
    """Several two-class masks uint8 (h, w) of one image as one. Raises DataError for more classes, or other sizes."""
    if len(masks) > 1 and classes > 2:
        fix = "several masks of an image are united only when there are two classes; save one mask of class indices"
        raise DataError(f"has {len(masks)} masks", where=where, fix=fix)
    if len({mask.shape for mask in masks}) > 1:
        raise DataError("has masks of different sizes", where=where)
    return np.maximum.reduce(list(masks))


def _indexed(
    image: Image.Image, rule: MaskRule, classes: int, where: str
) -> tuple[np.ndarray, dict[int, tuple[int, ...]]]:
    """Values of a palette mask: its greys; or its indices with their colours, when these are colours."""
    indices = np.asarray(image.getchannel("P") if image.mode == "PA" else image)
    seen = np.asarray(image.convert("RGBA")).reshape(-1, 4)
    colours = {int(i): tuple(seen[at].tolist()) for i, at in zip(*np.unique(indices, return_index=True), strict=True)}
    if all(r == g == b for r, g, b, _ in colours.values()):
        greys = _greys(image.convert("RGBA"), rule, where)
        order = [colours[i][0] for i in sorted(colours)]
        if rule == "index" and _is_valid(indices, classes) and not _is_valid(greys, classes) and order == sorted(order):
            return indices, {}  # Shades chosen to be seen: the darker, the lower the index.
        return greys, {}
    shown = {i: c[:3] if c[3] else (0, 0, 0) for i, c in colours.items()}
    if rule == "nonzero":
        return np.isin(indices, [i for i, colour in shown.items() if any(colour)]).astype(np.uint8), {}
    if rule == "threshold":
        raise _coloured(where)
    if isinstance(rule, str):
        _refuse_ground(shown | {0: _colour_of_zero(image, shown)}, where)
    return indices, shown


def _refuse_ground(shown: dict[int, tuple[int, ...]], where: str) -> None:
    """The ground, black or where there is none white, has index 0 or is not there."""
    for name, colour in (("black", (0, 0, 0)), ("white", (255, 255, 255))):
        places = [i for i, c in shown.items() if c == colour]
        if any(places):
            what = (
                f"is a palette mask in which {name} has index {max(places)}: the background by colour, a class by index"
            )
            fix = f'give the colour of each class: mask = ["{_hex(colour)}", ...] in [source]; or save it as a grey PNG'
            raise DataError(what, where=where, fix=fix)
        if 0 in places:
            return


def _colour_of_zero(image: Image.Image, shown: dict[int, tuple[int, ...]]) -> tuple[int, ...]:
    """The colour of index 0, also where no pixel has it."""
    palette = image.getpalette("RGB") or [-1] * 3
    return shown.get(0, tuple(palette[:3]))


def _by_colour(image: Image.Image, rule: list[str], classes: int, where: str) -> np.ndarray:
    """Class indices of a mask in colours; what is transparent is black."""
    _refuse_length(rule, classes, where)
    pixels = np.asarray(image.convert("RGBA"))
    if not np.isin(pixels[..., 3], (0, 255)).all():
        raise DataError("is a mask with half transparent pixels", where=where, fix="save it without alpha")
    codes = (pixels[..., :3].astype(np.int64) @ [1 << 16, 1 << 8, 1]) * (pixels[..., 3] == 255)
    given = {int(colour[1:], 16): i for i, colour in enumerate(rule)}
    if odd := sorted(set(np.unique(codes).tolist()) - set(given)):
        what = f"has pixels of {len(odd):,} colours that 'mask' does not give, e.g. #{odd[0]:06x}"
        raise DataError(what, where=where, fix="a mask that was resized or saved as JPEG has blurred colours")
    return np.vectorize(given.get, otypes=[np.uint8])(codes)


def _deep(source: Path | bytes) -> np.ndarray:
    """Values (h, w) of a TIFF that Pillow cannot read whole."""
    values, inverted = tiff.decode(source)
    if inverted:
        raise _white_is_zero(source)
    if values.shape[-1] != 1:
        raise DataError("is no mask of class indices", where=name_of(source), fix="save it as a grey PNG")
    return values[..., 0]


def _white_is_zero(source: Path | bytes) -> DataError:
    """Of a TIFF whose low values are white, as some programs write all masks of two values."""
    what = "is a mask in which low values are shown white: is its foreground what is 1, or what is white?"
    return DataError(what, where=name_of(source), fix="save it as a grey PNG of class indices")


def _greys(image: Image.Image, rule: MaskRule, where: str) -> np.ndarray:
    """Values (h, w) of a mask that is no palette."""
    image = with_alpha(image, where)
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        values = np.asarray(image.convert("RGB"))
    if values.ndim == 2:
        return values
    if values.shape[-1] in (2, 4):
        values = _without_alpha(values, where)
    if values.shape[-1] == 1 or (values == values[..., :1]).all():
        return values[..., 0]
    if rule == "nonzero":
        return np.asarray(values.any(-1), np.uint8)
    if rule == "threshold" and np.ptp(values, axis=-1).max() <= FRINGE:
        return np.rint(values.mean(-1)).astype(np.uint8)
    raise _coloured(where)


def _without_alpha(values: np.ndarray, where: str) -> np.ndarray:
    """The colours of (h, w, c + 1), when transparency changes nothing on black."""
    colours, alpha = values[..., :-1], values[..., -1:]
    hidden = (alpha < 255) & (colours > 0)
    plain = (alpha == alpha.flat[0]).all() or not (colours == colours[:1, :1]).all()
    if (alpha == 255).all() or (plain and not hidden.any()):
        return colours
    fix = "save it as a grey PNG of class indices"
    raise DataError("is a mask with transparency: the mask may be in the colours or in the alpha", where=where, fix=fix)


def is_colours(rule: MaskRule) -> TypeIs[list[str]]:
    """Whether a rule gives the colour of each class."""
    return isinstance(rule, list) and isinstance(rule[0], str)


def _refuse_length(rule: Sequence[object], classes: int, where: object) -> None:
    if len(rule) != classes or len(set(rule)) != classes:
        raise DataError(f"'mask' lists {len(rule)} values for {classes} classes", where=where, fix="one for each class")


def _by_value(values: np.ndarray, classes: int, rule: Sequence[int], where: object) -> np.ndarray:
    _refuse_length(rule, classes, where)
    order = np.argsort(rule)
    place = np.searchsorted(np.array(rule)[order], values).clip(0, classes - 1)
    found = order[place].astype(np.uint8)
    if (np.array(rule)[found] != values).any():
        raise DataError(f"masks hold the values {_some(values)}; the card gives {list(rule)}", where=where)
    return found


def _whole(values: np.ndarray, where: object) -> np.ndarray:
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all():
        return values.astype(np.int64)
    fix = "save 0 and 1, or class indices; where a mask is a probability, cut it where you would"
    raise DataError(f"masks are {values.dtype}, expected whole numbers", where=where, fix=fix)


def _is_valid(values: np.ndarray, classes: int) -> bool:
    return bool(values.max() < classes or (classes == 2 and np.isin(values, (0, 255)).all()))


def is_lossless(source: Path | bytes) -> bool:
    """Whether a WebP file is of the lossless kind ("VP8L")."""
    if isinstance(source, Path):
        with open(source, "rb") as file:
            source = file.read(4096)
    return source[:4] == b"RIFF" and b"VP8L" in source[:4096]


def _coloured(where: str) -> DataError:
    fix = (
        'mask = ["#000000", "#ff0000"] in [source] gives the colour of each class, mask = "nonzero" takes all but black'
    )
    return DataError("is a mask in colour", where=where, fix=fix)


def _some(values: np.ndarray) -> str:
    found = np.unique(values)
    return ", ".join(map(str, found[:8].tolist())) + (", ..." if len(found) > 8 else "")


def _hex(colour: tuple[int, ...]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
