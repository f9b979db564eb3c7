import numpy as np

from bench.analysis import bootstrap


def test_rows_are_drawn_with_replacement_within_equal_labels():
    labels = np.array(list("aaab"))
    drawn = bootstrap.counts(labels, 400, np.random.default_rng(0))
    assert drawn.shape == (400, 4)
    assert (drawn[:, :3].sum(axis=1) == 3).all()
    assert (drawn[:, 3] == 1).all(), "alone under its label"
    assert set(np.unique(drawn[:, :3])) == {0, 1, 2, 3}
    np.testing.assert_allclose(drawn[:, :3].mean(axis=0), 1, atol=0.15)


def test_cluster_counts_draw_whole_clusters_and_keep_the_number_per_label():
    clusters = np.array(list("aabbcd"))
    labels = np.array([0, 0, 0, 0, 1, 1])
    drawn = bootstrap.cluster_counts(clusters, labels, 50, np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, [0, 2]].sum(1) == 2).all()
    assert (drawn[:, 4:].sum(1) == 2).all()
