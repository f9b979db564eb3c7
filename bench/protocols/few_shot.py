"""few-shot-v1: SimpleShot, the nearest class mean from k images of each class.

Features are centred by the mean of the support images and scaled to length one; the mean of each class is its
prototype; an image takes the nearest. Scores are softmax(-squared distance / 2), which ranks like the distance and
adds no choice. Seed s is episode s: the same images for every encoder. The whole test split is predicted.
Source: Wang et al. 2019, SimpleShot (arXiv 1911.04623), CL2N; UNI `fewshot.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.data.task import Task
from bench.protocols.base import Prediction, Problem, Protocol, Subset
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
        for subset in subsets:
            support = problem.train.features.pooled[subset.rows].astype(np.float64)
            labels = problem.train.labels[subset.rows]
            centre = support.mean(0)
            support = unit_length(support - centre)
            shown = np.unique(labels)
            prototypes = np.stack([support[labels == c].mean(0) for c in shown])
            outputs = {}
            for name, test in problem.tests.items():
                x = unit_length(test.features.pooled.astype(np.float64) - centre)
                score = x @ prototypes.T - 0.5 * np.square(prototypes).sum(1)
                exp = np.exp(score - score.max(1, keepdims=True))
                outputs[name] = np.zeros((len(x), len(problem.task.classes)), dtype=np.float32)
                outputs[name][:, shown] = exp / exp.sum(1, keepdims=True)
            yield Prediction(subset, outputs)


PROTOCOL = FewShot()
