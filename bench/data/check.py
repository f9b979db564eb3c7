"""`medssl data check`: what is wrong with a task's data, and what was done to its images. Nothing is changed."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.data.dataset import TaskData
from bench.data.findings import EXAMPLES, DataFinding, class_counts
from bench.data.listed import ListedSource
from bench.data.load import load_task, read_source
from bench.data.reading import ImageReader
from bench.data.shares import ListedImage
from bench.data.task import Task
from bench.errors import DataError, UserError


@dataclass(frozen=True)
class DataReport:
    """All findings about one task, with the number of images of each split and class."""

    task: str
    findings: list[DataFinding]
    images: dict[str, int]
    classes: dict[str, dict[str, int]]
    """Split -> class -> images (for masks: images in which it occurs)."""

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.severity == "problem" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        return {**asdict(self), "ok": self.ok}


def check_task(task: Task, *, folder: Path | None = None, accept_checksum: bool = False) -> DataReport:
    """Look at every file and image of a task; bad data become findings, never errors."""
    findings: list[DataFinding] = []
    try:
        source, start = read_source(task), Path(folder or ".")
        if isinstance(source, ListedSource):
            findings += check_files(source, task, start)
        if findings:
            return DataReport(task.name, findings, {}, {})
        data = load_task(task, folder=folder, accept_checksum=accept_checksum)
    except UserError as error:
        return DataReport(task.name, [*findings, DataFinding("problem", "unusable", str(error))], {}, {})
    counts = {name: class_counts(task, split.labels) for name, split in data.splits.items()}
    findings = [*_overridden(data), *data.findings]
    return DataReport(task.name, findings, {name: len(split) for name, split in data.splits.items()}, counts)


def check_files(source: ListedSource, task: Task, folder: Path) -> list[DataFinding]:
    """Missing and unreadable files, and masks that do not fit, of a source that lists files."""
    rows = [row for part in source.listed(task, folder, Counter()).values() for row in part]
    pictures = source.pictures(task)
    how = source.volume, source.intensities is not None
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda row: _problem_of(row, pictures, *how), rows))
    kinds: dict[str, list[str]] = {}
    for kind, message in filter(None, results):
        kinds.setdefault(kind, []).append(message)
    what = {"missing": "files are missing", "unreadable": "images cannot be read", "mask": "masks cannot be read"}
    return [
        DataFinding("problem", kind, f"{len(messages):,} of {len(rows):,} {what[kind]}", messages[:EXAMPLES])
        for kind, messages in sorted(kinds.items())
    ]


def _problem_of(row: ListedImage, pictures: ImageReader, volume: bool, units: bool) -> tuple[str, str] | None:
    """Kind and message of the first thing wrong with one image, or None."""
    for path in (row.image, *row.mask_files):
        if not path.exists():
            return "missing", str(path)
    try:
        if volume:
            pictures.volume(row.image, None, None, Counter())
        else:
            pictures.image(row.image, None, Counter(), row.number)
        if units:
            pictures.intensities(row.image, 1 if volume else None, row.number)
    except DataError as error:
        return "unreadable", str(error)
    try:
        if row.masks and volume:
            pictures.volume_pair(row.image, row.masks, None, None, Counter())
        elif row.masks:
            pictures.pair(row.image, row.masks, None, Counter(), row.number)
    except DataError as error:
        return "mask", str(error)
    return None


def _overridden(data: TaskData) -> Sequence[DataFinding]:
    if not data.checksum_override:
        return ()
    return [DataFinding("note", "checksum", "the file's checksum is not the card's, and was accepted by a flag")]
