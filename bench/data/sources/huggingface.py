"""Hugging Face datasets: a hub id with a pinned revision, local parquet files, or a local imagefolder.

Rows are streamed into the store; the library's own download cache is used for the hub.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import StringConstraints, model_validator

from bench.data.dataset import SourceDigest, Split
from bench.data.foreign import files_below
from bench.data.held import digest_files
from bench.data.images import SUFFIXES, Size
from bench.data.labels import read_all
from bench.data.reading import ImageReader, ReadSource
from bench.data.shares import Share, group_name, split_name
from bench.data.task import Task
from bench.errors import DataError
from bench.strict import Line
from bench.words import SPLITS

BLOCK_ROWS = 64
GROUP = "__patient__"
HubId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$", max_length=120)]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class HuggingFaceDataset(ReadSource):
    """`reader = "huggingface"`: `id` and `revision` (a full commit hash), or `path` and `format`."""

    name: ClassVar[str] = "huggingface"
    version: ClassVar[str] = "5"
    unread: ClassVar[frozenset[str]] = frozenset({"path"})

    reader: Literal["huggingface"]
    id: HubId | None = None
    revision: Revision | None = None
    config: Line | None = None
    path: Line | None = None
    """A folder: of parquet files, one a split, their names starting with the split; or an imagefolder."""
    format: Literal["parquet", "imagefolder"] = "parquet"
    image: Line = "image"
    label: Line = "label"
    mask_column: Line = "mask"
    patient: Line | None = None
    """Column with the patient."""
    splits: dict[str, Line] | None = None
    """Our split -> theirs, when the names do not tell: { val = "dev_set" }."""
    size: Size | None = None
    channels: Literal[1, 3] | None = None
    val: Share | None = None
    """Share of the training rows (whole patients) set aside when there is no validation split."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.id is None) == (self.path is None):
            raise ValueError("give either 'id' (on the hub) or 'path' (local)")
        if self.id is not None and self.revision is None:
            raise ValueError("a hub id needs 'revision', the full commit hash, so that everybody gets the same images")
        return self

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> SourceDigest:
        """Hub id and revision, or a hash of all local files."""
        if self.id is not None:
            return SourceDigest(f"hub:{self.id}@{self.revision}:{self.config}")
        return SourceDigest(f"files:{digest_files(self._files(folder))}")

    def stream(self, task: Task, folder: Path, remarks: Counter[str]) -> Mapping[str, Iterable[Split]]:
        """Blocks of 64 rows of each split. Raises DataError."""
        theirs = self._open(folder, task)
        found = self._named(theirs, task)
        if "val" not in found and self.val is None:
            fix = 'add val = 0.15 to [source] to set some aside, or splits = { val = "..." }'
            raise DataError(f"has no validation split (it has {', '.join(theirs)})", where=task.name, fix=fix)
        labels = {}
        if task.kind == "global":
            labels = {name: self._labels(theirs[key], name, task, remarks) for name, key in found.items()}
        parts = {name: name for name in found} | ({} if "val" in found else {"val": "train"})
        kept = {
            ours: self._blocks(theirs[found[name]], name, ours, task, labels.get(name), remarks)
            for ours, name in parts.items()
        }
        return {name: kept[name] for name in SPLITS if name in kept}

    def _open(self, folder: Path, task: Task) -> Mapping[str, Any]:
        # Imported here: the library takes seconds to import, and most tasks do without it.
        from datasets import Image, IterableDatasetDict, load_dataset

        try:
            if self.path is None:
                found = load_dataset(self.id, self.config, revision=self.revision, streaming=True)
            elif self.format == "imagefolder":
                found = load_dataset("imagefolder", data_dir=str(folder / self.path), streaming=True)
            else:
                files: dict[str, list[str]] = {}
                for file in self._files(folder):
                    files.setdefault(file.stem.split("-0")[0], []).append(str(file))
                found = load_dataset("parquet", data_files=files, streaming=True)
        except DataError:
            raise
        except Exception as error:  # The library raises many kinds of errors, its own and those of its parts.
            fix = "check the network and the id; HF_HUB_OFFLINE=1 reads the library's own cache" if self.id else None
            raise DataError(f"cannot be opened: {str(error)[:300]}", where=self.id or self.path, fix=fix) from None
        column = self.mask_column if task.kind == "dense" else self.label
        first = next(iter(found.values()))
        self._check_columns(list(first.features or {}), column)
        images = [self.image, *([column] if task.kind == "dense" else [])]
        for name in images:
            found = IterableDatasetDict({k: d.cast_column(name, Image(decode=False)) for k, d in found.items()})
        return found

    def _check_columns(self, columns: list[str], target: str) -> None:
        target_option = "mask_column" if target == self.mask_column else "label"
        for name, option in ((self.image, "image"), (target, target_option), (self.patient, "patient")):
            if name is not None and columns and name not in columns:
                fix = f'it has {", ".join(columns)}; name the right one as {option} = "..."'
                raise DataError(f"has no column {name!r}", where=self.id or self.path, fix=fix)

    def _files(self, folder: Path) -> list[Path]:
        root = folder / Path(self.path or ".").expanduser()
        wanted = {".parquet"} if self.format == "parquet" else SUFFIXES | {".csv", ".jsonl"}
        files = [p for p in files_below(root) if p.suffix.lower() in wanted]
        if not files:
            raise DataError(f"no {self.format} files below {root}", fix="correct 'path' in [source]")
        return files

    def _named(self, theirs: Mapping[str, Any], task: Task) -> dict[str, str]:
        """Our split -> theirs."""
        if self.splits is not None:
            for ours, key in self.splits.items():
                split_name(ours, f"task {task.name!r}")
                if key not in theirs:
                    raise DataError(f"has no split {key!r}", where=task.name, fix=f"it has {', '.join(theirs)}")
            return dict(self.splits)
        return {split_name(key, f"task {task.name!r}"): key for key in theirs}

    def _blocks(
        self, rows: Any, theirs: str, ours: str, task: Task, labels: Sequence[Any] | None, remarks: Counter[str]
    ) -> Iterator[Split]:
        """Blocks of the rows of a split that have a label and fall to `ours`, where train is shared with val.

        labels: of all rows, None where the card leaves one out; for masks None.
        """
        shared = theirs == "train" and self.val is not None
        pictures, channels = self.pictures(task, self.size), self.channels
        part: list[tuple[str, dict[str, Any], np.ndarray | None]] = []
        for i, row in enumerate(rows):
            name, label = f"{theirs}/{i}", None if labels is None else labels[i]
            unit = (group_name(row[self.patient], name) if self.patient else None) or name
            if (shared and _is_held_out(unit, self.val) != (ours == "val")) or (labels is not None and label is None):
                continue
            part.append((name, row | {GROUP: unit}, label))
            if len(part) == BLOCK_ROWS:
                block = self._block(part, pictures, channels, remarks)
                channels, part = block.images.shape[-1], []
                yield block
        if part:
            yield self._block(part, pictures, channels, remarks)

    def _labels(self, rows: Any, theirs: str, task: Task, remarks: Counter[str]) -> list[np.ndarray | None]:
        """The label of every row of a split, None for those the card leaves out; read before the images."""
        names = _class_names(rows.features, self.label)
        values = (_spelled(row[self.label], names) for row in rows.select_columns([self.label]))
        where = f"{task.name}, {theirs}"
        return read_all(values, self.reading(task).one, remarks, where=lambda i: f"{where}/{i}")

    def _block(
        self,
        part: list[tuple[str, dict[str, Any], np.ndarray | None]],
        pictures: ImageReader,
        channels: int | None,
        remarks: Counter[str],
    ) -> Split:
        images, labels = [], []
        for name, row, label in part:
            image = _content(row[self.image], name)
            with _of_row(name):
                if label is None:
                    mask = _content(row[self.mask_column], name)
                    pixels, label = pictures.pair(image, [mask], channels, remarks)
                else:
                    pixels = pictures.image(image, channels, remarks)
            channels = channels or pixels.shape[-1]
            images.append(pixels)
            labels.append(label)
        if len({image.shape for image in images}) > 1:
            fix = "add size = 224 to [source], say, to pad and resize them all"
            raise DataError("the images have different sizes", where=part[0][0], fix=fix)
        groups = np.array([row[GROUP] for _, row, _ in part]) if self.patient else None
        return Split(np.stack(images), np.stack(labels), np.array([name for name, _, _ in part]), groups)


def _class_names(features: Any, column: str) -> list[str] | None:
    """Names of the class labels of a column, also of a list of them; None where it has none."""
    kind = features.get(column) if features else None
    kind = kind[0] if isinstance(kind, list) else getattr(kind, "feature", kind)
    return getattr(kind, "names", None)


def _spelled(value: Any, names: list[str] | None) -> Any:
    """A class label by its name, so that another order of classes does no harm; -1 is none."""
    if names is None:
        return value
    if isinstance(value, list | np.ndarray):
        return [_spelled(v, names) for v in value]
    return None if value is None or value < 0 else names[value]


@contextmanager
def _of_row(name: str) -> Iterator[None]:
    """An error about an image without a file says which row it is of."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what, where=f"{name}: {error.where}", fix=error.fix) from None


def _content(cell: Any, name: str) -> bytes | Path:
    if isinstance(cell, dict) and cell.get("bytes"):
        return cell["bytes"]
    if isinstance(cell, dict) and cell.get("path"):
        return Path(cell["path"])
    raise DataError("has no image", where=name)


def _is_held_out(unit: str, share: float | None) -> bool:
    number = int.from_bytes(hashlib.sha256(f"val|{unit}".encode()).digest()[:8], "big")
    return number / 2**64 < (share or 0.0)


SOURCE = HuggingFaceDataset
