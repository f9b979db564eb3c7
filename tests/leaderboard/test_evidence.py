import numpy as np

from bench.leaderboard.evidence import _known


def test_an_undefined_replicate_becomes_the_mean_of_the_others():
    assert _known(np.array([0.4, np.nan, 0.8]), 3).tolist() == [0.4, 0.6000000000000001, 0.8]
    assert np.isnan(_known(np.array([np.nan, np.nan]), 2)).all()
    assert np.isnan(_known(None, 4)).all()
