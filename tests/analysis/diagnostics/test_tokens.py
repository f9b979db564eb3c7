"""Diagnostics of patch grids on grids worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from bench.analysis.diagnostics.tokens import (
    _cover,
    _mean_cosine,
    dense_structure,
    high_norm_share,
    pathology_contrast,
)  # fmt: skip


@pytest.mark.parametrize(("size", "grid"), [((4, 4), (2, 2)), ((5, 7), (2, 3)), ((6, 4), (3, 1)), ((2, 2), (4, 4))])
def test_cover_is_the_share_of_lesion_in_each_patch(size, grid):
    mask = np.random.default_rng(0).random(size) < 0.6
    held: dict[tuple[int, int], list[bool]] = {}
    for i, j in np.ndindex(*size):
        held.setdefault((i * grid[0] // size[0], j * grid[1] // size[1]), []).append(mask[i, j])
    expected = np.zeros(grid)
    for place, values in held.items():
        expected[place] = np.mean(values)
    np.testing.assert_allclose(_cover(mask, grid), expected)


def test_mean_cosine_is_over_pairs_of_different_rows():
    z = np.random.default_rng(0).normal(size=(5, 3))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    assert _mean_cosine(z) == pytest.approx(np.mean([z[i] @ z[j] for i in range(5) for j in range(5) if i != j]))


def test_a_patch_is_of_the_lesion_from_half_of_it_on_and_the_ring_holds_none():
    """Patches of 4 x 4 pixels: two of the lesion, one a quarter covered that is neither, the rest ring or far."""
    mask = np.zeros((32, 32), bool)
    mask[12:16, 12:14] = True  # half of patch (3, 3)
    mask[12:16, 16:20] = True  # all of patch (3, 4)
    mask[16:20, 12:13] = True  # a quarter of patch (4, 3): 28 pixels of 1,024 in all
    grid = np.random.default_rng(1).normal(size=(8, 8, 4))
    z = grid - grid.mean(axis=(0, 1))
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    far = np.ones((8, 8), bool)
    far[1:6, 1:7] = False
    ring = [z[i, j] for i in range(1, 6) for j in range(1, 7) if (i, j) not in ((3, 3), (3, 4), (4, 3))]
    lesion = [z[3, 3], z[3, 4]]
    expected = lesion[0] @ lesion[1] - np.mean([a @ b for a in lesion for b in ring])
    images = [np.stack([x] * 4) for x in (grid, mask)]
    found = pathology_contrast(*images)
    assert found["2-10%"] == pytest.approx(expected)
    assert [name for name, value in found.items() if value is not None] == ["2-10%"]
    assert pathology_contrast(*(x[:3] for x in images))["2-10%"] is None, "three images say nothing"


def test_images_without_a_lesion_or_without_a_ring_are_passed_over():
    grid = np.random.default_rng(2).normal(size=(6, 8, 8, 4))
    masks = np.zeros((6, 32, 32), bool)
    masks[:4, 12:16, 12:20] = True
    masks[5] = True
    four = pathology_contrast(grid[:4], masks[:4])
    assert pathology_contrast(grid, masks) == four
    masks[4, :2, :2] = True  # less than half of its only patch: a single patch, so no pair
    assert pathology_contrast(grid, masks) == four


def test_norms_stand_out_beyond_four_deviations_of_the_median():
    norms = np.concatenate([np.full(40, 9.0), np.full(19, 10.0), np.full(38, 11.0), [10 + 5.9, 10 + 5.95, 20.0]])
    grid = np.zeros((1, 10, 10, 2))
    grid[..., 1] = norms.reshape(10, 10)  # median 10, deviation 1.4826, four of them 5.93
    assert high_norm_share(grid) == pytest.approx(2 / 100)
    assert high_norm_share(grid, times=3.9) == pytest.approx(3 / 100)
    assert high_norm_share(np.ones((1, 3, 3, 2))) == 0


def test_dense_structure_is_its_three_parts():
    grid = np.random.default_rng(3).normal(size=(3, 4, 4, 5))
    tokens = grid.reshape(-1, 5) / np.linalg.norm(grid.reshape(-1, 5), axis=1, keepdims=True)
    for clusters, weight in ((8, 1.0), (3, 0.5)):
        centres = KMeans(clusters, n_init=3, random_state=0).fit(tokens).cluster_centers_
        near = np.sort(cdist(tokens, centres), axis=1)
        s = np.linalg.svd(tokens - tokens.mean(axis=0), compute_uv=False)
        dimension = np.exp(-np.sum(s / s.sum() * np.log(s / s.sum()))) / 5
        expected = near[:, 1].mean() - near[:, 0].mean() + weight * dimension
        options = {} if clusters == 8 else {"clusters": clusters, "weight": weight}
        assert dense_structure(grid, **options) == pytest.approx(expected)
    assert dense_structure(grid, max_tokens=24) == pytest.approx(dense_structure(grid.reshape(1, 48, 1, 5)[:, ::2]))
