"""Whether predicted probabilities mean what they say: Brier score, calibration error, temperature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar

from bench.metrics.resample import indicator, ratio, weighted_sums

BINS = 15
MIN_CASES = 500
"""Below this many test cases the calibration error is mostly bias of the bins and is not reported."""
TEMPERATURES = (0.05, 20.0)
"""Range in which a temperature is sought."""


def brier(truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over cases of the squared distance between the probability row and the 0/1 truth row, (r,).

    truth: 0 or 1, (n, m); probabilities (n, m). Range [0, 2] for rows that sum to 1 (Brier 1950); give the
    positive column alone for the binary form in [0, 1].
    """
    loss = ((probabilities.astype(np.float64) - truth) ** 2).sum(axis=1)
    sums = weighted_sums(weights, np.stack([loss, np.ones_like(loss)], axis=1))
    return ratio(sums[:, 0], sums[:, 1])


def calibration_error(truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error of the top class over 15 equal bins of confidence (Guo et al. 2017), (r,).

    truth: class index (n,); probabilities: (n, k). Positive even for a perfect model on a finite test set.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hit = probabilities.argmax(axis=1) == truth
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gap = indicator(bins, BINS).multiply((hit - confidence)[:, None]).tocsr()
    sums = weighted_sums(weights, sparse.hstack([gap, np.ones((len(hit), 1))]))
    return ratio(np.abs(sums[:, :BINS]).sum(axis=1), sums[:, BINS])


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in [0.05, 20] that minimises the log loss of softmax(log p / T) (Guo et al. 2017).

    Meant for validation predictions, never for test labels. probabilities: (n, k); labels: class index (n,).
    """
    logits = _logits(probabilities)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return float((_log_sum_exp(scaled) - scaled[rows, labels]).mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x))


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
