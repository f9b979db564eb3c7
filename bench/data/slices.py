"""Slices of volumes as images of a task, and patients that the list of images does not name."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bench.data import dicom, nifti
from bench.data.guard import guarded
from bench.data.images import is_clinical
from bench.data.shares import ListedImage
from bench.data.task import Task
from bench.errors import DataError


def slices_of(row: ListedImage, frames: int, which: Literal["middle", "all"]) -> Iterator[ListedImage]:
    """The rows of the slices that are images; those of one file stay together when images are split."""
    if frames == 1 or row.number is not None:
        yield row
        return
    for number in [frames // 2] if which == "middle" else range(frames):
        yield replace(row, id=f"{row.id}#slice={number}", number=number, group=row.group or row.id)


def grouped(
    rows: list[ListedImage], source: Literal["dicom", "folder"] | None, task: Task, remarks: Counter[str]
) -> list[ListedImage]:
    """Rows with the patient of each, where the list does not name it. Raises DataError."""
    if source is None:
        return rows
    if source == "folder":
        places = {row.image.parent for row in rows if row.group is None}
        names = Counter(place.name for place in places)
        if several := [name for name, n in names.items() if n > 1]:
            what = f"folders of one name in several places, counted as patients of their own, e.g. {several[0]}"
            remarks[f"patients: {what}"] = sum(names[name] for name in several)
        return [replace(row, group=row.group or row.image.parent.as_posix()) for row in rows]
    if other := next((row for row in rows if not (row.image.exists() and is_clinical(row.image))), None):
        what = 'is no DICOM file, and groups = "dicom" takes patients from PatientID'
        raise DataError(what, where=other.image, fix="name the patients in a table, or in the names of files")

    def known(row: ListedImage) -> str | None:
        with guarded(row.image):
            return row.group or dicom.patient(row.image, task.corpus)

    with ThreadPoolExecutor() as pool:
        return [replace(row, group=group) for row, group in zip(rows, pool.map(known, rows), strict=True)]


def sharing_patients(rows: Iterable[ListedImage], corpus: str) -> int:
    """How many DICOM files have the PatientID of another one, of rows whose patient the list does not name."""
    unnamed = {row.image for row in rows if row.group in (None, row.id.partition("#slice=")[0])}
    files = [file for file in unnamed if is_clinical(file) and not file.name.lower().endswith(nifti.SUFFIXES)]

    def known(file: Path) -> str | None:
        with guarded(file):
            return dicom.patient(file, corpus)

    with ThreadPoolExecutor() as pool:
        return sum(n for name, n in Counter(pool.map(known, files)).items() if name and n > 1)
