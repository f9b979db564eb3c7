"""knn-v1: the labels of the 20 nearest training images, weighted by exp(cosine / 0.07).

Features are centred by the mean of the labelled images and scaled to length one. With m labelled images,
k = min(20, m // 2). Nothing is tuned, so the validation split is not used. Deterministic.
Source: DINOv2 `eval/knn.py` (temperature, weighting).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.data.task import Task
from bench.protocols._neighbours import top_k
from bench.protocols.base import Prediction, Problem, Protocol, Subset


class Neighbours(Protocol):
    """See the module."""

    name = "knn-v1"
    title = "k nearest neighbours"
    kind = "global"
    params = {"k": 20, "temperature": 0.07, "similarity": "cosine", "centre": "train"}

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            memory = problem.train.features.pooled[subset.rows].astype(np.float64)
            centre = memory.mean(0)
            memory = unit_length(memory - centre)
            votes = vote_targets(problem.task, problem.train.labels[subset.rows])
            k = max(1, min(self.params["k"], len(memory) // 2))
            outputs = {}
            for name, test in problem.tests.items():
                cosine, rows = top_k(unit_length(test.features.pooled.astype(np.float64) - centre), memory, k)
                weight = np.exp((cosine - cosine[:, :1]) / self.params["temperature"])
                weight /= weight.sum(1, keepdims=True)
                outputs[name] = np.einsum("nk,nkc->nc", weight, votes[rows]).astype(np.float32)
            yield Prediction(subset, outputs, {"k": k})


def unit_length(x: np.ndarray) -> np.ndarray:
    """Rows scaled to Euclidean length one; a zero row stays zero."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def vote_targets(task: Task, labels: np.ndarray) -> np.ndarray:
    """float64 (n, k): what each labelled image votes for."""
    return labels.astype(np.float64) if task.target == "multi-label" else np.eye(len(task.classes))[labels]


PROTOCOL = Neighbours()
