"""Harrell's C: of two cases of which one is known to have had the event first, how often it had the higher risk."""

import numpy as np

from bench.metrics.base import Comparison, Metric
from bench.metrics.products import weighted_sums
from bench.metrics.resample import blocks, ratio


class CIndex(Metric):
    """Harrell et al. 1982. A pair counts where the earlier time is an event, or the times are equal and one of them is;
    equal risks count half. Two events at the same time do not count."""

    name = "c_index"
    title = "C index"
    targets = ("survival",)
    primary_for = ("survival",)

    def value(self, given: Comparison) -> np.ndarray:
        time, event, risk = given.labels[:, 0], given.labels[:, 1] == 1, given.output[:, 0].astype(np.float64)
        weights = np.asarray(given.weights.cpu() if hasattr(given.weights, "cpu") else given.weights)
        right, all_pairs = np.zeros(len(weights)), np.zeros(len(weights))
        firsts = np.flatnonzero(event)
        for block in blocks(len(firsts), len(time)):
            i = firsts[block, None]
            pair = (time[i] < time) | ((time[i] == time) & ~event)
            won = pair * ((risk[i] > risk) + 0.5 * (risk[i] == risk))
            mine = weights[:, i[:, 0]]
            right += (mine * weighted_sums(given.weights, won.T)).sum(1)
            all_pairs += (mine * weighted_sums(given.weights, pair.T.astype(np.float64))).sum(1)
        return ratio(right, all_pairs)

    def chance(self, classes: int) -> float:
        return 0.5


METRIC = CIndex()
