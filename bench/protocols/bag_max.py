"""bag-max-v1: linear-v2 on the largest value of each feature over the images of a bag.

The mean over the images is what every other protocol of the frozen global vector sees of a bag (or the maximum, where
the task's card says so); this stands beside it whatever the card says. Source: Ilse et al. 2018 (arXiv 1802.04712), the
max-pooling baseline at the level of embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench.data.budgets import Subset
from bench.encoders.features import Features
from bench.protocols._bags import members, shown
from bench.protocols.base import BLOCKS, Labelled, Prediction, Problem, UnitSizes, Unlabelled
from bench.protocols.linear import DECADES, Linear


class BagMax(Linear):
    """See the module."""

    bags = "only"

    def memory_bytes(self, sizes: UnitSizes) -> int:
        bags = max(sizes.learnt, sizes.val, *sizes.tests)
        return max(super().memory_bytes(sizes), 4 * bags * sizes.parts * sizes.width + BLOCKS)

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        train, val = (replace(part, features=_largest(part)) for part in (problem.train, problem.val))
        tests = {name: replace(test, features=_largest(test)) for name, test in problem.tests.items()}
        yield from super().predict(replace(problem, train=train, val=val, tests=tests), subsets)


def _largest(part: Labelled | Unlabelled) -> Features:
    """Each feature's largest value over the images of a bag."""
    return Features(np.where(shown(part)[..., None], members(part), -np.inf).max(1), None)


PROTOCOL = BagMax("bag-max-v1", "Linear probe, largest of the bag", DECADES, board="diagnostic")
