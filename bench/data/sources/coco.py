"""Images with a COCO file of outlines beside them: one file for all splits, or one for each."""

from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from bench.data.coco import read_coco
from bench.data.dataset import SourceDigest
from bench.data.held import digest_files
from bench.data.listed import ListedSource
from bench.data.shares import ListedImage, split_name
from bench.data.table import path_of
from bench.data.task import Task
from bench.errors import DataError
from bench.strict import Line


class CocoSource(ListedSource):
    """`reader = "coco"`, for masks. Names of images start at `root`, which starts at the folder of the file."""

    name: ClassVar[str] = "coco"
    version: ClassVar[str] = "4"
    unread: ClassVar[frozenset[str]] = ListedSource.unread | {"file", "files", "root"}

    reader: Literal["coco"]
    file: Line | None = None
    files: dict[str, Line] | None = None
    """Split -> its COCO file, in place of `file`."""
    root: Line = "."
    overlap: Literal["first", "last"] | None = None
    """Which annotation of a pixel counts when two classes claim it: the first or the last of the file."""

    @model_validator(mode="after")
    def _one_or_each(self) -> Self:
        if (self.file is None) == (self.files is None):
            raise ValueError("give either 'file' or 'files', one for each split")
        return self

    def rows(self, task: Task, folder: Path, remarks: Counter[str]) -> list[ListedImage]:
        """One row for each image of the files. Raises DataError."""
        if task.kind != "dense":
            raise DataError("COCO files hold masks, the target is another", where=f"task {task.name!r}")
        rows: list[ListedImage] = []
        for path, split in self._files(task, folder).items():
            root = path.parent / self.root
            for name, drawing in read_coco(path, task, self.overlap).items():
                name, image = path_of(name, root, path)
                rows.append(ListedImage(name, image, masks=(drawing,), split=split))
        return rows

    def identity(self, task: Task, folder: Path, *, accept_checksum: bool = False) -> SourceDigest:
        """Hash of the images and of the COCO files. Raises DataError when one is missing."""
        images = super().identity(task, folder).digest
        return SourceDigest(f"{images}:{digest_files(list(self._files(task, folder)))}")

    def _files(self, task: Task, folder: Path) -> dict[Path, str | None]:
        """COCO file -> the split it is of."""
        named = {"": self.file} if self.file else self.files or {}
        where = f"task {task.name!r}"
        found = {folder / Path(file).expanduser(): split_name(s, where) if s else None for s, file in named.items()}
        if missing := [path for path in found if not path.is_file()]:
            raise DataError(f"no such file: {missing[0]}", where=where, fix="correct 'file' in [source]")
        return found


SOURCE = CocoSource
