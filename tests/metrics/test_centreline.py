import numpy as np
import pytest

from bench.metrics.centreline import centreline_dice


def line(*rows, width=30):
    mask = np.zeros((1, 12, width), bool)
    for row in rows:
        mask[0, row] = True
    return mask


def test_a_thicker_vessel_keeps_its_centreline():
    # The skeleton of a thick line forks into the corners of its two ends.
    assert centreline_dice(line(4, 5, 6), line(5))[0] == pytest.approx(1.0, abs=0.07)


def test_half_a_vessel_by_hand():
    half = line(5)
    half[0, :, 15:] = False
    # The whole of the predicted skeleton lies in the truth, half of the true one in the prediction.
    assert centreline_dice(half, line(5))[0] == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_empty_sides():
    empty = np.zeros((1, 12, 30), bool)
    assert np.isnan(centreline_dice(empty, empty)[0])
    assert centreline_dice(line(5), empty)[0] == 0
    assert centreline_dice(empty, line(5))[0] == 0
    assert centreline_dice(line(1), line(9))[0] == 0
