"""Brier score: mean squared distance between the probabilities and the truth (Brier 1950)."""

import numpy as np

from bench.metrics import calibration
from bench.metrics.base import Comparison, Metric


class Brier(Metric):
    """Binary: of class 1 alone, in [0, 1]; several classes: summed over them, in [0, 2]; several labels: their mean."""

    name = "brier"
    title = "Brier"
    targets = ("binary", "multi-class", "multi-label", "ordinal")
    values = (0.0, 2.0)
    higher_is_better = False

    def value(self, given: Comparison) -> np.ndarray:
        k = given.output.shape[1]
        if given.several:
            return calibration.brier(given.labels, given.output, given.weights) / k
        binary = k == 2
        rows = (given.labels[:, None] == np.arange(k))[:, binary:]
        return calibration.brier(rows, given.output[:, binary:], given.weights)


METRIC = Brier()
