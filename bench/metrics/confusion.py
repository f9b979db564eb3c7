"""Metrics of hard decisions under case weights, from the margins of the confusion matrix.

None of them needs the whole matrix: agreements and the two margins suffice, whatever the number of classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.metrics.base import Comparison
from bench.metrics.products import Weights, weighted_sums
from bench.metrics.ranking import macro_labels
from bench.metrics.resample import mean_defined, ratio


@dataclass(frozen=True, slots=True)
class Tally:
    """Weighted counts of each replicate and class, float64 (r, k): true cases, predicted cases, agreements."""

    true: np.ndarray
    predicted: np.ndarray
    agreed: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Weight of all cases, (r,)."""
        return self.true.sum(axis=1)


def tally(truth: np.ndarray, predicted: np.ndarray, k: int, weights: Weights) -> Tally:
    """Count class indices truth and predicted, int (n,), under weights (r, n)."""
    return _together([(truth, predicted)], k, weights)[0]


def tallies(given: Comparison) -> list[Tally]:
    """The decisions of the largest probability; of several labels one tally a label, decided at 0.5."""
    if not given.several:
        return [tally(given.labels, given.output.argmax(axis=1), given.output.shape[1], given.weights)]
    decided = given.output >= 0.5
    pairs = [(given.labels[:, c], decided[:, c]) for c in macro_labels(given.labels)]
    return _together(pairs, 2, given.weights)


def _together(pairs: list[tuple[np.ndarray, np.ndarray]], k: int, weights: Weights) -> list[Tally]:
    """The tally of each truth and prediction, class indices (n,), from one product with the draws."""
    columns = []
    for pair in pairs:
        true, called = (of[:, None] == np.arange(k) for of in pair)
        columns += [true, called, true & called]
    sums = np.split(weighted_sums(weights, np.hstack(columns)), len(columns), axis=1)
    return [Tally(*sums[i : i + 3]) for i in range(0, len(sums), 3)]


def over_labels(given: Comparison, measure: Callable[[Tally], np.ndarray]) -> np.ndarray:
    """`measure` of the decisions, (r,); of several labels the mean over those of `macro_labels`."""
    return mean_defined(np.stack([measure(counts) for counts in given.once(tallies)], axis=1))


def ordinal_decision(given: Comparison) -> np.ndarray:
    """`expected_class` of the output."""
    return expected_class(given.output)


def accuracy(counts: Tally) -> np.ndarray:
    """Share of cases decided correctly, (r,)."""
    return ratio(counts.agreed.sum(axis=1), counts.total)


def balanced_accuracy(counts: Tally) -> np.ndarray:
    """Mean recall over the classes present in the truth, (r,)."""
    return mean_defined(ratio(counts.agreed, counts.true))


def macro_f1(counts: Tally) -> np.ndarray:
    """Mean F1 over the classes present in the truth or the decisions, (r,)."""
    return mean_defined(f1(counts))


def f1(counts: Tally) -> np.ndarray:
    """F1 of each class, (r, k); NaN where neither truth nor decisions hold it."""
    return ratio(2 * counts.agreed, counts.true + counts.predicted)


def f1_of_positives(counts: Tally) -> np.ndarray:
    """F1 of class 1, (r,)."""
    return f1(counts)[:, 1]


def mcc(counts: Tally) -> np.ndarray:
    """Matthews correlation in [-1, 1] (Gorodkin 2004, R_K), (r,).

    0 where every decision is the same class; NaN where the truth is a single class.
    """
    total = counts.total
    joint = counts.agreed.sum(axis=1) * total - (counts.true * counts.predicted).sum(axis=1)
    spread_true = total**2 - (counts.true**2).sum(axis=1)
    spread_predicted = total**2 - (counts.predicted**2).sum(axis=1)
    value = ratio(joint, np.sqrt(np.maximum(spread_true * spread_predicted, 0)))
    return np.where((spread_true > 0) & (spread_predicted <= 0), 0.0, value)


def quadratic_kappa(truth: np.ndarray, predicted: np.ndarray, weights: Weights) -> np.ndarray:
    """Cohen's kappa with quadratic weights in [-1, 1] (Cohen 1968), (r,); NaN where chance disagreement is 0.

    The expected disagreement of independent margins needs only first and second moments of the class index.
    """
    t, p = truth.astype(np.float64), predicted.astype(np.float64)
    columns = np.stack([np.ones_like(t), t, p, t * t, p * p, (t - p) ** 2], axis=1)
    return kappa_of_sums(*weighted_sums(weights, columns).T)


def kappa_of_sums(
    n: np.ndarray, t: np.ndarray, p: np.ndarray, tt: np.ndarray, pp: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """Quadratic kappa from sums over cases: 1, true class, predicted class, their squares, the squared distance."""
    return 1 - ratio(observed, tt + pp - ratio(2 * t * p, n))


def mean_absolute_error(truth: np.ndarray, predicted: np.ndarray, weights: Weights) -> np.ndarray:
    """Mean distance between true and predicted class index, (r,)."""
    distance = np.abs(truth.astype(np.float64) - predicted)
    sums = weighted_sums(weights, np.stack([distance, np.ones_like(distance)], axis=1))
    return ratio(sums[:, 0], sums[:, 1])


def expected_class(probabilities: np.ndarray) -> np.ndarray:
    """Ordinal decision: the expectation of the class index, rounded, int64 (..., n) (halves go to the even class)."""
    p = probabilities.astype(np.float64)
    mean = ratio(p @ np.arange(p.shape[-1]), p.sum(axis=-1))
    return np.rint(np.nan_to_num(mean)).astype(np.int64)
