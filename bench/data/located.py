"""Where a picture lies inside a repository, in the words of an index file.

    data/benign/images/benign (1).png               a file
    Dataset/9.jpg#xywh=145,111,80,80                a window of it: left, top, width, height in pixels
    data/pocus_videos/convex/Cov-Atlas.mp4#frame=19 a frame of a video or an animated GIF, counted from 0
    data/images/hippocampus_014.nii.gz#slice=12     an axial slice of a volume
    v7labs/covid-19-xray-dataset:annotations/covid-only-coco.zip#image=a.png   another repository; COCO outlines

The window is written as in Media Fragments URI 1.0 (W3C 2012).
"""

import re
from dataclasses import dataclass

from bench.errors import DataError

_OTHER = re.compile(r"^([\w.-]+/[\w.-]+):(.+)$")
_WINDOW = re.compile(r"^(-?\d{1,5}),(-?\d{1,5}),(\d{1,5}),(\d{1,5})$")
KEYS = ("xywh", "frame", "slice", "image")


@dataclass(frozen=True)
class Located:
    """One place. `repository` is None for the first repository of the card."""

    path: str
    repository: str | None = None
    window: tuple[int, int, int, int] | None = None
    frame: int | None = None
    slice: int | None = None
    image: str | None = None


def located(text: str, *, where: object) -> Located:
    """Read one place. Raises DataError for a malformed one.

    >>> located("v7labs/masks:a.zip#image=x.png", where="index").repository
    'v7labs/masks'
    """
    path, _, fragment = text.partition("#")
    repository = None
    if other := _OTHER.match(path):
        repository, path = other.groups()
    values = dict(part.partition("=")[::2] for part in fragment.split("&")) if fragment else {}
    if odd := sorted(set(values) - set(KEYS)):
        raise DataError(f"unknown part {odd[0]!r} of {text[:120]!r}", where=where, fix=f"one of: {', '.join(KEYS)}")
    numbers = {key: values.get(key) for key in ("frame", "slice")}
    window = _WINDOW.match(values["xywh"]) if "xywh" in values else None
    if any(v is not None and not v.isdecimal() for v in numbers.values()) or ("xywh" in values and window is None):
        raise DataError(f"{text[:120]!r} does not say a window, frame or slice", where=where)
    whole = {key: None if value is None else int(value) for key, value in numbers.items()}
    box = tuple(map(int, window.groups())) if window else None
    return Located(path, repository, box, whole["frame"], whole["slice"], values.get("image"))  # type: ignore[arg-type]
