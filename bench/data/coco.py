"""Outlines and run lengths of a COCO file (Lin et al. 2014) as masks of class indices."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from skimage.draw import polygon2mask

from bench.data.masks import DrawnMask
from bench.data.task import Task, folded
from bench.errors import DataError, SubmissionError
from bench.files import readable
from bench.strict import did_you_mean, parse_json

MAX_BYTES = 1 << 30
MAX_SIDE = 1 << 15
Shape = tuple[int, int]


@dataclass(frozen=True)
class Drawing(DrawnMask):
    """The annotations of one image, drawn when they are asked for."""

    file: Path
    name: str
    shape: Shape
    parts: Sequence[tuple[int, Any]] = field(repr=False)
    """(class index, segmentation of the file) in the order of the file."""
    overlap: Literal["first", "last"] | None = None

    def __str__(self) -> str:
        return f"{self.file}, image {self.name!r}"

    def values(self) -> np.ndarray:
        """uint8 (h, w). Raises DataError, also where two classes overlap and the card does not say which lies above."""
        mask = np.zeros(self.shape, np.uint8)
        for index, segmentation in self.parts:
            inside = drawn(segmentation, self.shape, self)
            other = inside & (mask > 0) & (mask != index)
            if other.any() and self.overlap is None:
                what = f"outlines of two classes overlap in {int(other.sum()):,} pixels"
                raise DataError(what, where=self, fix='say overlap = "last" or "first" in [source]: which lies above')
            mask[inside & ~other if self.overlap == "first" else inside] = index
        return mask


def read_coco(path: Path, task: Task, overlap: Literal["first", "last"] | None) -> dict[str, Drawing]:
    """File name of each image -> its drawing. Raises DataError when the file is no COCO file, or of other classes."""
    table = _table(path)
    try:
        used = {annotation["category_id"] for annotation in table["annotations"]}
        kinds = {c["id"]: _class_of(c["name"], task, path) for c in table["categories"] if c["id"] in used}
        images = {i["id"]: (i["file_name"], (int(i["height"]), int(i["width"]))) for i in table["images"]}
        if lost := next((key for key in used if key not in kinds), None):
            raise DataError(f"has outlines of category {lost!r}, which 'categories' does not list", where=path)
        parts: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
        for annotation in table["annotations"]:
            parts[annotation["image_id"]].append((kinds[annotation["category_id"]], annotation.get("segmentation")))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"is no COCO file of masks ({type(error).__name__}: {error})", where=path) from None
    listed = {
        "id": [i["id"] for i in table["images"]],
        "file": [name for name, _ in images.values()],
        "category": [c["id"] for c in table["categories"]],
    }
    for what, values in listed.items():
        if twice := [value for value, n in Counter(values).items() if n > 1]:
            raise DataError(f"lists the {what} {twice[0]!r} twice", where=path, fix="one entry an image, or a category")
    if lost := set(parts) - set(images):
        first = sorted(lost, key=repr)[0]
        fix = "its 'images' write ids otherwise: 7 is not \"7\"" if str(first) in map(str, images) else None
        raise DataError(f"has outlines of image {first!r}, which it does not list", where=path, fix=fix)
    if wrong := next((n for n, s in images.values() if not all(0 < side <= MAX_SIDE for side in s)), None):
        raise DataError("has no possible size", where=f"{path}, image {wrong!r}")
    return {name: Drawing(path, name, shape, tuple(parts[key]), overlap) for key, (name, shape) in images.items()}


def drawn(segmentation: Any, shape: Shape, where: object) -> np.ndarray:
    """bool (h, w) of polygons, or of run lengths, plain or compressed. Raises DataError."""
    if not segmentation:
        fix = "outline it, or remove the annotation: a box alone is no mask"
        raise DataError("has an annotation without an outline", where=where, fix=fix)
    try:
        if isinstance(segmentation, list):
            return _polygons(segmentation, shape)
        counts, size = segmentation["counts"], tuple(segmentation["size"])
        runs = np.array(counts if isinstance(counts, list) else _unpacked(counts), np.int64)
        if size != shape or runs.sum() != shape[0] * shape[1] or (runs < 0).any():
            raise ValueError(f"run lengths of {size}, the image is {shape}")
        values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return values.reshape(shape[::-1]).T
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"has an outline that cannot be drawn: {str(error)[:120]}", where=where) from None


def _polygons(polygons: list[list[float]], shape: Shape) -> np.ndarray:
    """Pixels whose centre lies inside one of them: the centre of the first pixel is (0.5, 0.5) in COCO."""
    inside = np.zeros(shape, bool)
    for flat in polygons:
        points = np.array(flat, np.float64).reshape(-1, 2)
        if len(points) < 3 or not np.isfinite(points).all():
            raise ValueError("a polygon of fewer than three points")
        _refuse_outside(points, shape)
        inside |= polygon2mask(shape, points[:, ::-1] - 0.5)
    return inside


def _refuse_outside(points: np.ndarray, shape: Shape) -> None:
    """points: (n, 2), x and y. Raises ValueError for a polygon of another image, or in shares of the image."""
    low, high = points.min(0), points.max(0)
    if (high <= 0).any() or (low >= shape[::-1]).any():
        raise ValueError("a polygon that lies outside the image: of another one, or x and y exchanged?")
    if low.min() >= 0 and high.max() <= 1 and (points % 1).any():
        raise ValueError("a polygon within the first pixel: are its points shares of the image? COCO has pixels")


def _unpacked(text: str | bytes) -> list[int]:
    """Run lengths of the compressed form (maskApi.c of the COCO API): 5 bits a character, differences to two before."""
    data, runs, at = text.encode() if isinstance(text, str) else text, list[int](), 0
    while at < len(data):
        value, shift, more = 0, 0, True
        while more:
            bits = data[at] - 48
            value |= (bits & 31) << shift
            at, shift, more = at + 1, shift + 5, bool(bits & 32)
            if not more and bits & 16:
                value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def _class_of(name: str, task: Task, path: Path) -> int:
    names = [folded(c) for c in task.classes]
    if folded(name) in names:
        return names.index(folded(name))
    fix = did_you_mean(name, task.classes[1:], f"the card names: {', '.join(task.classes[1:])}")
    raise DataError(f"has the category {name!r}, which the card does not name", where=path, fix=fix)


def _table(path: Path) -> dict[str, Any]:
    with readable(path, "JSON"):
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"is larger than {MAX_BYTES:,} bytes", where=path)
        text = path.read_text(encoding="utf-8-sig")
    try:
        table = parse_json(text, where=path)
    except SubmissionError as error:
        raise DataError(error.what, where=path) from None
    if not isinstance(table, dict):
        raise DataError("is no COCO file: expected images, annotations and categories", where=path)
    return table
