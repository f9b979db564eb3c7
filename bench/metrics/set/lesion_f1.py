"""F1 of lesion detection, 2 found / (lesions + found + false regions), over all images, mean over classes."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.lesions import detections
from bench.metrics.resample import mean_defined, ratio


class LesionF1(Metric):
    """See the module. In brackets: lesions and false regions by size, and by stratum of their image."""

    name = "lesion_f1"
    title = "Lesion F1"
    targets = ("mask",)

    def value(self, given: Comparison) -> np.ndarray:
        return self._of(*given.once(detections)[""])

    def parts(self, given: Comparison) -> dict[str, np.ndarray]:
        return {name: self._of(*sums) for name, sums in given.once(detections).items() if name}

    def _of(self, lesions: np.ndarray, hits: np.ndarray, false: np.ndarray) -> np.ndarray:
        return mean_defined(np.where(lesions > 0, ratio(2 * hits, lesions + hits + false), np.nan))


METRIC = LesionF1()
