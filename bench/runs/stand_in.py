"""Images of noise in the place of a task's own, so that a run can be estimated before its data are there."""

import re

import numpy as np

from bench.data import store
from bench.data.dataset import Split, TaskData
from bench.data.load import load_task, store_key
from bench.data.task import Task
from bench.errors import UserError
from bench.runs.plan import Plan

ROWS = 128
"""Images of a split that are made up; the counts are the card's."""
SIDE, PLANES = 128, 28


def data_of(plan: Plan, task: Task, *, accept_checksum: bool = False) -> tuple[TaskData, dict[str, int], bool]:
    """A task's data and the number of images of each split, and whether they are its own.

    Data that are not prepared are made up when the card says how many images there are; else they are prepared now.
    """
    folder, counts = plan.folders[task.name], task.stated_counts
    if counts and not is_prepared(plan, task, accept_checksum=accept_checksum):
        return stand_in(task, counts), counts, False
    data = load_task(task, folder=folder, accept_checksum=accept_checksum)
    return data, {name: len(split) for name, split in data.splits.items()}, True


def is_prepared(plan: Plan, task: Task, *, accept_checksum: bool = False) -> bool:
    """Whether the prepared copy of a task is on this machine."""
    try:
        key = store_key(task, folder=plan.folders[task.name], accept_checksum=accept_checksum)[1]
        return store.open_entry(key) is not None
    except UserError:
        return False


def stand_in(task: Task, counts: dict[str, int]) -> TaskData:
    """Noise with labels of the right kind: at most `ROWS` images a split, 128 pixels wide unless the name says another.

    The calibration looks at no more of them. Volumes are cubes where the name says a side, else have 28 slices.
    """
    said = re.search(r"-(\d{2,3})$", task.name)
    side, planes = (int(said[1]), int(said[1])) if said else (SIDE, PLANES)
    rng = np.random.default_rng(0)
    splits = {name: _split(task, name, min(n, ROWS), side, planes, rng) for name, n in counts.items()}
    return TaskData.of(task, splits, sha256="0" * 64)


def _split(task: Task, name: str, n: int, side: int, planes: int, rng: np.random.Generator) -> Split:
    depth = (planes,) if task.volume else ()
    images = rng.integers(0, 256, (n, *depth, side, side, 3), dtype=np.uint8)
    k = len(task.classes)
    labels: np.ndarray
    if task.target == "mask":
        labels = np.kron(rng.integers(0, k, (n, 8, 8)), np.ones((1, side // 8 + 1, side // 8 + 1)))
        labels = labels[:, :side, :side].astype(np.uint8)
        labels = labels if not depth else np.repeat(labels[:, None], *depth, axis=1)
    elif task.target == "multi-label":
        labels = rng.integers(0, 2, (n, k), dtype=np.uint8)
    elif task.target == "survival":
        labels = np.stack([1.0 + rng.permutation(n), np.arange(n) % 2], axis=1)
    else:
        labels = np.arange(n) % k
    spacing = np.ones((n, 3)) if depth and task.target == "mask" else None
    return Split(images, labels, np.array([f"{name}/{i}" for i in range(n)]), spacing=spacing)
