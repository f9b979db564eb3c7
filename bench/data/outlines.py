"""Masks as repositories keep them: pictures of each class, volumes of class numbers, outlines in XML or COCO files."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any
from xml.etree.ElementTree import fromstring

import numpy as np
from PIL import Image, ImageDraw

from bench.data.located import Located, located
from bench.data.pictures import VOLUMES, PictureDecoder, Read, axial, cut
from bench.errors import DataError

LEVEL = {"nonzero": 1, "threshold": 128}
"""Grey value from which a mask picture shows its class, for each rule of a card."""
MAX_JSON_BYTES = 256 << 20
Polygon = list[tuple[float, float]]


class Masks:
    """Masks of the places an index names: classes are separated by ";" (a later one lies on top), parts by "|"."""

    def __init__(
        self, read: Read, below: Callable[[str], list[str]], pictures: PictureDecoder, target: str, level: int
    ) -> None:
        self._read, self._below, self._pictures = read, below, pictures
        self._target, self._level = target, level
        self._outlines = cache(self._read_outlines)

    def __call__(self, text: str, size: tuple[int, int], *, where: object) -> Image.Image:
        """Mask of class numbers, mode L. size: (width, height) of the image. Raises DataError when sizes differ."""
        mask = np.zeros(size[::-1], np.uint8)
        for number, layer in enumerate(text.split(";"), start=1):
            for part in layer.split("|"):
                place = located(part, where=where)
                values = self._one(place, size)
                if values.shape != mask.shape:
                    raise DataError(f"the mask {part} is {values.shape[::-1]}, its image {size}", where=where)
                if place.slice is not None:
                    return Image.fromarray(values)
                mask[values > 0] = number
        return Image.fromarray(mask)

    def _one(self, place: Located, size: tuple[int, int]) -> np.ndarray:
        """(h, w), above 0 inside; a volume's own class numbers."""
        name = place.path.lower()
        if name.endswith(VOLUMES) and place.slice is not None:
            volume = self._pictures.volume(place)
            return axial(volume.astype(np.uint8), place.slice, where=place.path)
        if name.endswith("/"):
            parts = [Located(path, place.repository) for path in self._below(place.path)]
            return np.max([self._picture(part) for part in parts], axis=0)
        if name.endswith((".xml", ".zip")):
            whole = Image.new("L", self._whole(place, size))
            for polygon in self._polygons(place):
                ImageDraw.Draw(whole).polygon(polygon, fill=255)
            return np.asarray(cut(whole, place))
        return self._picture(place)

    def _picture(self, place: Located) -> np.ndarray:
        return (np.asarray(self._pictures(place, "L")) >= self._level).astype(np.uint8)

    def _whole(self, place: Located, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the image the outlines are drawn on, of which `place` may be a window."""
        if place.window is None:
            return size
        points = np.array([point for polygon in self._polygons(place) for point in polygon])
        left, top, width, height = place.window
        far_x, far_y = points.max(axis=0).astype(int) + 1
        return max(left + width, int(far_x)), max(top + height, int(far_y))

    def _polygons(self, place: Located) -> list[Polygon]:
        return self._outlines(replace(place, window=None))

    def _read_outlines(self, place: Located) -> list[Polygon]:
        content = self._read(Located(place.path, place.repository))
        return _aperio(content, place) if place.path.endswith(".xml") else self._coco(content, place)

    def _coco(self, content: bytes, place: Located) -> list[Polygon]:
        by_image = _coco_file(content, self._target, place.path)
        if place.image not in by_image:
            raise DataError(f"names no image {place.image!r}", where=place.path)
        return by_image[place.image]


def _aperio(content: bytes, place: Located) -> list[Polygon]:
    """Outlines of an annotation file of Aperio ImageScope (MoNuSeg): Region / Vertex with X and Y."""
    regions = fromstring(content).findall(".//Region")
    polygons = [
        [(float(v.attrib["X"]), float(v.attrib["Y"])) for v in region.findall(".//Vertex")] for region in regions
    ]
    if not polygons:
        raise DataError("holds no outlines", where=place.path)
    return [polygon for polygon in polygons if len(polygon) > 1]


@cache
def _coco_file(content: bytes, target: str, where: str) -> dict[str, list[Polygon]]:
    """File name of an image -> outlines of the class `target` (name of a COCO category)."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next((m for m in archive.infolist() if m.filename.endswith(".json")), None)
        if member is None or member.file_size > MAX_JSON_BYTES:
            raise DataError("holds no COCO file, or too large a one", where=where)
        table: dict[str, Any] = json.loads(archive.read(member))
    kinds = {c["id"] for c in table["categories"] if c["name"].casefold() == target.casefold()}
    names = {image["id"]: image["file_name"] for image in table["images"]}
    found: dict[str, list[Polygon]] = {name: [] for name in names.values()}
    for annotation in table["annotations"]:
        outline = annotation["segmentation"]
        outline = json.loads(outline) if isinstance(outline, str) else outline
        if annotation["category_id"] in kinds and isinstance(outline, list):
            found[names[annotation["image_id"]]] += [
                list(zip(p[::2], p[1::2], strict=True)) for p in outline if len(p) > 5
            ]
    return found
