"""The choice of learning rates: one for all, unless a margin is above the noise of seeds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.pretrain.choice import choose, seed_noise


def outcomes(**by_objective):
    return {n.replace("_", "-"): {r: {"0": s} for r, s in found.items()} for n, found in by_objective.items()}


def test_without_measured_noise_all_take_the_rate_that_is_best_on_the_whole():
    found = choose(outcomes(mae={"0.001": 0.5, "0.01": 0.1}, simclr={"0.001": 0.3, "0.01": 0.4}))
    assert (found.common, found.noise) == (0.001, None)
    assert found.rates == {"mae": 0.001, "simclr": 0.001}
    assert found.best == {"mae": 0.001, "simclr": 0.01}
    assert found.margins["simclr"] == pytest.approx(0.1)


@pytest.mark.parametrize(("spread", "taken"), [(0.02, 0.01), (0.05, 0.001)])
def test_a_margin_counts_when_it_is_over_two_standard_errors(spread, taken):
    trials = outcomes(mae={"0.001": 0.5, "0.01": 0.1}, simclr={"0.001": 0.3, "0.01": 0.4})
    trials["mae"]["0.001"] |= {"1": 0.5 + spread, "2": 0.5 - spread}
    found = choose(trials)
    assert found.noise == pytest.approx(spread)
    assert found.rates == {"mae": 0.001, "simclr": taken}


def test_a_pathology_aware_objective_takes_the_rate_of_its_control(monkeypatch):
    monkeypatch.setattr("bench.pretrain.choice._control", {"anomaly-contrast": "simclr"}.get)
    trials = outcomes(
        mae={"0.001": 0.9, "0.01": 0.1},
        simclr={"0.001": 0.3, "0.01": 0.4},
        anomaly_contrast={"0.001": 0.5, "0.01": 0.3},
    )
    trials["mae"]["0.001"]["1"] = 0.9001
    assert choose(trials).rates == {"mae": 0.001, "simclr": 0.01, "anomaly-contrast": 0.01}


def test_the_noise_is_the_deviation_within_trials():
    rng = np.random.default_rng(0)
    groups = rng.normal(0, 0.03, (4, 3)) + rng.normal(0, 1, (4, 1))
    trials = {f"o{i}": {"0.1": {str(s): v for s, v in enumerate(g)}, "0.2": {"0": 9.0}} for i, g in enumerate(groups)}
    assert seed_noise(trials) == pytest.approx(np.sqrt(groups.var(1, ddof=1).mean()))
    assert seed_noise(outcomes(mae={"0.1": 0.5})) is None


def test_at_a_tie_the_lower_rate_is_taken():
    found = choose(outcomes(mae={"0.01": 0.5, "0.001": 0.5}))
    assert found.common == found.best["mae"] == 0.001
