"""The sizes that the confirmatory claims need: spreads are recovered from boards that were drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import power_needed


def known(claim: str = "H1", **changes: float) -> power_needed.Spreads:
    """Spreads of an imaginary board."""
    values = {"encoder": 4.0, "residual": 3.0, "by_set": 5.0, "seen": 0.0, "by_part": 2.0} | changes
    return power_needed.Spreads(claim, "mine", "", 0, **values)


@pytest.mark.parametrize(("claim", "test"), [("H1", "contrast"), ("H4", "spread_of_parts")])
def test_spreads_are_recovered(claim: str, test: str, monkeypatch) -> None:
    given = []
    real = getattr(power_needed, test)
    monkeypatch.setattr(power_needed, test, lambda *args: given.append(args) or real(*args))
    rng = np.random.default_rng(0)
    for _ in range(60):
        power_needed.rejects(known(claim, residual=9.0), 8, 24, 0.0, rng)
    apart = power_needed._of_parts if claim == "H4" else power_needed._of_groups
    found = np.sqrt((np.array([apart(*args) for args in given]) ** 2).mean(axis=0))
    expected = [0, 9, 5, 0, 2] if claim == "H4" else [4, 9, 5, np.sqrt(5**2 + 2 * 9**2 / 8)]
    np.testing.assert_allclose(found, expected, rtol=0.1)


def test_power_is_small_without_an_effect_and_grows_with_it() -> None:
    power = [power_needed.power(known(), 6, 12, effect, 200) for effect in (-8.0, 0.0, 8.0, 40.0)]
    assert power[0] < 0.01  # the wrong sign does not count
    assert power[1] < 0.06
    assert power[1] < power[2] < power[3] == 1


def test_the_fewest_encoders_with_the_power_are_found(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(power_needed, "power", lambda found, n, *rest: asked.append(n) or n / 10)
    assert power_needed.needed(known(), 8, 4.0, 1) == "8"
    assert asked == [4, 5, 6, 8]
    monkeypatch.setattr(power_needed, "power", lambda *args: 0.5)
    assert power_needed.needed(known(), 8, 4.0, 1) == "- (50%)"
