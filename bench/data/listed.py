"""Sources that list image files one by one: a CSV table, a folder. Children only make the list."""

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from bench.data import series
from bench.data.bags import bagged, bags_of, check_joined, largest, refuse_masks
from bench.data.blocks import joined
from bench.data.dataset import SourceDigest, Split
from bench.data.held import digest_files
from bench.data.images import Header, Size, is_clinical, read_header
from bench.data.masks import DrawnMask
from bench.data.reading import ImageReader, ReadSource
from bench.data.shares import SOME_PATIENTS, ListedImage, Share, with_shares
from bench.data.slices import grouped, sharing_patients, slices_of
from bench.data.task import Task
from bench.data.traits import same
from bench.data.windows import is_several
from bench.errors import DataError
from bench.strict import Line
from bench.words import Trait

BLOCK_ROWS = 64
SCOUTS = "images: scouts (DICOM localizers): are they meant?"
PATIENTS = 'files: their PatientID is that of another too; groups = "dicom" in [source] keeps patients together'
SHARED_MASKS = "images: their mask is that of another image too"


class ListedSource(ReadSource):
    """Options shared by sources of image files; a child writes `rows`."""

    size: Size | None = None
    """Side in pixels every image is brought to (padded to a square, resized); needed when sizes differ."""
    val: Share | None = None
    """Share set aside for validation (whole patients): of the training images where the source names its splits,
    of all images (0.15) where it does not."""
    test: Share | None = None
    """Share of all images set aside as test when the source has no splits at all (0.2)."""

    slices: Literal["middle", "all"] | None = None
    """Which slices of volumes, and frames of DICOM files, are the images: the middle one of each, or all."""
    volume: bool = False
    """Each image is a volume: a NIfTI file, a DICOM file of several frames, or a folder with a series."""
    aggregation: Literal["mean", "max"] | None = None
    """How the features of a volume's slices become one vector; volumes only."""
    depth: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Slices taken of each volume, evenly; needed where volumes have different numbers of them."""
    channel: Annotated[int, Field(ge=0, le=9999)] | None = None
    """Which channel or time point of volumes in 4-D, and of cases as nnU-Net names them, is the image; from 0."""
    intensities: Literal["hu"] | None = None
    """Keep the Hounsfield units of CT beside the 8 bits that `window` makes of them, for encoders that ask for them."""
    bags: bool = False
    """The images of a patient (or of a bag that the list names) are one case, with one label."""
    groups: Literal["dicom", "folder"] | None = None
    """Where patients come from that the list does not name: PatientID, as a hash; the folder an image lies in."""
    leave_out: dict[Trait, Line] | None = None
    """One site, or another subgroup, whose images are all "test-shift": { site = "Jena" }."""
    unread: ClassVar[frozenset[str]] = frozenset({"aggregation"})
    later: ClassVar[frozenset[str]] = frozenset(
        {"plane", "slices", "volume", "depth", "groups", "leave_out", "bags", "intensities", "channel"}
    )

    @model_validator(mode="after")
    def _whole_or_sliced(self) -> Self:
        if self.bags and self.intensities:
            raise ValueError("intensities are kept of images and volumes, not of bags")
        if self.bags and self.volume:
            raise ValueError("a bag holds flat images: leave out volume = true")
        check_joined(volume=self.volume, bags=self.bags, aggregation=self.aggregation)
        if self.volume and self.slices:
            raise ValueError("'slices' takes volumes apart, volume = true keeps them whole: leave one")
        if self.depth is not None and not self.volume:
            raise ValueError("'depth' is for volume = true")
        return self

    @property
    def trait_names(self) -> tuple[str, ...]:
        """What is known of each image beside its label: names of `bench.words.Trait`."""
        return ()

    @property
    def stacked(self) -> bool:
        """Whether the files of a folder may be one DICOM series together."""
        return self.volume or self.slices is not None

    @abstractmethod
    def rows(self, task: Task, folder: Path, remarks: Counter[str]) -> list[ListedImage]:
        """Every image, whether its file exists or not, in a fixed order, its label read. Raises DataError."""

    def listed(self, task: Task, folder: Path, remarks: Counter[str]) -> dict[str, list[ListedImage]]:
        """Split name -> its rows, after setting aside what the card asks for. Raises DataError."""
        rows = self.rows(task, folder, remarks)
        if not rows:
            raise DataError("lists no image", where=f"task {task.name!r}")
        _look_at_masks(rows, remarks)
        rows = self._sliced(grouped(rows, self.groups, task, remarks))
        if any(row.group for row in rows) and (lone := sum(row.group is None for row in rows)):
            remarks[SOME_PATIENTS] = lone
        apart = [row for row in rows if self._is_left_out(row)]
        found = with_shares([row for row in rows if not self._is_left_out(row)], task, self.val, self.test, remarks)
        if self.leave_out and not apart:
            trait, name = next(iter(self.leave_out.items()))
            raise DataError(f"has no image of the {trait} {name!r}, which leave_out names", where=f"task {task.name!r}")
        if apart and "test-shift" in found:
            raise DataError("names a test-shift split, and leave_out makes one", where=f"task {task.name!r}")
        return found | ({"test-shift": apart} if apart else {})

    def pictures(self, task: Task, size: int | None = None) -> ImageReader:
        """How image and mask files are read, of images in 4-D one channel."""
        return replace(super().pictures(task, size), channel=self.channel)

    def _is_left_out(self, row: ListedImage) -> bool:
        return any(same(row.traits.get(trait, "")) == same(name) for trait, name in (self.leave_out or {}).items())

    def _sliced(self, rows: list[ListedImage]) -> list[ListedImage]:
        """One row for each slice that is an image; those of a volume are of one patient."""
        if self.slices is None:
            return rows
        with ThreadPoolExecutor() as pool:
            counts = list(pool.map(self._frames, rows))
        return [part for row, n in zip(rows, counts, strict=True) for part in slices_of(row, n, self.slices)]

    def _frames(self, row: ListedImage) -> int:
        clinical = row.number is None and row.image.exists() and is_clinical(row.image)
        return read_header(row.image, self.plane, self.channel).frames if clinical else 1

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> SourceDigest:
        """Hash of the list and of every file in it. Raises DataError when files are missing."""
        splits = self.listed(task, folder, Counter())
        rows = [row for rows in splits.values() for row in rows]
        # In the order of the rows: which mask belongs to which image counts.
        named = [file for row in rows for file in (row.image, *row.mask_files)]
        _refuse_missing(named, task)
        parts = {path: series.files_of(path) if path.is_dir() else [path] for path in dict.fromkeys(named)}
        files = [file for path in named for file in parts[path]]
        places = [[name, *_place(row)] for name, rs in splits.items() for row in rs]
        if self.bags:
            places = [*places, ["bags", [row.bag for row in rows]]]
        if self.volume:  # their prepared copies hold the spacing too
            places = [*places, ["spacing"]]
        listing = hashlib.sha256(json.dumps(places).encode()).hexdigest()
        return SourceDigest(f"{listing}:{digest_files(files)}")

    def stream(self, task: Task, folder: Path, remarks: Counter[str]) -> Mapping[str, Iterable[Split]]:
        """Blocks of 64 images of each split. Raises DataError."""
        splits = self.listed(task, folder, remarks)
        listed = [row for rows in splits.values() for row in rows]
        headers = self._headers(listed, task)
        if self.groups is None and (shared := sharing_patients(listed, task.corpus)):
            remarks[PATIENTS] = shared
        if scouts := sum(header.scout for header in headers):
            remarks[SCOUTS] = scouts
        channels = 3 if is_several(self.window) or any(h.colour for h in headers) else 1
        depth = self._depth(headers, task) if self.volume else None
        pictures = self.pictures(task, self.size)
        if self.intensities:
            self.refuse_units(task, "intensities are")
        reader = _BlockReader(pictures, channels, depth, self.trait_names, self.intensities is not None)
        if not self.bags:
            return {name: reader.blocks(rows, remarks) for name, rows in splits.items()}
        where = f"task {task.name!r}"
        if task.kind == "dense":
            refuse_masks(where)
        bags = {name: bags_of(rows, where) for name, rows in splits.items()}
        room = largest((bag for found in bags.values() for bag in found), where)
        return {name: reader.bags(found, room, remarks) for name, found in bags.items()}

    def _headers(self, rows: Sequence[ListedImage], task: Task) -> list[Header]:
        """Of every file; refuses images of different sizes when the card names none."""
        with ThreadPoolExecutor() as pool:
            files = dict.fromkeys(row.image for row in rows)
            headers = list(pool.map(lambda file: read_header(file, self.plane, self.channel), files))
        sizes = Counter((h.width, h.height) for h in headers)
        if self.size is None and len(sizes) > 1:
            common = ", ".join(f"{w} x {h}" for (w, h), _ in sizes.most_common(3))
            raise DataError(
                f"the images have {len(sizes)} different sizes ({common}{', ...' if len(sizes) > 3 else ''})",
                where=f"task {task.name!r}",
                fix="add size = 224 to [source], say, to pad and resize them all",
            )
        return headers

    def _depth(self, headers: Sequence[Header], task: Task) -> int:
        """Slices of every volume; refuses different numbers of them when the card names none."""
        found = {h.frames for h in headers}
        if self.depth is None and len(found) > 1:
            what = f"the volumes have {min(found)} to {max(found)} slices"
            raise DataError(
                what, where=f"task {task.name!r}", fix="add depth = 32 to [source], say, to take them evenly"
            )
        return self.depth or found.pop()


@dataclass(frozen=True)
class _BlockReader:
    """Rows to blocks of a split. depth: slices of a volume, None for flat images. units: whether Hounsfield units are
    kept."""

    pictures: ImageReader
    channels: int
    depth: int | None
    traits: tuple[str, ...]
    units: bool = False

    def bags(self, bags: list[list[ListedImage]], room: int, remarks: Counter[str]) -> Iterator[Split]:
        """Blocks of one bag."""
        for bag in bags:
            yield bagged(joined(self.blocks(bag, remarks)), room, bag[0].bag or bag[0].unit)

    def blocks(self, rows: list[ListedImage], remarks: Counter[str]) -> Iterator[Split]:
        """Blocks of 64 images."""
        grouped = any(row.group for row in rows)
        step = max(1, BLOCK_ROWS // (self.depth or 1))
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                pairs = list(pool.map(self._read, part))
                for _, _, done in pairs:
                    remarks.update(done)
                yield Split(
                    np.stack([image for image, _, _ in pairs]),
                    np.stack([label for _, label, _ in pairs]),
                    np.array([row.id for row in part]),
                    np.array([row.unit for row in part]) if grouped else None,
                    {name: np.array([row.traits.get(name, "") for row in part]) for name in self.traits},
                    None if self.depth is None else self._spacings(part, self.depth),
                    intensities=np.stack(list(pool.map(self._intensities, part))) if self.units else None,
                )

    def _spacings(self, rows: list[ListedImage], depth: int) -> np.ndarray:
        """mm of the volumes as they are handed on; NaN where a file does not say."""
        return np.array([self.pictures.spacing(row.image, depth) for row in rows])

    def _intensities(self, row: ListedImage) -> np.ndarray:
        return self.pictures.intensities(row.image, self.depth, row.number)

    def _read(self, row: ListedImage) -> tuple[np.ndarray, np.ndarray, Counter[str]]:
        done: Counter[str] = Counter()
        if row.label is None and self.depth is not None:
            return *self.pictures.volume_pair(row.image, row.masks, self.channels, self.depth, done), done
        if row.label is None:
            return *self.pictures.pair(row.image, row.masks, self.channels, done, row.number), done
        if self.depth is not None:
            return self.pictures.volume(row.image, self.channels, self.depth, done), row.label, done
        return self.pictures.image(row.image, self.channels, done, row.number), row.label, done


def _look_at_masks(rows: Sequence[ListedImage], remarks: Counter[str]) -> None:
    """Count the images that share a mask file. Raises DataError for an image that is its own mask."""
    if own := next((row for row in rows if row.image in row.mask_files), None):
        raise DataError("is named as its own mask", where=own.image, fix="name the file of its mask")
    times = Counter((mask, row.number) for row in rows for mask in row.mask_files)
    if shared := sum(any(times[mask, row.number] > 1 for mask in row.mask_files) for row in rows):
        remarks[SHARED_MASKS] = shared


def _place(row: ListedImage) -> list[Any]:
    """What a row says, beside the files: what older lists did not have stands only where it is said."""
    label = None if row.label is None else row.label.tolist()
    newer = [row.number, [str(mask) for mask in row.masks if isinstance(mask, DrawnMask)], dict(row.traits)]
    return [row.id, label, len(row.masks), row.group, *([newer] if any(newer) or row.number == 0 else [])]


def _refuse_missing(files: Sequence[Path], task: Task) -> None:
    if missing := [file for file in files if not (file.is_file() or file.is_dir())]:
        what = f"{len(missing):,} of {len(files):,} files are missing, the first is {missing[0]}"
        raise DataError(what, where=f"task {task.name!r}", fix="'medssl data check' lists them")
