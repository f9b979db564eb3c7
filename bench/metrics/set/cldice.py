"""Centreline Dice (Shit et al. 2021) of the classes whose name says "vessel", mean over images, then over classes."""

from __future__ import annotations

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.centreline import centreline_dice
from bench.metrics.overlap import FALSE_ALARMS, over_images


class CentrelineDice(Metric):
    """See the module; images without a class as for `dice`."""

    name = "cldice"
    title = "clDice"
    targets = ("mask",)
    changes = {2: FALSE_ALARMS}

    def value(self, given: Comparison) -> np.ndarray:
        tubular = [c for c, name in enumerate(given.task.classes) if c and is_tubular(name)]
        if not tubular:
            return given.undefined
        values = np.stack([centreline_dice(given.output == c, given.labels == c) for c in tubular], axis=1)
        return over_images(given, values, columns=np.array(tubular) - 1)


def is_tubular(class_name: str) -> bool:
    """Whether a class is judged by its centreline: its name speaks of a vessel.

    >>> is_tubular("Retinal vessels"), is_tubular("optic disc")
    (True, False)
    """
    return "vessel" in class_name.lower()


METRIC = CentrelineDice()
