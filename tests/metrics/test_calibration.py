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


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_temperature_undoes_a_known_sharpening(sharpness):
    p = softmax(LOGITS * sharpness, axis=1)
    found = calibration.fit_temperature(p, LABELS)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 20001))
    losses = [-log_softmax(np.log(np.maximum(p, 1e-12)) / t, axis=1)[np.arange(800), LABELS].mean() for t in grid[::20]]
    assert found == pytest.approx(grid[::20][np.argmin(losses)], rel=0.01)
    assert found == pytest.approx(sharpness, rel=0.15)
    np.testing.assert_allclose(calibration.apply_temperature(p, sharpness), softmax(LOGITS, axis=1), atol=1e-5)


def test_temperature_keeps_certain_answers_finite():
    p = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert np.isfinite(calibration.apply_temperature(p, calibration.fit_temperature(p, np.array([0, 1, 1])))).all()
