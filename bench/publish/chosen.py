"""Which test images the page of a task shows: the same for every encoder, from those most fail on to the easy ones.

Of a dense task by size of lesion, of a global one by class, so that the page is not a list of the smallest lesions.
"""

import numpy as np

from bench.data.dataset import Split
from bench.data.task import Task
from bench.metrics.lesions import size_bin

SHOWN = 12
SIZE_WORDS = ("under 0.5 % of the image", "0.5–2 % of the image", "2–10 % of the image", "over 10 % of the image")


def chosen(task: Task, test: Split, quality: np.ndarray, pictured: np.ndarray) -> tuple[list[int], str]:
    """Rows of "test" to show, and how they were chosen, in words.

    quality: float64 (e, n), how well each encoder did on each image. pictured: bool (e, n), whether its prediction is
    at hand: a compact submission keeps the masks of its worst cases only.
    """
    mean = np.nanmean(quality, axis=0)
    if pictured.all():
        parts = groups(task, test)
        rows = [i for _, members in parts for i in _spread(members, mean, max(1, SHOWN // len(parts)))]
        what = "size of lesion" if task.kind == "dense" else "class"
        return rows, f"Of each {what}, from the image that the encoders do worst on to the one they do best on."
    seen = pictured.sum(axis=0)
    order = sorted(np.flatnonzero(seen), key=lambda i: (-seen[i], mean[i], i))[:SHOWN]
    rows = sorted(map(int, order), key=lambda i: (mean[i], i))
    kept = "Submissions keep the masks of each encoder's worst images only: these are images that most do badly on."
    return rows, kept


def groups(task: Task, test: Split) -> list[tuple[str, np.ndarray]]:
    """(words, rows of "test") of each size of lesion, or each class, that is there."""
    labels = test.labels
    if task.kind == "dense":
        area = (np.asarray(labels) > 0).reshape(len(labels), -1).mean(axis=1)
        parts = [(SIZE_WORDS[k], np.flatnonzero((area > 0) & (size_bin(area) == k))) for k in range(4)]
        parts.append(("no lesion", np.flatnonzero(area == 0)))
    elif labels.ndim == 1:
        parts = [(name, np.flatnonzero(labels == k)) for k, name in enumerate(task.classes)]
    else:
        parts = [("", np.arange(len(labels)))]
    return [(words, rows) for words, rows in parts if len(rows)]


def _spread(rows: np.ndarray, mean: np.ndarray, count: int) -> list[int]:
    """`count` of the rows, evenly from the lowest to the highest mean."""
    known = rows[np.isfinite(mean[rows])]
    order = known[np.argsort(mean[known], kind="stable")]
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(order[k]) for k in places]
