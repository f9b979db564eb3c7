import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.spatial.distance import cdist
from surface_distance import compute_robust_hausdorff, compute_surface_distances

from bench.metrics.surface_volumes import diagonals, volume_surfaces

MM = np.array([4.0, 1.5, 0.75])
"""Planes, rows and columns: no two alike."""
SHAPE = (12, 20, 28)


def balls(seed: int) -> np.ndarray:
    """bool SHAPE: three balls, round in millimetres."""
    rng = np.random.default_rng(seed)
    places = np.moveaxis(np.indices(SHAPE), 0, -1) * MM
    centres, radii = rng.uniform(0, np.array(SHAPE) * MM, (3, 3)), rng.uniform(4, 11, 3)
    return np.any([np.linalg.norm(places - c, axis=-1) <= r for c, r in zip(centres, radii, strict=True)], axis=0)


TRUTH = np.stack([balls(seed) for seed in range(6)]).astype(np.uint8)
PREDICTED = np.roll(TRUTH, (1, 2, 2), axis=(1, 2, 3)) | np.stack([balls(seed) for seed in range(6, 12)])
SPACING = np.tile(MM, (6, 1))


def two_classes(masks):
    return torch.tensor(np.stack([masks == 0, masks == 1], axis=1))


def test_both_equal_monai_with_spacing():
    dice, distance = volume_surfaces(PREDICTED, TRUTH, 1, SPACING)
    ours, theirs, mm = two_classes(PREDICTED), two_classes(TRUTH), {"spacing": MM.tolist()}
    reference = compute_surface_dice(ours, theirs, class_thresholds=[2.0], **mm)
    np.testing.assert_allclose(dice, reference[:, 0].numpy(), atol=1e-6)
    reference = compute_hausdorff_distance(ours, theirs, percentile=95, **mm)
    np.testing.assert_allclose(distance, reference[:, 0].numpy(), atol=1e-5)


def test_hausdorff_is_near_deepmind_surface_distance():
    """Their border runs between voxels and is weighed by its area: near for shifted shapes, not equal."""
    moved = np.roll(TRUTH, (1, 1, 2), axis=(1, 2, 3))
    _, ours = volume_surfaces(moved, TRUTH, 1, SPACING)
    pairs = [compute_surface_distances(t > 0, p > 0, MM.tolist()) for t, p in zip(TRUTH, moved, strict=True)]
    theirs = np.array([compute_robust_hausdorff(pair, 95) for pair in pairs])
    assert np.median(np.abs(ours - theirs)) < 0.5 * MM.max()


def border_by_hand(mask):
    around = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(3):
        for step in (-1, 1):
            inner &= np.roll(around, step, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(mask & ~inner) * MM


@pytest.mark.parametrize("seed", range(8))
def test_equal_to_every_distance_of_every_pair(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = (rng.random((2, 5, 6, 7)) < 0.3).astype(np.uint8)
    dice, distance = volume_surfaces(predicted[None], truth[None], 1, MM[None])
    between = cdist(border_by_hand(predicted == 1), border_by_hand(truth == 1))
    there, back = between.min(1), between.min(0)
    assert distance[0] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert dice[0] == pytest.approx(((there <= 2).sum() + (back <= 2).sum()) / (len(there) + len(back)))


def test_a_voxel_moved_along_each_axis_by_hand():
    truth = np.zeros((3, 4, 5, 6), np.uint8)
    truth[:, 1, 1, 1] = 1
    predicted = np.stack([np.roll(truth[0], 1, axis) for axis in range(3)])
    dice, distance = volume_surfaces(predicted, truth, 1, np.tile(MM, (3, 1)))
    assert distance.tolist() == [4.0, 1.5, 0.75]
    assert dice.tolist() == [0, 1, 1]  # 4 mm is beyond the tolerance of 2 mm


def test_each_volume_has_its_own_spacing_and_each_class_its_own_border():
    truth = np.zeros((2, 4, 5, 6), np.uint8)
    truth[:, 1, 1, 1], truth[:, 3, 3, 3] = 1, 2
    predicted = np.roll(truth, 1, axis=3)
    _, distance = volume_surfaces(predicted, truth, 2, np.array([[1.0, 1, 3], [1, 1, 5]]))
    assert distance.tolist() == [3, 5]


def test_without_one_of_the_masks():
    full, empty = np.ones((1, *SHAPE), np.uint8), np.zeros((1, *SHAPE), np.uint8)
    dice, distance = volume_surfaces(np.concatenate([full, empty, empty]), np.concatenate([empty, full, empty]), 1,
                                     SPACING[:3])  # fmt: skip
    assert dice[:2].tolist() == [0, 0]
    np.testing.assert_allclose(distance[:2], np.sqrt((12 * 4.0) ** 2 + (20 * 1.5) ** 2 + (28 * 0.75) ** 2))
    assert np.isnan([dice[2], distance[2]]).all()
    assert diagonals((1, 1, 1), MM[None])[0] == pytest.approx(np.sqrt(4**2 + 1.5**2 + 0.75**2))
