"""Labels of a task without its images: what boards, the site and rescoring need where the images are not.

    <home>/labels/<task>-<12 digits of the card's hash>.npz    also in each folder of MEDSSL_LABELS
    tasks/labels/...                                           shipped, of sets whose images are not

It holds every array of the prepared copy but the images, packed, with the hashes of all. Masks may be left out: boards
need the pixels each class has in each test image, no more. Written by `medssl data labels`, by who has the images. Its
arrays are compared with their hashes when it is read; that the data as a whole are those of a record is told by the
hash both name.
"""

import os
from pathlib import Path

import numpy as np

from bench.data import store
from bench.data.dataset import Split, TaskData, arrays_of, digests_of
from bench.data.load import load_task, store_key
from bench.data.task import Task
from bench.errors import DataError, UserError
from bench.files import PARTIAL, write_atomic
from bench.locate import home, shipped
from bench.runs.predictions import predictions_bytes, read_predictions

VARIABLE = "MEDSSL_LABELS"
"""Environment variable: folders of labels, separated as PATH is."""
_PIXELS = "test.pixels"
_IMAGES = (".images", ".intensities")


def write_labels(data: TaskData, folder: Path, *, masks: bool = True) -> Path:
    """Write the labels of a task into `folder`; returns the file. Raises RunError.

    masks: False leaves out the masks of a dense task and keeps the pixels of each class in those of "test".
    """
    kept = {name: array for name, array in arrays_of(data.splits).items() if not name.endswith(_IMAGES)}
    about = {"data": data.sha256, "store": data.store, **data.digests}
    if data.task.kind == "dense" and not masks:
        kept = {name: array for name, array in kept.items() if not name.endswith(".labels")}
        kept[_PIXELS] = data.test_pixels
        about |= digests_of({_PIXELS: data.test_pixels})
    path = folder / _name(data.task)
    for left in folder.glob(f".{path.name}.*{PARTIAL}"):  # of one who was killed
        left.unlink(missing_ok=True)
    write_atomic(path, predictions_bytes(kept | {"about": np.array(sorted(about.items()))}))
    return path


def load_labels(task: Task, *, folder: Path | None = None, masks: bool = True) -> TaskData:
    """The task with its images where they are prepared, else with its labels alone where these are at hand, else
    prepared now. Without images, `images` is an empty array (n, 0, 0, 1). Raises as `load_task`, and DataError for a
    file of labels that is damaged.

    masks: False takes a file without the masks of a dense task, whose `labels` are then empty too, (n, 0, 0).
    """
    try:
        prepared = store.is_there(store_key(task, folder=folder)[1])
    except DataError:
        prepared = False
    for file in () if prepared else labels_files(task):
        data = read_labels(task, file)
        if data.has_labels or not masks:
            return data
    return load_task(task, folder=folder)


def labels_files(task: Task) -> list[Path]:
    """Files of a task's labels: of MEDSSL_LABELS, of the cache, shipped."""
    named = [Path(f) for f in os.environ.get(VARIABLE, "").split(os.pathsep) if f]
    folders = *named, home() / "labels", shipped("tasks") / "labels"
    return [path for folder in folders if (path := folder / _name(task)).is_file()]


def read_labels(task: Task, path: Path) -> TaskData:
    """A file of labels as a task without images. Raises DataError where it is damaged."""
    try:
        arrays = read_predictions(path)
        about = {str(name): str(digest) for name, digest in arrays.pop("about")}
        sha256, prepared = about.pop("data"), about.pop("store")
    except (UserError, KeyError, ValueError) as error:
        raise DataError(f"is not a readable file of labels: {error}", where=path, fix="write it anew") from None
    if any(about.get(name) != digest for name, digest in digests_of(arrays).items()):
        raise DataError("does not hold the labels that were written", where=path, fix="write it anew")
    pixels = arrays.pop(_PIXELS, None)
    about.pop(_PIXELS, None)
    splits = {name.removesuffix(".ids"): _split(name.removesuffix(".ids"), arrays) for name in arrays if _is_ids(name)}
    return TaskData.of(task, splits, sha256, store=prepared, known=about, pixels=pixels)


def _is_ids(name: str) -> bool:
    return name.endswith(".ids") and ".strata." not in name


def _split(name: str, arrays: dict[str, np.ndarray]) -> Split:
    ids, strata = arrays[f"{name}.ids"], f"{name}.strata."
    return Split(
        images=np.empty((len(ids), 0, 0, 1), np.uint8),
        labels=arrays.get(f"{name}.labels", np.empty((len(ids), 0, 0), np.uint8)),
        ids=ids,
        groups=arrays.get(f"{name}.groups"),
        strata={key.removeprefix(strata): array for key, array in arrays.items() if key.startswith(strata)},
        spacing=arrays.get(f"{name}.spacing"),
        sizes=arrays.get(f"{name}.sizes"),
    )


def _name(task: Task) -> str:
    return f"{task.name}-{task.sha256[:12]}.npz"
