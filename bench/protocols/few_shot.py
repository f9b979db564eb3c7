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
from bench.features.resident import Array
from bench.protocols._arrays import beside, host, library, unit_length
from bench.protocols.base import BLOCKS, Prediction, Problem, Protocol, UnitSizes


class FewShot(Protocol):
    """See the module."""

    name = "few-shot-v1"
    title = "SimpleShot"
    kind = "global"
    takes = ("k=",)
    lazy = True
    params = {"centre": "support", "length": 1, "distance": "euclidean", "scores": "softmax(-d^2/2)"}

    def refuses(self, task: Task) -> str | None:
        if task.target == "multi-label":
            return "shots per class are not defined for a multi-label task"
        return super().refuses(task)

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """All test splits in float64, and five arrays of scores."""
        return 8 * sum(sizes.tests) * sizes.width + 40 * sizes.largest_test * len(sizes.task.classes) + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        pooled = problem.train.features.vectors
        middle = pooled.mean(0, dtype=np.float64)  # keeps products small, so that differences lose no digits
        up = problem.resident.up
        tests = {
            name: [_Images(some - beside(middle, some)) for some in problem.resident(test.features.vectors).blocks()]
            for name, test in problem.tests.items()
        }
        for subset in subsets:
            support, labels = pooled[subset.rows] - middle, problem.train.labels[subset.rows]
            centre, shown = support.mean(0), np.unique(labels)
            support = unit_length(support - centre)
            prototypes = np.stack([support[labels == c].mean(0) for c in shown])
            outputs = {}
            there = up(centre), up(prototypes)
            for name, images in tests.items():
                found = np.concatenate([host(part.shares(*there)) for part in images])
                outputs[name] = np.zeros((len(found), len(problem.task.classes)), dtype=np.float32)
                outputs[name][:, shown] = found
            yield Prediction(subset, outputs)


class _Images:
    """Test features, float64 (n, d), whose lengths are computed once and not for each episode."""

    def __init__(self, x: Array) -> None:
        self.x, self.squares = x, library(x).einsum("nd,nd->n", x, x)

    def shares(self, centre: Array, prototypes: Array) -> Array:
        """softmax(-squared distance / 2) of the rows, (n, k), to prototypes (k, d)."""
        score = self.seen_from(centre, prototypes) - 0.5 * library(prototypes).square(prototypes).sum(1)
        exp = library(score).exp(score - library(score).amax(score, 1, keepdims=True))
        return exp / exp.sum(1, keepdims=True)

    def seen_from(self, centre: Array, prototypes: Array) -> Array:
        """Inner products (n, k) of prototypes (k, d) with the rows less `centre`, scaled to length one."""
        products = self.x @ library(self.x).vstack([prototypes, centre]).T
        among = self.squares + centre @ centre
        squares = among - 2 * products[:, -1]
        # A row that is the centre but for rounding has no direction.
        length = library(squares).sqrt(library(squares).where(squares > 1e-14 * among, squares, np.inf))
        return (products[:, :-1] - prototypes @ centre) / length[:, None]


PROTOCOL = FewShot()
