"""Whether predicted probabilities mean what they say: Brier score, calibration error, temperature."""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from bench.metrics.base import Comparison
from bench.metrics.products import Weights, grouped_sums, sums_and_square_sums, weighted_sums
from bench.metrics.resample import ratio

BINS = 15
CORRECTED = "less what chance adds to it, and from 200 test cases on"
"""What scoring 2 changed in the calibration error."""
MIN_CASES = 200
"""Below this many test cases the calibration error is mostly bias of the bins and is not reported."""
MIN_CASES_PLAIN = 500
"""The same for the plain estimate of scoring 1: what 300 more cases did for its bias, the correction does."""
TEMPERATURES = (0.05, 20.0)
"""Range in which a temperature is sought."""
SURE = 2.0
"""Standard errors by which a temperature must better the held-out log loss to be used."""


def brier(truth: np.ndarray, probabilities: np.ndarray, weights: Weights) -> np.ndarray:
    """Mean over cases of the squared distance between the probability row and the 0/1 truth row, (r,).

    truth: 0 or 1, (n, m); probabilities (n, m). Range [0, 2] for rows that sum to 1 (Brier 1950); give the
    positive column alone for the binary form in [0, 1].
    """
    loss = ((probabilities.astype(np.float64) - truth) ** 2).sum(axis=1)
    sums = weighted_sums(weights, np.stack([loss, np.ones_like(loss)], axis=1))
    return ratio(sums[:, 0], sums[:, 1])


def calibration_error(truth: np.ndarray, probabilities: np.ndarray, weights: Weights) -> np.ndarray:
    """Expected calibration error of the top class over 15 equal bins of confidence (Guo et al. 2017), (r,).

    truth: class index (n,); probabilities: (n, k). Positive even for a perfect model on a finite test set.
    """
    confidence, error = _confidence(truth, probabilities)
    sums = grouped_sums(weights, _bins(confidence), BINS, np.stack([np.ones_like(error), error], axis=1))
    return ratio(np.abs(sums[..., 1]).sum(axis=1), sums[..., 0].sum(axis=1))


def corrected_calibration_error(truth: np.ndarray, probabilities: np.ndarray, weights: Weights) -> np.ndarray:
    """`calibration_error` less the part that chance alone adds to it, not below 0, (r,).

    The gap g of a bin is measured with a standard error s, and the mean of |N(g, s^2)| exceeds |g|: the excess at the
    measured gap is taken off (Kumar et al. 2019, in closed form). At 200 cases what is left of the bias is what the
    plain estimate has at 500: docs/statistics.md. A case drawn twice is one observation: s^2 = sum w^2 (e - g)^2 /
    (W^2 - sum w^2) for weights w with sum W; where a bin holds one case, the variance c (1 - c) of its confidence c.
    """
    confidence, error = _confidence(truth, probabilities)
    bins, one = _bins(confidence), np.ones_like(error)
    columns = np.stack([one, error, error**2, confidence * (1 - confidence)], axis=1)
    sums, squares = sums_and_square_sums(weights, bins, BINS, columns[:, :2], columns)
    (total, errors), (square, once, twice, chance) = (np.moveaxis(found, 2, 0) for found in (sums, squares))
    gap = ratio(errors, total)
    spread = ratio(twice - 2 * gap * once + gap**2 * square, total**2 - square)
    spread = np.maximum(np.where(np.isnan(spread), ratio(chance, total**2), spread), 0)
    size = np.abs(gap)
    value = np.nansum(total * (2 * size - _mean_of_folded(size, np.sqrt(spread))), axis=1) / total.sum(axis=1)
    return np.maximum(value, 0)


def reported_error(given: Comparison, probabilities: np.ndarray) -> np.ndarray:
    """The calibration error as the scoring version defines it, (r,); NaN with too few cases for its estimate."""
    first = given.scoring == 1
    if len(given.labels) < (MIN_CASES_PLAIN if first else MIN_CASES):
        return given.undefined
    estimate = calibration_error if first else corrected_calibration_error
    return estimate(given.labels, probabilities, given.weights)


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Bin of each confidence, 0 to 14: upper edges included, as (lower, upper]."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _confidence(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence in the top class, and how far it is below the hit (1) or miss (0), float64 (n,) each."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, (probabilities.argmax(axis=1) == truth) - confidence


def _mean_of_folded(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Mean of |x| where x is normal, `mean` at least 0."""
    z = ratio(mean, deviation)
    known = deviation * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + mean * (1 - 2 * ndtr(-z))
    return np.where(np.isnan(z), mean, known)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in [0.05, 20] that minimises the log loss of softmax(log p / T) (Guo et al. 2017), or 1.

    1 unless the mean loss falls by more than twice its standard error: a temperature fitted on few images follows
    their noise, and models of folds, which learn from fewer images, are less confident than the one that is scaled.
    Meant for validation predictions, never for test labels. probabilities: (n, k); labels: class index (n,).
    """
    logits = _logits(probabilities)
    rows = np.arange(len(labels))

    def losses(log_temperature: float) -> np.ndarray:
        scaled = logits * np.exp(-log_temperature)
        return _log_sum_exp(scaled) - scaled[rows, labels]

    bounds, precise = tuple(np.log(TEMPERATURES)), {"xatol": 1e-6}
    best = minimize_scalar(lambda x: losses(x).mean(), bounds=bounds, method="bounded", options=precise)
    gain = losses(0.0) - losses(best.x)
    sure = len(gain) > 1 and gain.mean() > SURE * gain.std(ddof=1) / np.sqrt(len(gain))
    return float(np.exp(best.x)) if sure else 1.0


def chosen_temperature(chosen: Mapping[str, float | int | str]) -> float | None:
    """The temperature among what a protocol chose (`Prediction.chosen`, `Record.chosen`); None without a valid one.

    >>> chosen_temperature({"C": 0.1, "temperature": 1.3}), chosen_temperature({"C": 0.1})
    (1.3, None)
    """
    value = chosen.get("temperature")
    if isinstance(value, bool | str | None) or not TEMPERATURES[0] <= value <= TEMPERATURES[1]:
        return None
    return float(value)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T), float64 (n, k)."""
    scaled = _logits(probabilities) / temperature
    return np.exp(scaled - _log_sum_exp(scaled)[:, None])


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-12))


def _log_sum_exp(x: np.ndarray) -> np.ndarray:
    top = x.max(axis=1, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(axis=1, keepdims=True)))[:, 0]
