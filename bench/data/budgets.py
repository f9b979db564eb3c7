"""Label budgets: which training rows a unit may learn from, fixed by task and seed alone.

One stratified order of the training rows is drawn for each (task, seed); "1%", "5%", ... and "n=16" are prefixes
of it, so that they are nested, "k=4" takes the first four of each class, and "k=0" none. The order is stratified in
each prefix: a row at place j of the m rows of its class stands at (j + 1/2) / m. Rows of a patient move together.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.budget import FULL, NONE, Budget
from bench.data.task import Task
from bench.errors import DataError
from bench.words import SCALARS

MAX_FACTOR = 2
"""How many times more, or fewer, images than asked a budget may hold because patients stay whole."""
MIN_PER_CLASS = 2
"""A budget is valid when every class (each kept label of a multi-label task) has this many labelled images."""


@dataclass(frozen=True)
class Subset:
    """The training rows one unit may learn from; `rows` is int64 (m,), row numbers of the train split, sorted.

    At budget "100%" the validation split is also known; below it everything is chosen inside the subset.
    """

    budget: Budget
    seed: int
    rows: np.ndarray

    @property
    def full(self) -> bool:
        """Whether this is the whole training split, with the validation split beside it."""
        return self.budget == FULL


def subsets(
    task: Task, train_labels: np.ndarray, groups: np.ndarray | None, budget: str, seeds: Iterable[int]
) -> list[Subset]:
    """One subset for each seed, the same for every encoder; "100%" is the whole split whatever the seed.

    train_labels, groups: as in `bench.data.dataset.Split`. Whether a subset holds enough of each class is for
    `why_invalid` to say. Raises DataError when the budget asks for more than there is.
    """
    asked = Budget(budget)
    return [Subset(asked, seed, _rows(task, train_labels, groups, asked, seed)) for seed in seeds]


def why_invalid(task: Task, train_labels: np.ndarray, subset: Subset) -> str | None:
    """Why this subset is not what its budget says, or nothing can be learnt from it; None when it is valid.

    Whole patients can make it more than twice as large as asked, or less than half; a class can have too few images.
    """
    if subset.budget == NONE:
        return None
    n, got = len(train_labels), len(subset.rows)
    wanted = subset.budget.images(n, len(task.classes))
    if not wanted <= MAX_FACTOR * got <= MAX_FACTOR**2 * wanted:
        kept = f"patients are kept whole, which gives {got:,}"
        return f"{subset.budget} of {n:,} training images: {wanted:,} asked for; {kept}"
    # Shots and few-image segmentation say their own number; one example of each class is enough for them.
    few_images = subset.budget.kind == "n=" and task.kind == "dense"
    needed = 1 if few_images or subset.budget.kind == "k=" else MIN_PER_CLASS
    present = presence(task, train_labels)
    available, counts = present.sum(0), present[subset.rows].sum(0)
    if task.target == "mask":
        available, counts, names = available[1:], counts[1:], task.classes[1:]
    else:
        names = task.classes
    if task.target == "multi-label":
        if (counts >= needed).any():
            return None
        return f"no label has {needed} positive images in {subset.budget} of the training images"
    few = [i for i in range(len(names)) if available[i] > 0 and counts[i] < needed]
    if not few:
        return None
    held = f"{subset.budget} of the training images holds {counts[few[0]]} of {names[few[0]]!r}"
    return f"{held}; {needed} are needed"


def _rows(task: Task, labels: np.ndarray, groups: np.ndarray | None, budget: Budget, seed: int) -> np.ndarray:
    n = len(labels)
    if budget == FULL:
        return np.arange(n, dtype=np.int64)
    if budget == NONE:
        return np.zeros(0, np.int64)
    rng = np.random.default_rng([int.from_bytes(hashlib.sha256(task.name.encode()).digest()[:8], "little"), seed])
    if budget.kind == "k=":
        return _shots(task, labels, groups, budget.number, rng)
    wanted = budget.images(n, len(task.classes))
    if wanted > n:
        raise DataError(f"budget {budget!r} asks for {wanted} images, the training split has {n}", where=task.name)
    order, ends = _stratified_order(task, labels, groups, rng)
    # The prefix of whole groups nearest to the wanted size; without groups that is the size itself.
    take = ends[np.argmin(np.abs(ends - wanted))]
    return np.sort(order[:take])


def presence(task: Task, labels: np.ndarray) -> np.ndarray:
    """bool (n, k): which classes each image shows."""
    k = len(task.classes)
    if task.target == "multi-label":
        return labels.astype(bool)
    if task.target == "number":
        return np.ones((len(labels), 1), bool)
    if task.target == "survival":  # what counts is who had the event
        return labels[:, 1:] == 1
    if task.target == "mask":
        return np.array([[(mask == c).any() for c in range(k)] for mask in labels]).reshape(len(labels), k)
    return labels.reshape(-1, 1) == np.arange(k)


def _strata(task: Task, labels: np.ndarray) -> np.ndarray:
    """int (n,): class; for several at once the rarest one shown; k where none is."""
    present = presence(task, labels)
    if task.target == "mask":
        present = present[:, 1:]
    rarity = np.where(present, present.sum(0), len(labels) + 1)
    return np.where(present.any(1), rarity.argmin(1), present.shape[1])


def _stratified_order(
    task: Task, labels: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Row order in which each prefix is stratified, and the prefix lengths that do not split a group."""
    strata, n = _strata(task, labels), len(labels)
    _, unit = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    counts = np.bincount(strata, minlength=strata.max() + 1)
    # A group counts for the rarest stratum among its rows.
    by_rarity = np.argsort(np.argsort(counts, kind="stable"), kind="stable")[strata]
    key = np.full(unit.max() + 1, n)
    np.minimum.at(key, unit, by_rarity)
    place = np.empty(len(key))
    shuffled = rng.permutation(len(key))
    for stratum in np.unique(key):
        members = shuffled[key[shuffled] == stratum]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    unit_order = shuffled[np.argsort(place[shuffled], kind="stable")]
    rank = np.empty(len(key), dtype=np.int64)
    rank[unit_order] = np.arange(len(key))
    return np.argsort(rank[unit], kind="stable"), np.cumsum(np.bincount(rank[unit]))


def _shots(task: Task, labels: np.ndarray, groups: np.ndarray | None, k: int, rng: np.random.Generator) -> np.ndarray:
    """k rows of each class, from different patients where that is possible."""
    if task.target in ("multi-label", "mask", *SCALARS):
        raise DataError(f"shots per class are not defined for target {task.target!r}", where=task.name)
    chosen = []
    for c in range(len(task.classes)):
        members = rng.permutation(np.flatnonzero(labels == c))
        if groups is not None and len(members):
            _, first = np.unique(groups[members], return_index=True)
            again = np.ones(len(members), dtype=bool)
            again[first] = False
            members = members[np.argsort(again, kind="stable")]
        if len(members) < k:
            raise DataError(
                f"budget 'k={k}' asks for {k} images of {task.classes[c]!r}, the training split has {len(members)}",
                where=task.name,
            )
        chosen.append(members[:k])
    return np.sort(np.concatenate(chosen)).astype(np.int64)
