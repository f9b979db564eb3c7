"""linear-shots-v2: logistic regression on k images of each class with C = 1; nothing is tuned.

The companion of few-shot-v1, on the same episodes. Features are z-scored by the support images and
clipped at 10, as in linear-v2.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.data.task import Task
from bench.features.resident import Array
from bench.protocols._logistic import Designs
from bench.protocols.linear import ChosenHyperparameters, LabelledFolds, Linear


class LinearShots(Linear):
    """See the module."""

    takes = ("k=",)

    def __init__(self) -> None:
        super().__init__("linear-shots-v2", "Linear probe, few shots", [1.0], "diagnostic", default=None)

    def _choose(
        self, task: Task, designs: Designs, some: Sequence[LabelledFolds], xs: Sequence[Array]
    ) -> list[ChosenHyperparameters]:
        return [ChosenHyperparameters({"C": self.strengths[0]})] * len(some)


PROTOCOL = LinearShots()
