import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from bench.metrics.lesions import DIAMETERS, SIZES, _runs, lesion_counts, regions, size_bin


def test_bins_hold_their_lower_edge():
    assert size_bin(np.array([0.0049, 0.005, 0.0199, 0.02, 0.0999, 0.1, 1.0])).tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_counts_by_hand():
    truth, predicted = np.zeros((2, 2, 20, 20), bool)
    truth[0, 0, 0] = True  # 1 of 400 pixels: the smallest bin, missed
    truth[0, 5:9, 5:15] = True  # 40 pixels, 10 %: the largest bin, a tenth of it found
    predicted[0, 5, 5:9] = True
    predicted[0, 15:17, 15:17] = True  # 4 pixels, 1 %: false
    predicted[1, 0, 0] = True  # false, in an image without a lesion
    counts = lesion_counts(predicted, truth)
    assert counts[0].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert counts[1].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_less_than_a_tenth_is_not_found_and_a_flood_is_not_a_hit():
    truth, predicted = np.zeros((2, 1, 20, 20), bool)
    truth[0, 5:9, 5:15] = True
    predicted[0, 5, 5:8] = True  # 3 of 40 pixels
    assert lesion_counts(predicted, truth)[0, 3].tolist() == [1, 0, 0]
    flood = np.ones_like(truth)
    truth[0, 5:9, 6:15] = False  # 4 pixels left: found, but the flood itself is false
    assert lesion_counts(flood, truth)[0].sum(axis=0).tolist() == [1, 1, 1]


@given(st.integers(1, 4), st.integers(2, 9), st.sampled_from([(), (1,), (3,)]), st.integers(0, 10**6))
def test_regions_equal_scikit_image_one_image_at_a_time(n, side, depth, seed):
    rng = np.random.default_rng(seed)
    mask, other = rng.random((2, n, *depth, side, side + 1)) < rng.choice([0.1, 0.35, 0.6])
    found = regions(mask)
    expected = []
    for i in range(n):
        labelled = label(mask[i], connectivity=2 + len(depth))
        for c in range(1, labelled.max() + 1):
            here = labelled == c
            expected.append((i, here.sum(), bool((here & other[i]).sum() >= 0.1 * here.sum())))
    covered = found.covered(*_runs(mask & other))
    ours = zip(found.image.tolist(), found.size.tolist(), covered.tolist(), strict=True)
    assert sorted(ours) == sorted(expected)


def test_lesions_of_volumes_are_counted_in_three_dimensions_by_their_diameter():
    """Voxels of 4 x 2 x 2 mm, 16 mm3: a ball of 6 mm has 113 mm3, of 10 mm 524 mm3, of 20 mm 4189 mm3."""
    assert len(DIAMETERS) == len(SIZES)
    truth, predicted = np.zeros((2, 2, 10, 16, 16), bool)
    truth[0, 0, 0, 0] = truth[0, 1, 1, 1] = True  # two voxels at a corner of each other: one lesion of 32 mm3, missed
    truth[0, 3:5, 4:8, 4:8] = True  # 32 voxels, 512 mm3, found: a tenth of it is predicted
    predicted[0, 3, 4, 4:8] = True
    truth[0, 6:9, 1:15, 1:15] = True  # 588 voxels, 9408 mm3, missed
    predicted[1, :4, 4:12, 4] = True  # 32 voxels, false, in another volume
    predicted[1, 5, :, 9] = predicted[1, 6, :, 10] = True  # 32 voxels, one region across slices
    counts = lesion_counts(predicted, truth, np.full(2, truth[0].size * 16.0))
    assert counts[0].tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert counts[1].tolist() == [[0, 0, 0], [0, 0, 2], [0, 0, 0], [0, 0, 0]]


def test_diameters_hold_their_lower_edge_and_know_the_voxel():
    ball = np.pi / 6 * np.array([5.999, 6.001, 9.999, 10.001, 20.001]) ** 3
    assert size_bin(ball / 1e6, np.array(1e6)).tolist() == [0, 1, 1, 2, 3]
    assert size_bin(np.array([1e-3, 1e-3]), np.array([1e5, 1e7])).tolist() == [0, 3]
