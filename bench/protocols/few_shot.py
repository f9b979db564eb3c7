"""few-shot-v1: SimpleShot, the nearest class mean from k images of each class.

Features are centred by the mean of the support images and scaled to length one; the mean of each class is its
prototype; an image takes the nearest. Scores are softmax(-squared distance / 2), which ranks like the distance and
adds no choice. Seed s is episode s: the same images for every encoder. The whole test split is predicted.
Source: Wang et al. 2019, SimpleShot (arXiv 1911.04623), CL2N; UNI `fewshot.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.protocols.base import Prediction, Problem, Protocol
from bench.protocols.knn import unit_length


class FewShot(Protocol):
    """See the module."""

    name = "few-shot-v1"
    title = "SimpleShot"
    kind = "global"
    takes = ("k=",)
    params = {"centre": "support", "length": 1, "distance": "euclidean", "scores": "softmax(-d^2/2)"}

    def refuses(self, task: Task) -> str | None:
        if task.target == "multi-label":
            return "shots per class are not defined for a multi-label task"
        return super().refuses(task)

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        pooled = problem.train.features.vectors
        middle = pooled.mean(0, dtype=np.float64)  # keeps products small, so that differences lose no digits
        tests = {name: _Images(test.features.vectors - middle) for name, test in problem.tests.items()}
        for subset in subsets:
            support, labels = pooled[subset.rows] - middle, problem.train.labels[subset.rows]
            centre, shown = support.mean(0), np.unique(labels)
            support = unit_length(support - centre)
            prototypes = np.stack([support[labels == c].mean(0) for c in shown])
            outputs = {}
            for name, images in tests.items():
                score = images.seen_from(centre, prototypes) - 0.5 * np.square(prototypes).sum(1)
                exp = np.exp(score - score.max(1, keepdims=True))
                outputs[name] = np.zeros((len(score), len(problem.task.classes)), dtype=np.float32)
                outputs[name][:, shown] = exp / exp.sum(1, keepdims=True)
            yield Prediction(subset, outputs)


class _Images:
    """Features of a test split, float64 (n, d), whose lengths are computed once and not for each episode."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.squares = x, np.einsum("nd,nd->n", x, x)

    def seen_from(self, centre: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
        """Inner products (n, k) of prototypes (k, d) with the rows less `centre`, scaled to length one."""
        products = self.x @ np.vstack([prototypes, centre]).T
        among = self.squares + centre @ centre
        squares = among - 2 * products[:, -1]
        # A row that is the centre but for rounding has no direction.
        length = np.sqrt(np.where(squares > 1e-14 * among, squares, np.inf))
        return (products[:, :-1] - prototypes @ centre) / length[:, None]


PROTOCOL = FewShot()
