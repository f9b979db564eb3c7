import numpy as np
import pytest

from bench.leaderboard.compare import _p


@pytest.mark.parametrize("sign", [1, -1])
def test_the_p_value_is_two_sided_by_hand(sign):
    # 3 of 99 resamples lie on the other side of 0: 2 x (3 + 1) / (99 + 1).
    differences = sign * np.array([0.1] * 96 + [-0.1] * 3)
    assert _p(differences) == pytest.approx(0.08)
    assert _p(np.append(differences, np.nan)) == pytest.approx(0.08)
    assert _p(sign * np.full(99, 0.1)) == pytest.approx(0.02)
    assert _p(np.zeros(99)) == 1.0
