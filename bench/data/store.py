"""The prepared store: each task's arrays written once, addressed by content, opened as memory maps.

    <home>/store/<key>/entry.json             what is here: names, sizes, hashes, findings
    <home>/store/<key>/<split>.<array>.npy    images, labels, ids, groups, strata.<name>

An entry is written in a hidden folder beside it, flushed to disk, and renamed into place, under a file lock: a
reader sees the whole entry or none, two processes do the work once, and a killed process leaves only a hidden
folder, which the next one removes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from bench.data.conform import Conformity
from bench.data.dataset import Split, TaskSource, arrays_of, digests_of
from bench.data.findings import DataFinding, findings_of
from bench.data.intact import damage
from bench.data.task import Task
from bench.errors import RunError
from bench.files import UNREADABLE, canonical_json, sha256_arrays, sha256_text
from bench.locate import home

FORMAT = 2
Streams = Callable[[Counter[str]], Mapping[str, Iterable[Split]]]
Seen = Callable[[int], None]


@dataclass(frozen=True)
class StoreEntry:
    """An open entry of the store; images and masks are read-only memory maps."""

    folder: Path
    splits: dict[str, Split]
    sha256: str
    findings: tuple[DataFinding, ...]
    digests: Mapping[str, str]
    """Hash of each array; none in a copy that an earlier version prepared."""


def key_of(task: Task, source: TaskSource, identity: str) -> str:
    """Name of the prepared copy: a hash of the input's identity and of all that decides how it is read."""
    later = {key for key in source.later if getattr(source, key) == type(source).model_fields[key].default}
    table = source.model_dump(mode="json", exclude=set(source.unread | later))
    reading = {"table": table, "version": source.version, "target": task.target, "classes": task.classes}
    return sha256_text(canonical_json({"format": FORMAT, "identity": identity, **reading}))


def open_entry(key: str) -> StoreEntry | None:
    """The entry called `key`, or None when it is absent or damaged, which is then said (bench.data.intact)."""
    folder = home() / "store" / key
    try:
        about = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        seal = about.pop("seal", None)  # earlier versions wrote none
        sealed = seal in (None, sha256_text(canonical_json(about)))
        if any((folder / name).stat().st_size != size for name, size in about["files"].items()):
            return None
        splits = {name: _open_split(folder, name, about["files"]) for name in about["splits"]}
        findings = tuple(DataFinding(**found) for found in about["findings"])
        entry = StoreEntry(folder, splits, about["sha256"], findings, about.get("digests", {}))
        found = damage(folder, about["files"], lambda: is_intact(entry)) if sealed else "entry.json was changed"
    except (*UNREADABLE, AttributeError):
        return None
    if found:
        warnings.warn(f"{folder}: the prepared copy is damaged ({found}); it is made anew", stacklevel=2)
    return None if found else entry


def is_there(key: str) -> bool:
    """Whether an entry called `key` is there; not whether it is whole."""
    return (home() / "store" / key / "entry.json").is_file()


def is_intact(entry: StoreEntry) -> bool:
    """Whether every byte of the entry still has the hash it was written with (reads all of it)."""
    return sha256_arrays(arrays_of(entry.splits)) == entry.sha256


def prepare(key: str, task: Task, streams: Streams, seen: Seen = lambda images: None) -> StoreEntry:
    """Write the entry called `key` from `streams`, unless another process has done so meanwhile.

    seen: called after each block of images with how many are written; what it raises ends the writing without a trace.

    Raises DataError when the data are not what the card says, RunError when the disk is full or unwritable.
    """
    root = home() / "store"
    with _errors_for_people(root), lock(root, key):
        if (entry := open_entry(key)) is not None:
            return entry
        for leftover in [root / key, *root.glob(f".{key}.*/")]:
            shutil.rmtree(leftover, ignore_errors=True)
        hidden = Path(tempfile.mkdtemp(dir=root, prefix=f".{key}."))
        try:
            _write(hidden, task, streams, seen)
            hidden.chmod(0o755)
            os.replace(hidden, root / key)
            _flush_folder(root)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    entry = open_entry(key)
    if entry is None:
        raise RunError("was damaged while it was written", where=root / key, fix="check the disk, then run again")
    return entry


def remove(key: str) -> int:
    """Remove the entry called `key`; returns the bytes freed."""
    root = home() / "store"
    with lock(root, key):
        return _removed([root / key, *root.glob(f".{key}.*/")])


def sweep() -> int:
    """Remove what killed processes have left; entries that are being written stay. Returns the bytes freed."""
    root, freed = home() / "store", 0
    for folder in root.glob(".*.*/"):
        key = folder.name.split(".")[1]
        try:
            with FileLock(root / f".{key}.lock", timeout=0):
                freed += _removed([folder])
        except Timeout:
            continue
    return freed


def _removed(folders: Iterable[Path]) -> int:
    freed = 0
    for folder in folders:
        freed += sum(path.stat().st_size for path in folder.glob("*"))
        if not folder.name.startswith(".") and folder.is_dir():
            # Hidden first, so that a reader never sees an entry half removed.
            hidden = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            os.replace(folder, hidden)
            folder = hidden
        shutil.rmtree(folder, ignore_errors=True)
    return freed


@contextmanager
def lock(folder: Path, name: str) -> Iterator[None]:
    """Hold `name` against other processes; the system frees the lock when its holder dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name}.lock"):
        yield


def _write(folder: Path, task: Task, streams: Streams, seen: Seen) -> None:
    conformity, remarks, images = Conformity(task), Counter[str](), 0
    for name, blocks in streams(remarks).items():
        with _SplitWriter(folder, name) as writer:
            for block in blocks:
                conformity.check(name, block)
                writer.append(block)
                seen(images := images + len(block))
    conformity.finish()
    names = sorted(p.name for p in folder.iterdir())
    splits = {name: _open_split(folder, name, names) for name in conformity.splits}
    done = [DataFinding("note", "conversion", f"{count:,} {remark}") for remark, count in sorted(remarks.items())]
    about: dict[str, Any] = {
        "format": FORMAT,
        "task": task.name,
        "splits": list(splits),
        "findings": [asdict(finding) for finding in (*done, *findings_of(task, splits))],
        "sha256": sha256_arrays(arrays_of(splits)),
        "digests": digests_of(arrays_of(splits)),
        "files": {n: (folder / n).stat().st_size for n in names},
    }
    with open(folder / "entry.json", "w", encoding="utf-8") as file:
        json.dump(about | {"seal": sha256_text(canonical_json(about))}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    _flush_folder(folder)


class _SplitWriter:
    """Appends blocks of one split: images and labels go to disk, the small columns wait in memory."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.files: dict[str, _ArrayFile] = {}
        self.small: dict[str, list[np.ndarray]] = {}

    def __enter__(self) -> _SplitWriter:
        return self

    def append(self, block: Split) -> None:
        for column, array in arrays_of({self.name: block}).items():
            if column.removeprefix(f"{self.name}.") in ("images", "labels", "intensities"):
                if column not in self.files:
                    self.files[column] = _ArrayFile(self.folder / f"{column}.npy")
                self.files[column].append(array)
            else:
                self.small.setdefault(column, []).append(np.asarray(array))

    def __exit__(self, kind: object, *_: object) -> None:
        for column, parts in self.small.items() if kind is None else ():
            file = self.files[column] = _ArrayFile(self.folder / f"{column}.npy")
            file.append(np.concatenate(parts))
        for file in self.files.values():
            file.close()


class _ArrayFile:
    """An .npy file that grows by blocks of rows; its header, of fixed length, is written again at the end."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "wb")  # noqa: SIM115 - closed by `close`
        self.rows, self.tail, self.dtype = 0, (), np.dtype("u1")

    def append(self, array: np.ndarray) -> None:
        if self.rows == 0:
            self.tail, self.dtype = array.shape[1:], array.dtype
            self._header()
        self.rows += len(array)
        self.file.write(np.ascontiguousarray(array).data)

    def close(self) -> None:
        self.file.seek(0)
        self._header()
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def _header(self) -> None:
        # numpy leaves room in the header for the first axis to grow, so its length stays the same.
        head = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows, *self.tail)}
        np.lib.format.write_array_header_1_0(self.file, head)


def _open_split(folder: Path, split: str, files: Iterable[str]) -> Split:
    def column(name: str, mapped: bool = False) -> np.ndarray:
        return np.load(folder / f"{split}.{name}.npy", mmap_mode="r" if mapped else None, allow_pickle=False)

    prefix = f"{split}.strata."
    strata = {f.removeprefix(prefix).removesuffix(".npy"): f for f in files if f.startswith(prefix)}
    labels = column("labels", mapped=True)
    return Split(
        images=column("images", mapped=True),
        labels=labels if labels.ndim > 2 else np.array(labels),
        ids=column("ids"),
        groups=column("groups") if f"{split}.groups.npy" in files else None,
        strata={name: column(f"strata.{name}") for name in strata},
        spacing=column("spacing") if f"{split}.spacing.npy" in files else None,
        sizes=column("sizes") if f"{split}.sizes.npy" in files else None,
        intensities=column("intensities", mapped=True) if f"{split}.intensities.npy" in files else None,
    )


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _errors_for_people(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fix = "free some space and run the same command again" if error.errno == 28 else "set MEDSSL_HOME elsewhere"
        raise RunError(f"the prepared copy cannot be written: {error.strerror}", where=root, fix=fix) from error
