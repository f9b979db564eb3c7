"""Share of the lesions (connected regions of the truth) that are found, over all images, mean over classes."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.lesions import detections
from bench.metrics.resample import mean_defined, ratio


class LesionRecall(Metric):
    """Found: a tenth of its area is predicted. In brackets: lesions by size, and by stratum of their image."""

    name = "lesion_recall"
    title = "Lesion recall"
    targets = ("mask",)

    def value(self, given: Comparison) -> np.ndarray:
        return self._of(*given.once(detections)[""])

    def parts(self, given: Comparison) -> dict[str, np.ndarray]:
        return {name: self._of(*sums) for name, sums in given.once(detections).items() if name}

    def _of(self, lesions: np.ndarray, hits: np.ndarray, false: np.ndarray) -> np.ndarray:
        return mean_defined(ratio(hits, lesions))


METRIC = LesionRecall()
