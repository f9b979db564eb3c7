"""knn-v1: the labels of the 20 nearest training images, weighted by exp(cosine / 0.07).

Features are centred by the mean of the labelled images and scaled to length one; where the global vector is the class
token beside the mean of the patches, each half is scaled first, so that neither outweighs the other. With m labelled
images, k = min(20, m // 2). Nothing is tuned: at 100 % the validation split serves the temperature of the calibration
error alone. Deterministic.
Source: DINOv2 `eval/knn.py` (temperature, weighting).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.features.resident import Array
from bench.protocols._arrays import beside, host, library, unit_length, wide
from bench.protocols._neighbours import product_bytes, top_k
from bench.protocols._select import calibrated
from bench.protocols.base import Prediction, Problem, Protocol, UnitSizes


class Neighbours(Protocol):
    """See the module."""

    name = "knn-v1"
    title = "k nearest neighbours"
    kind = "global"
    lazy = True
    params = {"k": 20, "temperature": 0.07, "similarity": "cosine", "centre": "train", "halves": "cls+mean"}

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """In float64 the labelled rows, and beside them their squares, or queries and theirs, or a float32 copy with
        queries and products."""
        learnt, asked = sizes.learnt, max(sizes.val, *sizes.tests)
        known, queries = 8 * learnt * sizes.width, 8 * asked * sizes.width
        return known + max(known, 2 * queries, known // 2 + queries + product_bytes(asked, learnt))

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            yield self._predict(problem, subset)

    def _predict(self, problem: Problem, subset: Subset) -> Prediction:
        task, train, resident, parts = problem.task, problem.train, problem.resident, halves(problem)
        memory = wide(resident(train.features.vectors).rows(subset.rows))
        centre = memory.mean(0)
        memory -= centre
        memory = unit_parts(memory, parts)
        votes = beside(vote_targets(task, train.labels[subset.rows]), memory)
        k = max(1, min(self.params["k"], len(memory) // 2))

        def vote(some: Array) -> np.ndarray:
            cosine, rows = top_k(unit_parts(wide(some) - centre, parts), memory, k)
            weight = library(cosine).exp((cosine - cosine[:, :1]) / self.params["temperature"])
            weight /= weight.sum(1, keepdims=True)
            return host(library(weight).einsum("nk,nkc->nc", weight, votes[rows])).astype(np.float32)

        chosen: dict[str, float] = {"k": k}
        if subset.full and task.target != "multi-label" and len(problem.val.labels):
            held = resident(problem.val.features.vectors).each(vote)
            chosen |= calibrated(task, held, problem.val.labels)
        outputs = {name: resident(test.features.vectors).each(vote) for name, test in problem.tests.items()}
        return Prediction(subset, outputs, chosen)


def halves(problem: Problem) -> int:
    """How many parts of the global vector have a scale of their own: 2 for "cls+mean", else 1."""
    pooling = problem.encoder.card.features.pooling if problem.encoder else "native"
    return 2 if pooling == "cls+mean" and problem.train.features.vectors.shape[1] % 2 == 0 else 1


def unit_parts(x: Array, parts: int) -> Array:
    """Rows of length one whose `parts` equal parts have equal lengths (a part of zeros stays zero). Overwrites `x`."""
    each = x.reshape(len(x), parts, -1)
    unit_length(each, out=each)
    return unit_length(x, out=x)


def vote_targets(task: Task, labels: np.ndarray) -> np.ndarray:
    """float64 (n, k): what each labelled image votes for."""
    return labels.astype(np.float64) if task.target == "multi-label" else np.eye(len(task.classes))[labels]


PROTOCOL = Neighbours()
