import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import compute_dice, compute_iou

from bench.metrics.overlap import Areas, class_areas, dice_per_image, image_quality, mean_over_images_then_classes


@given(st.integers(1, 6), st.integers(2, 4), st.integers(0, 10**6))
def test_dice_and_iou_equal_monai(n, k, seed):
    rng = np.random.default_rng(seed)
    predicted, truth = rng.integers(0, k, (2, n, 5, 4)).astype(np.uint8)
    one_hot = [torch.tensor(np.eye(k)[m]).permute(0, 3, 1, 2) for m in (predicted, truth)]
    reference = compute_dice(*one_hot, include_background=False, ignore_empty=True).numpy()
    np.testing.assert_allclose(dice_per_image(predicted, truth, k), reference, atol=1e-6)
    shared, ours, theirs = class_areas(predicted, truth, k)
    iou = compute_iou(*one_hot, include_background=False, ignore_empty=True).numpy()
    np.testing.assert_allclose(
        np.where(theirs > 0, shared / np.maximum(ours + theirs - shared, 1), np.nan), iou, atol=1e-6
    )


def test_empty_masks():
    empty, full = np.zeros((1, 3, 3), np.uint8), np.ones((1, 3, 3), np.uint8)
    assert np.isnan(dice_per_image(empty, empty, 2)[0, 0])
    assert np.isnan(dice_per_image(full, empty, 2)[0, 0])
    assert dice_per_image(empty, full, 2)[0, 0] == 0


def test_mean_over_images_then_classes_by_hand():
    values = np.array([[1.0, 0.2], [0.5, np.nan], [np.nan, 0.4]])
    weights = np.array([[1, 1, 1], [2, 1, 0], [0, 3, 0]], np.uint8)
    # Replicate 2 holds no image of class 2, so class 1 stands alone.
    expected = [(0.75 + 0.3) / 2, (2.5 / 3 + 0.2) / 2, 0.5]
    assert mean_over_images_then_classes(values, weights) == pytest.approx(expected)


def test_the_quality_of_an_image_by_hand():
    ours, theirs = np.array([[4, 2], [3, 0], [0, 0], [0, 5]]), np.array([[4, 6], [3, 0], [0, 0], [0, 0]])
    shared = np.array([[2, 2], [3, 0], [0, 0], [0, 0]])
    # Two classes shown: 4 / 8 and 4 / 8; one shown: 6 / 6; none and none called; none and a false alarm.
    assert image_quality(Areas(shared, ours, theirs)).tolist() == [0.5, 1.0, 1.0, 0.0]
    # A class that is called and not shown does not count where another is shown.
    assert image_quality(Areas(np.array([[3, 0]]), np.array([[3, 7]]), np.array([[3, 0]]))).tolist() == [1.0]
