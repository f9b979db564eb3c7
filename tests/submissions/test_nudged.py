"""Differences that are all for the better are told from those of another machine."""

from __future__ import annotations

import numpy as np

from bench.submissions.nudged import ADVANTAGE, Differences, sign_test


def test_the_sign_test_counts_what_differs() -> None:
    assert sign_test(np.array([0.0, 0.0])) == (0, 0, 1.0)
    better, of, p = sign_test(np.array([1e-3] * 9 + [-1e-3] + [0.0] * 50))
    assert (better, of) == (9, 10)
    assert abs(p - 11 / 1024) < 1e-12


def test_another_machine_is_no_forger() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        cases = [rng.normal(0, 1e-3, 60) * (rng.random(60) < 0.5) for _ in range(20)]
        assert Differences(units=[float(c.mean()) for c in cases], cases=cases).problems() == []


def test_a_nudge_in_one_direction_is_found() -> None:
    cases = [np.full(30, 0.003) for _ in range(2)]
    (told,) = Differences(units=[0.003, 0.003], cases=cases).problems()
    assert "60 of 60 cases that differ from a rerun are better as sent" in told
    (told,) = Differences(units=[0.003] * 20).problems()
    assert "20 of 20 units" in told
    small = Differences(units=[ADVANTAGE / 2] * 30)
    assert small.problems() == []
    worse = Differences(units=[-0.003] * 30, cases=[np.full(30, -0.003)])
    assert worse.problems() == []
