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
from bench.encoders.features import Features
from bench.protocols._neighbours import top_k
from bench.protocols._select import calibrated
from bench.protocols.base import Prediction, Problem, Protocol


class Neighbours(Protocol):
    """See the module."""

    name = "knn-v1"
    title = "k nearest neighbours"
    kind = "global"
    params = {"k": 20, "temperature": 0.07, "similarity": "cosine", "centre": "train", "halves": "cls+mean"}

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            yield self._predict(problem, subset)

    def _predict(self, problem: Problem, subset: Subset) -> Prediction:
        parts = halves(problem)
        memory = problem.train.features.vectors[subset.rows].astype(np.float64)
        centre = memory.mean(0)
        memory = unit_parts(memory - centre, parts)
        votes = vote_targets(problem.task, problem.train.labels[subset.rows])
        k = max(1, min(self.params["k"], len(memory) // 2))

        def vote(features: Features) -> np.ndarray:
            cosine, rows = top_k(
                unit_parts(features.vectors.astype(np.float64) - centre, parts), memory, k, device=problem.device
            )
            weight = np.exp((cosine - cosine[:, :1]) / self.params["temperature"])
            weight /= weight.sum(1, keepdims=True)
            return np.einsum("nk,nkc->nc", weight, votes[rows]).astype(np.float32)

        chosen: dict[str, float] = {"k": k}
        if subset.full and problem.task.target != "multi-label" and len(problem.val.labels):
            chosen |= calibrated(problem.task, vote(problem.val.features), problem.val.labels)
        return Prediction(subset, {name: vote(test.features) for name, test in problem.tests.items()}, chosen)


def halves(problem: Problem) -> int:
    """How many parts of the global vector have a scale of their own: 2 for "cls+mean", else 1."""
    pooling = problem.encoder.card.features.pooling if problem.encoder else "native"
    return 2 if pooling == "cls+mean" and problem.train.features.vectors.shape[1] % 2 == 0 else 1


def unit_parts(x: np.ndarray, parts: int) -> np.ndarray:
    """Rows of length one whose `parts` equal parts have equal lengths (a part of zeros stays zero)."""
    return unit_length(unit_length(x.reshape(len(x), parts, -1)).reshape(x.shape))


def unit_length(x: np.ndarray) -> np.ndarray:
    """Rows scaled to Euclidean length one; a zero row stays zero."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def vote_targets(task: Task, labels: np.ndarray) -> np.ndarray:
    """float64 (n, k): what each labelled image votes for."""
    return labels.astype(np.float64) if task.target == "multi-label" else np.eye(len(task.classes))[labels]


PROTOCOL = Neighbours()
