"""An .npz file in the layout of MedMNIST (labels) or MedSegBench (masks), read in blocks out of the archive.

{split}_images  (n, h, w), (n, h, w, c), (n, depth, h, w) or (n, depth, h, w, c)
{split}_labels  (n,), (n, 1) or (n, k); a mask task: {split}_label, (n, h, w) or, of volumes, (n, depth, h, w)
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from bench.data.bags import bags_of_splits, check_joined
from bench.data.blocks import joined
from bench.data.dataset import SourceDigest, Split
from bench.data.held import HeldFile
from bench.data.masks import to_mask
from bench.data.pixels import to_uint8
from bench.data.reading import ReadSource
from bench.data.shares import SOME_PATIENTS, SPLIT_NAMES, group_name
from bench.data.space import require_space
from bench.data.task import Task
from bench.errors import DataError, UserError
from bench.files import UNREADABLE, npz_names
from bench.locate import home
from bench.strict import Line, Millimetres, Sha256
from bench.words import REQUIRED_SPLITS

BLOCK_BYTES = 8 << 20
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S{1,500}$")]
Key = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\{split\}")]


class NpzSource(ReadSource):
    """`reader = "npz"`. Keys may be named when they are not the usual ones; `{split}` stands for train, val, test."""

    name: ClassVar[str] = "npz"
    version: ClassVar[str] = "3"
    unread: ClassVar[frozenset[str]] = frozenset({"file", "url", "md5", "sha256", "rows", "aggregation"})

    reader: Literal["npz"]
    file: Line
    url: Url | None = None
    md5: Md5 | None = None
    sha256: Sha256 | None = None
    rows: dict[str, Annotated[int, Field(ge=1)]] | None = None
    """Images of each split as published; another number is noted."""
    images: Key | None = None
    """Key of the images; default "{split}_images"."""
    labels: Key | None = None
    """Key of labels or masks; default "{split}_labels", then "{split}_label"."""
    groups: Key | None = None
    """Key of patient names or numbers, (n,), where the file has them."""
    volume: bool = False
    """The images are volumes, (n, depth, h, w) or (n, depth, h, w, c)."""
    aggregation: Literal["mean", "max"] | None = None
    """How the features of a volume's slices become one vector; volumes only."""
    spacing: Annotated[list[Millimetres], Field(min_length=3, max_length=3)] | None = None
    """mm between planes, rows and columns of every volume, where it is known."""
    bags: bool = False
    """The images of a patient are one case, with one label; `groups` names the patients."""
    intensities: Literal["hu"] | None = None
    """The values are Hounsfield units: they are kept beside the 8 bits that `window` makes of them."""
    later: ClassVar[frozenset[str]] = ReadSource.later | {"spacing", "bags", "intensities"}

    @model_validator(mode="after")
    def _declared(self) -> Self:
        if self.bags and (self.volume or self.groups is None):
            raise ValueError("bags = true is for flat images of patients that 'groups' names")
        check_joined(volume=self.volume, bags=self.bags, aggregation=self.aggregation)
        if self.bags and self.intensities:
            raise ValueError("intensities are kept of images and volumes, not of bags")
        if self.spacing is not None and not self.volume:
            raise ValueError("'spacing' is for volume = true")
        return self

    def held(self, task: Task) -> HeldFile:
        """The file behind this card."""
        return HeldFile(self.file, task.name, self.url, self.md5, self.sha256)

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> SourceDigest:
        """Checksum of the file."""
        return self.held(task).identity(folder, accept_checksum=accept_checksum)

    def stream(self, task: Task, folder: Path, remarks: Counter[str]) -> Mapping[str, Iterable[Split]]:
        """Blocks of about 8 MB of each split. Raises DataError."""
        path = self.held(task).require(folder)
        self.check_window(task)
        if self.intensities:
            self.refuse_units(task, "intensities are")
        with opened(path) as archive:
            keys = {info.filename.removesuffix(".npy") for info in archive.infolist()}
            require_space(home(), sum(info.file_size for info in archive.infolist()))
        splits = [*REQUIRED_SPLITS, *(["test-shift"] if keys & set(self._keys("test-shift", task)[0]) else [])]
        if unused := keys - self._used(splits, keys, task):
            remarks[f"arrays: not named by the card, left out: {', '.join(sorted(unused)[:8])}"] = len(unused)
        blocks = {split: self._blocks(path, keys, split, task, remarks) for split in splits}
        return bags_of_splits({name: joined(found) for name, found in blocks.items()}, path) if self.bags else blocks

    def _keys(self, split: str, task: Task) -> tuple[list[str], list[str]]:
        """Possible keys of images and of labels, the likeliest first; "valid" and the like are "val"."""
        usual = ["{split}_labels", "{split}_label"]
        usual = usual[::-1] if task.kind == "dense" else usual
        labels = [self.labels] if self.labels else usual
        return _named([self.images or "{split}_images"], split), _named(labels, split)

    def _used(self, splits: Sequence[str], keys: set[str], task: Task) -> set[str]:
        """The arrays that are read."""
        found = {next((key for key in options if key in keys), "") for s in splits for options in self._keys(s, task)}
        return found | {key for s in splits if self.groups for key in _named([self.groups], s)}

    def _blocks(self, path: Path, keys: set[str], split: str, task: Task, remarks: Counter[str]) -> Iterator[Split]:
        image_key, label_key = (_present(options, keys, path) for options in self._keys(split, task))
        with (
            opened(path) as archive,
            Member(archive, image_key, path) as images,
            Member(archive, label_key, path) as labels,
        ):
            if images.rows != labels.rows:
                what = f"{image_key} has {images.rows:,} rows, {label_key} has {labels.rows:,}"
                raise DataError(what, where=path)
            if (stated := (self.rows or {}).get(split, images.rows)) != images.rows:
                remarks[f"all of {split}, where the card says {stated:,}"] = images.rows
            groups = self._groups(archive, split, images.rows, path, remarks)
            where = f"{path}, {label_key}"
            read = None if task.kind == "dense" else self._labels(labels, task, remarks, where)
            rows = max(1, BLOCK_BYTES // max(1, images.row_bytes))
            if self.volume and (images.tail[0] in (1, 3) or images.tail[0] == images.tail[1] != images.tail[2]):
                depth, h, w = images.tail[:3]
                remarks[f"volumes: {depth} planes of {h} x {w} pixels: is the depth first, as it should be?"] += (
                    images.rows
                )
            for start in range(0, images.rows, rows):
                stop = min(start + rows, images.rows)
                pixels = images.read(rows)
                if read is None:
                    found, keep = self._masks(labels.read(rows), task, where), np.ones(stop - start, bool)
                else:
                    found, keep = read[0][start:stop], read[1][start:stop]
                if not keep.any():
                    continue
                yield Split(
                    to_uint8(self._with_channels(pixels[keep], path), self.window, remarks, where=path),
                    found[keep],
                    np.array([f"{split}/{i}" for i in range(start, stop)])[keep],
                    None if groups is None else groups[start:stop][keep],
                    intensities=self._units(self._with_channels(pixels[keep], path), path),
                    spacing=None if self.spacing is None else np.tile(np.array(self.spacing), (int(keep.sum()), 1)),
                )

    def _labels(self, member: Member, task: Task, remarks: Counter[str], where: str) -> tuple[np.ndarray, np.ndarray]:
        """Labels of all rows of a split, and which of them the card keeps."""
        found, keep = self.reading(task).many(member.read(member.rows), remarks, where=where)
        whole = np.zeros((member.rows, *found.shape[1:]), found.dtype)
        whole[keep] = found
        return whole, keep

    def _units(self, images: np.ndarray, path: Path) -> np.ndarray | None:
        if self.intensities is None:
            return None
        if images.shape[-1] != 1:
            raise DataError("images are in colour, which has no Hounsfield units", where=path)
        return images.astype(np.float32)

    def _masks(self, values: np.ndarray, task: Task, where: str) -> np.ndarray:
        if not self.volume:
            return to_mask(values, len(task.classes), self.mask, where=where)
        if values.ndim != 4:
            raise DataError(f"masks have shape {values.shape}, expected (n, depth, h, w)", where=where)
        slices = to_mask(values.reshape(-1, *values.shape[2:]), len(task.classes), self.mask, where=where)
        return slices.reshape(values.shape)

    def _with_channels(self, images: np.ndarray, path: Path) -> np.ndarray:
        flat = images.ndim - self.volume
        if flat == 3:
            return images[..., None]
        if flat == 4 and (images.shape[-1] <= 4 or self.volume):
            if images.shape[-1] in (2, 4) and (images[..., -1] != 255).any():
                fix = "save 1 or 3 channels; a task has one series"
                raise DataError(f"images have {images.shape[-1]} channels: series, or alpha?", where=path, fix=fix)
            return images
        fix = "say volume = true in [source] when these are volumes; channels come last"
        what = f"images have shape {images.shape}, expected (n, h, w) or (n, h, w, c)"
        raise DataError(what, where=path, fix=None if self.volume else fix)

    def _groups(
        self, archive: zipfile.ZipFile, split: str, rows: int, path: Path, remarks: Counter[str]
    ) -> np.ndarray | None:
        if self.groups is None:
            return None
        keys = {info.filename.removesuffix(".npy") for info in archive.infolist()}
        with Member(archive, _present(_named([self.groups], split), keys, path), path) as member:
            names = [group_name(value, path) for value in member.read(member.rows).reshape(-1).tolist()]
        if len(names) != rows:
            raise DataError(f"{member.key} has {len(names):,} rows, the images {rows:,}", where=path)
        if lone := names.count(None):
            remarks[SOME_PATIENTS] += lone
        return np.array([name or f"{split}/{i}" for i, name in enumerate(names)])


class Member:
    """One array of an npz, read in blocks of rows; never unpickles."""

    def __init__(self, archive: zipfile.ZipFile, key: str, path: Path) -> None:
        self.path, self.key = path, key
        try:
            self.file = archive.open(f"{key}.npy")
            version = np.lib.format.read_magic(self.file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, self.dtype = read(self.file)
        except KeyError:
            _present([key], {info.filename.removesuffix(".npy") for info in archive.infolist()}, path)
            raise
        except UNREADABLE as error:
            raise DataError(f"{key} cannot be read: {str(error)[:200]}", where=path) from None
        if self.dtype.hasobject:
            raise DataError(f"{key} holds Python objects", where=path, fix="save plain numbers")
        if fortran or not shape:
            raise DataError(f"{key} is not stored row by row", where=path, fix="save np.ascontiguousarray(...)")
        self.rows, self.tail = shape[0], shape[1:]
        self.row_bytes = self.dtype.itemsize * int(np.prod(self.tail))

    def __enter__(self) -> Member:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self, rows: int) -> np.ndarray:
        """The next `rows` rows, fewer at the end. Raises DataError when the archive is damaged."""
        wanted = rows * self.row_bytes
        try:
            data = self.file.read(wanted)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self.key} is damaged: {str(error)[:200]}", where=self.path) from None
        if self.row_bytes and len(data) % self.row_bytes:
            raise DataError(f"{self.key} ends in the middle of a row", where=self.path, fix="fetch the file again")
        return np.frombuffer(data, self.dtype).reshape(-1, *self.tail)


def opened(path: Path) -> zipfile.ZipFile:
    """The archive. Raises DataError when it is none, or holds two arrays of one name."""
    try:
        npz_names(path)
    except UserError as error:
        raise DataError(error.what, where=path, fix="write or fetch it again") from None
    return zipfile.ZipFile(path)


def _named(keys: Iterable[str], split: str) -> list[str]:
    """Keys of a split, under each of its names."""
    return [key.replace("{split}", name) for name, meant in SPLIT_NAMES.items() if meant == split for key in keys]


def _present(options: list[str], keys: set[str], path: Path) -> str:
    for key in options:
        if key in keys:
            return key
    found = ", ".join(sorted(keys)[:20]) or "nothing"
    raise DataError(
        f"holds {found}; expected {' or '.join(options[:2])}",
        where=path,
        fix='name the keys in [source], e.g. images = "{split}_x", labels = "{split}_y", groups = "{split}_patient"',
    )


SOURCE = NpzSource
