"""knn-parity-v1: the 11 nearest training images in Euclidean distance, each with one vote.

Features as they are: not centred, not scaled. For comparison with the published MedMNIST+ table of Doerrich et al.
2025 (arXiv 2404.15786), where k = 11; below 11 labelled images, all of them vote. Not on any board.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.data.budgets import Subset
from bench.features.resident import Array
from bench.protocols._arrays import host
from bench.protocols._neighbours import nearest, product_bytes
from bench.protocols.base import Prediction, Problem, Protocol, UnitSizes
from bench.protocols.knn import vote_targets


class ParityNeighbours(Protocol):
    """See the module."""

    name = "knn-parity-v1"
    title = "k nearest neighbours, Euclidean"
    kind = "global"
    board = "diagnostic"
    lazy = True
    params = {"k": 11, "distance": "euclidean", "centre": None, "weights": "uniform"}

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """Queries and labelled rows twice in float64, these in float32 too, and products."""
        learnt, asked = sizes.learnt, sizes.largest_test
        return (20 * learnt + 16 * asked) * sizes.width + product_bytes(asked, learnt)

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            memory = problem.resident(problem.train.features.vectors).rows(subset.rows)
            votes = vote_targets(problem.task, problem.train.labels[subset.rows])
            k = min(self.params["k"], len(memory))

            def vote(some: Array, memory: Array = memory, votes: np.ndarray = votes, k: int = k) -> np.ndarray:
                return votes[host(nearest(some, memory, k))].mean(1).astype(np.float32)

            outputs = {name: problem.resident(test.features.vectors).each(vote) for name, test in problem.tests.items()}
            yield Prediction(subset, outputs, {"k": k})


PROTOCOL = ParityNeighbours()
