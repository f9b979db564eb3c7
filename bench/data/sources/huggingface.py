"""Hugging Face datasets: a hub id with a pinned revision, local parquet files, or a local imagefolder.

Rows are streamed into the store; the library's own download cache is used for the hub.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import StringConstraints, model_validator

from bench.data.blocks import joined
from bench.data.dataset import Identity, Split, TaskSource
from bench.data.held import digest_files
from bench.data.images import SUFFIXES, Size, fit, fit_mask, read_image, read_mask
from bench.data.labels import MaskRule, class_flags, to_mask
from bench.data.listed import Share, label_of, split_name
from bench.data.pixels import Window
from bench.data.task import Task
from bench.encoders.card import Line
from bench.errors import DataError

BLOCK_ROWS = 64
HubId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$", max_length=120)]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class HuggingFaceSource(TaskSource):
    """`reader = "huggingface"`: `id` and `revision` (a full commit hash), or `path` and `format`."""

    name: ClassVar[str] = "huggingface"
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
    window: Window | None = None
    mask: MaskRule = "index"
    val: Share | None = None
    """Share of the training rows (whole patients) set aside when there is no validation split."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.id is None) == (self.path is None):
            raise ValueError("give either 'id' (on the hub) or 'path' (local)")
        if self.id is not None and self.revision is None:
            raise ValueError("a hub id needs 'revision', the full commit hash, so that everybody gets the same images")
        return self

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> Identity:
        """Hub id and revision, or a hash of all local files."""
        if self.id is not None:
            return Identity(f"hub:{self.id}@{self.revision}:{self.config}")
        return Identity(f"files:{digest_files(self._files(folder))}")

    def load(self, task: Task, folder: Path) -> dict[str, Split]:
        """All splits in memory. Raises DataError."""
        return {name: joined(blocks) for name, blocks in self.stream(task, folder, Counter()).items()}

    def stream(self, task: Task, folder: Path, remarks: Counter[str]) -> Mapping[str, Iterable[Split]]:
        """Blocks of 64 rows of each split. Raises DataError."""
        theirs = self._open(folder, task)
        found = self._named(theirs, task)
        if "val" not in found and self.val is None:
            fix = 'add val = 0.15 to [source] to set some aside, or splits = { val = "..." }'
            raise DataError(f"has no validation split (it has {', '.join(theirs)})", where=task.name, fix=fix)
        kept = {name: self._blocks(theirs[key], name, name, task, remarks) for name, key in found.items()}
        if "val" not in found:
            kept["val"] = self._blocks(theirs[found["train"]], "train", "val", task, remarks)
        return {name: kept[name] for name in ("train", "val", "test", "test-shift") if name in kept}

    def _open(self, folder: Path, task: Task) -> Mapping[str, Any]:
        # Imported here: the library takes seconds to import, and most tasks do without it.
        from datasets import Image, IterableDatasetDict, load_dataset

        try:
            if self.id is not None:
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
        files = sorted(p for p in root.rglob("*") if p.suffix.lower() in wanted and p.is_file())
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

    def _blocks(self, rows: Any, theirs: str, ours: str, task: Task, remarks: Counter[str]) -> Iterator[Split]:
        shared = theirs == "train" and self.val is not None
        classes = getattr(rows.features.get(self.label), "names", None) if rows.features else None
        part: list[tuple[str, dict[str, Any]]] = []
        first: tuple[int, ...] | None = None
        for i, row in enumerate(rows):
            name = f"{theirs}/{i}"
            if shared and _is_held_out(str(row[self.patient]) if self.patient else name, self.val) != (ours == "val"):
                continue
            part.append((name, row))
            if len(part) == BLOCK_ROWS:
                first = yield from self._block(part, classes, task, remarks, first)
                part = []
        if part:
            yield from self._block(part, classes, task, remarks, first)

    def _block(
        self,
        part: list[tuple[str, dict[str, Any]]],
        classes: list[str] | None,
        task: Task,
        remarks: Counter[str],
        first: tuple[int, ...] | None,
    ) -> Iterator[Split]:
        images, labels = [], []
        for name, row in part:
            image, label = self._read(row, classes, task, remarks, name, first)
            first = first or image.shape
            images.append(image)
            labels.append(label)
        groups = np.array([str(row[self.patient]) for _, row in part]) if self.patient else None
        yield Split(np.stack(images), np.stack(labels), np.array([name for name, _ in part]), groups)
        return first

    def _read(
        self,
        row: dict[str, Any],
        classes: list[str] | None,
        task: Task,
        remarks: Counter[str],
        name: str,
        first: tuple[int, ...] | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        image = read_image(_content(row[self.image], name), self.window, remarks)
        shape = image.shape[:2]
        image = fit(image, self.size, self.channels or (first or image.shape)[-1])
        if first is not None and image.shape != first:
            fix = "give size and channels in [source], e.g. size = 224, channels = 3"
            raise DataError(
                f"an image of shape {image.shape} after one of {first}", where=f"{task.name}, {name}", fix=fix
            )
        if task.kind == "global":
            return image, _label(row[self.label], classes, task, name)
        values = read_mask(_content(row[self.mask_column], name))
        if values.shape != shape:
            raise DataError(f"mask {values.shape}, image {shape}", where=f"{task.name}, {name}")
        return image, fit_mask(to_mask(values[None], len(task.classes), self.mask, where=name)[0], self.size)


def _content(cell: Any, name: str) -> bytes | Path:
    if isinstance(cell, dict) and cell.get("bytes"):
        return cell["bytes"]
    if isinstance(cell, dict) and cell.get("path"):
        return Path(cell["path"])
    raise DataError("has no image", where=name)


def _label(value: Any, classes: list[str] | None, task: Task, name: str) -> np.ndarray:
    if isinstance(value, (list, np.ndarray)):
        texts = [classes[v] if classes else str(v) for v in value]
        return class_flags("|".join(texts), task.classes, where=name)
    # A ClassLabel is taken by its name, so that another order of classes does no harm.
    text = (
        classes[value] if classes and isinstance(value, int) else str(int(value) if isinstance(value, bool) else value)
    )
    return label_of(text, task, name)


def _is_held_out(unit: str, share: float | None) -> bool:
    number = int.from_bytes(hashlib.sha256(f"val|{unit}".encode()).digest()[:8], "big")
    return number / 2**64 < (share or 0.0)


SOURCE = HuggingFaceSource
