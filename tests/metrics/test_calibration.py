import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from bench.metrics import calibration

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (800, 4))
LABELS = np.array([RNG.choice(4, p=p) for p in softmax(LOGITS, axis=1)])
ONE = np.ones((1, 800), np.uint8)


def test_calibration_error_equals_torchmetrics():
    p = softmax(LOGITS, axis=1)
    reference = multiclass_calibration_error(torch.tensor(p), torch.tensor(LABELS), 4, n_bins=15, norm="l1")
    assert calibration.calibration_error(LABELS, p, ONE)[0] == pytest.approx(float(reference), abs=1e-6)


@pytest.mark.parametrize("edge", range(8, 15))
def test_the_upper_edge_belongs_to_a_bin_as_in_torchmetrics(edge):
    """Confidences on an edge, one right and one wrong just below it: the two are averaged in one bin."""
    confidence = np.array([edge / 15, edge / 15 - 0.03, edge / 15 + 0.03])
    p, labels, once = np.stack([confidence, 1 - confidence], 1), np.array([0, 1, 0]), np.ones((1, 3), np.uint8)
    lower, upper = (1 - confidence[0]) + (0 - confidence[1]), 1 - confidence[2]
    assert calibration.calibration_error(labels, p, once)[0] == pytest.approx((abs(lower) + abs(upper)) / 3)


def test_certain_answers_fill_the_last_bin():
    p, once = np.array([[1.0, 0.0], [0.94, 0.06]]), np.ones((1, 2), np.uint8)
    assert calibration.calibration_error(np.array([1, 0]), p, once)[0] == pytest.approx(abs(-1 + 0.06) / 2)


def folded_mean(mean, deviation):
    return np.abs(np.random.default_rng(0).normal(mean, deviation, 2_000_000)).mean()


def test_the_correction_by_hand():
    """Two bins. Confidence .7: 3 of 4 right, gap .05, variance of the mean 3/16 * 4/3 / 4; .9: one case, .9 * .1."""
    confidence = np.array([0.7, 0.7, 0.7, 0.7, 0.9])
    p, labels, once = np.stack([confidence, 1 - confidence], 1), np.array([0, 0, 0, 1, 0]), np.ones((1, 5), np.uint8)
    first = 2 * 0.05 - folded_mean(0.05, np.sqrt(3 / 16 / 3))
    second = 2 * 0.1 - folded_mean(0.1, np.sqrt(0.09))
    assert calibration.corrected_calibration_error(labels, p, once)[0] == pytest.approx(
        max(0, (4 * first + second) / 5), abs=1e-3
    )
    wrong = np.array([1, 1, 1, 0, 1])
    first = 2 * 0.45 - folded_mean(0.45, np.sqrt(3 / 16 / 3))
    second = 2 * 0.9 - folded_mean(0.9, np.sqrt(0.09))
    assert calibration.corrected_calibration_error(wrong, p, once)[0] == pytest.approx(
        (4 * first + second) / 5, abs=1e-3
    )


@pytest.mark.parametrize(("shift", "bias"), [(0.0, 0.028), (0.05, 0.01), (0.1, 0.01)])
def test_the_correction_takes_the_bias_and_its_interval_covers(shift, bias):
    rng, n, true = np.random.default_rng(0), 200, shift
    found, covered = [], []
    for _ in range(60):
        confidence = 0.6 + 0.4 * rng.beta(3, 1, n)
        p, y = np.stack([confidence, 1 - confidence], 1), (rng.random(n) >= confidence - shift).astype(int)
        weights = np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), 100)]).astype(np.uint8)
        value, *draws = calibration.corrected_calibration_error(y, p, weights)
        found.append(value - true)
        covered.append(np.quantile(draws, 0.025) <= true <= np.quantile(draws, 0.975))
        plain = calibration.calibration_error(y, p, weights[:1])[0]
        assert value <= plain
    assert abs(np.mean(found)) < bias
    assert np.mean(covered) > (0.5 if shift == 0 else 0.88)


def test_brier_equals_scikit_learn_for_two_classes():
    p = softmax(LOGITS[:, :2], axis=1)
    y = (LABELS > 1).astype(int)
    assert calibration.brier(y[:, None], p[:, 1:], ONE)[0] == pytest.approx(brier_score_loss(y, p[:, 1]))


def test_weights_are_repetitions():
    p, w = softmax(LOGITS, axis=1), RNG.integers(0, 3, (1, 800)).astype(np.uint8)
    rows = np.repeat(np.arange(800), w[0])
    once = np.ones((1, len(rows)), np.uint8)
    for metric, truth in ((calibration.calibration_error, LABELS), (calibration.brier, np.eye(4)[LABELS])):
        assert metric(truth, p, w)[0] == pytest.approx(metric(truth[rows], p[rows], once)[0])


@pytest.mark.parametrize("sharpness", [0.5, 2.0])
def test_temperature_undoes_a_known_sharpening(sharpness):
    p = softmax(LOGITS * sharpness, axis=1)
    found = calibration.fit_temperature(p, LABELS)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 20001))
    losses = [-log_softmax(np.log(np.maximum(p, 1e-12)) / t, axis=1)[np.arange(800), LABELS].mean() for t in grid[::20]]
    assert found == pytest.approx(grid[::20][np.argmin(losses)], rel=0.01)
    assert found == pytest.approx(sharpness, rel=0.15)
    np.testing.assert_allclose(calibration.apply_temperature(p, sharpness), softmax(LOGITS, axis=1), atol=1e-5)


def test_a_temperature_within_the_noise_of_few_images_is_1():
    """Calibrated as they are; what fits 40 of them best is another temperature each time, and none is used."""
    p = softmax(LOGITS, axis=1)
    parts = [slice(i, i + 40) for i in range(0, 800, 40)]
    found = np.array([calibration.fit_temperature(p[s], LABELS[s]) for s in parts])
    assert (found == 1).mean() >= 0.85
    assert calibration.fit_temperature(p, LABELS) == 1
    assert calibration.fit_temperature(p[:1], LABELS[:1]) == 1


def test_two_standard_errors_decide():
    """A gain g with standard error s in so many copies: s shrinks with their root, and the temperature is used."""
    p, labels = np.array([[0.9, 0.1]] * 10), np.array([0] * 6 + [1] * 4)
    assert calibration.fit_temperature(p, labels) == 1
    many = calibration.fit_temperature(np.repeat(p, 9, axis=0), np.repeat(labels, 9))
    assert many == pytest.approx(np.log(9) / np.log(1.5), rel=1e-3)


def test_temperature_keeps_certain_answers_finite():
    p = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert np.isfinite(calibration.apply_temperature(p, calibration.fit_temperature(p, np.array([0, 1, 1])))).all()
