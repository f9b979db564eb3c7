"""The Cox probe: the solution of statsmodels, a likelihood by hand, the penalty that held-out cases ask for."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad
from statsmodels.duration.hazard_regression import PHReg

from bench.data.budgets import Subset, subsets, why_invalid
from bench.encoders.features import Features
from bench.laws.problems import make_problem
from bench.metrics.set.c_index import METRIC
from bench.protocols.cox import FEW, PROTOCOL, CoxFit, SurvivalCases, likelihood


def cases(seed=0, n=80, d=6, ties=True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.5, 3, d) + 2
    time = rng.exponential(np.exp(-(x @ rng.normal(0, 0.3, d)))) * 10 + 0.1
    until = rng.exponential(20, n) + 0.1
    event = time <= until
    time = np.minimum(time, until)
    return SurvivalCases(x, np.ceil(time) if ties else time, event)


def test_the_likelihood_worked_out_by_hand():
    """Times 3, 2, 2, 1, of which the one at 3 and one at 2 are censored: who is at risk at 2 is 1, 2 and 3."""
    given = SurvivalCases(np.zeros((4, 1)), np.array([3.0, 2, 2, 1]), np.array([False, True, False, True]))
    a, b, c, d = risk = np.array([0.3, -0.2, 0.5, 0.1])
    at_two, at_one = np.exp([a, b, c]).sum(), np.exp(risk).sum()
    value, slope = likelihood(risk, given)
    assert value == pytest.approx(b - np.log(at_two) + d - np.log(at_one), abs=1e-12)
    share = np.exp(risk) / at_one
    expected = -share - np.exp(risk) / at_two * np.array([1, 1, 1, 0]) + np.array([0, 1, 0, 1])
    np.testing.assert_allclose(slope, expected, atol=1e-12)


def test_the_slope_is_that_of_the_value():
    given, risk = cases(), np.random.default_rng(1).normal(size=80)
    assert check_grad(lambda r: likelihood(r, given)[0], lambda r: likelihood(r, given)[1], risk) < 1e-4


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("alpha", [1e-2, 1.0])
def test_the_solution_is_that_of_another_program(alpha, ties):
    given = cases(ties=ties)
    (weights,) = CoxFit(given).weights([alpha])
    z = (given.x - given.x.mean(0)) / given.x.std(0)
    other = PHReg(given.time, z, status=given.event.astype(int), ties="breslow")
    expected = other.fit_regularized(alpha=alpha, L1_wt=0.0, start_params=weights * 0).params
    np.testing.assert_allclose(weights, expected, atol=2e-4)
    assert abs(weights).max() > 0.02
    mine, theirs = (likelihood(z @ w, given)[0] / 80 - alpha / 2 * w @ w for w in (weights, expected))
    assert mine >= theirs - 1e-10


def test_penalties_side_by_side_are_each_by_itself():
    given, alphas = cases(), [1.0, 1e-2, 0.1]
    alone = [CoxFit(given).weights([alpha])[0] for alpha in alphas]
    np.testing.assert_allclose(CoxFit(given).weights(alphas), alone, atol=1e-4)
    assert [abs(w).max() > 0.02 for w in alone] == [True] * 3


def test_a_censored_case_is_no_event():
    given = cases()
    (right,) = CoxFit(given).weights([1e-2])
    (wrong,) = CoxFit(given._replace(event=np.ones(80, bool))).weights([1e-2])
    assert abs(right - wrong).max() > 0.05


def test_more_features_than_cases_and_features_far_outside():
    given = cases(n=20, d=60, ties=False)
    fit = CoxFit(given)
    (weights,) = fit.weights([0.1])
    z = fit.scaled(given.x)
    slope = -(likelihood(z @ weights, given)[1] @ z) / 20 + 0.1 * weights
    assert abs(slope).max() < 1e-6
    assert fit.gap < 1e-9
    assert fit.scaled(np.full((1, 60), 1e9)).max() == 10


def problem(d_noise, seed=0, n=(80, 40, 200)):
    """One feature tells the hazard, the others nothing."""
    made, rng = make_problem("survival", sizes=n), np.random.default_rng(seed)

    def part(old, size):
        x = rng.normal(size=(size, 1 + d_noise)).astype(np.float32)
        time, until = rng.exponential(np.exp(-1.5 * x[:, 0])) + 1e-3, rng.exponential(3, size) + 1e-3
        labels = np.stack([np.minimum(time, until), time <= until], axis=1)
        return Features(x, None), labels

    (f, y), (fv, yv), (ft, yt) = (part(made, size) for size in n)
    test = replace(made.tests["test"], features=ft)
    train, val = replace(made.train, features=f, labels=y), replace(made.val, features=fv, labels=yv)
    return replace(made, train=train, val=val, tests={"test": test}), yt


def c_of(given, labels, output):
    from bench.metrics.base import Comparison

    return METRIC.value(Comparison(given.task, output, labels, np.ones((1, len(labels)), np.uint8), 2))[0]


def test_it_tells_who_is_first_and_the_penalty_follows_the_noise():
    found = []
    for noise in (0, 200):
        given, truth = problem(noise)
        (one,) = PROTOCOL.predict(given, [Subset("100%", 0, np.arange(80))])
        found.append((one.chosen["alpha"], c_of(given, truth, one.outputs["test"])))
        assert one.warnings == ()
    assert found[0][1] > 0.8
    assert found[1][0] > found[0][0]
    assert 0.55 < found[1][1] < found[0][1]


def test_folds_choose_a_strong_penalty_where_features_say_nothing():
    given, _ = problem(60)
    silent = replace(given.train, features=Features(given.train.features.pooled[:, 1:], None))
    tests = {"test": replace(given.tests["test"], features=Features(given.tests["test"].features.pooled[:, 1:], None))}
    (noise,) = PROTOCOL.predict(replace(given, train=silent, tests=tests), [Subset("50%", 0, np.arange(80))])
    (signal,) = PROTOCOL.predict(problem(0)[0], [Subset("50%", 0, np.arange(80))])
    assert noise.chosen["alpha"] >= 10
    assert signal.chosen["alpha"] <= 0.1


def test_few_events_are_not_tuned_on_and_folds_keep_patients_whole():
    given, _ = problem(3)
    few = np.flatnonzero(given.train.labels[:, 1] == 1)[: FEW - 1]
    (one,) = PROTOCOL.predict(given, [Subset("10%", 0, few)])
    assert one.chosen == {"alpha": 1.0}
    twice = np.repeat(np.arange(80), 2)[:80]
    groups = np.array([f"p{i}" for i in twice])
    same = replace(given.train, features=given.train.features.rows(twice), labels=given.train.labels[twice])
    subset = [Subset("50%", 0, np.arange(80))]
    (whole,) = PROTOCOL.predict(replace(given, train=replace(same, groups=groups)), subset)
    (torn,) = PROTOCOL.predict(replace(given, train=same), subset)
    assert whole.chosen["alpha"] >= torn.chosen["alpha"]


def test_budgets_are_stratified_by_event_and_need_two():
    given, _ = problem(0)
    labels = np.stack([np.arange(1.0, 101), np.arange(100) % 5 == 0], axis=1)
    tenths = subsets(given.task, labels, None, "10%", range(8))
    assert {labels[tenth.rows, 1].sum() for tenth in tenths} == {2}
    assert why_invalid(given.task, labels, tenths[0]) is None
    (hundredth,) = subsets(given.task, labels, None, "1%", [0])
    assert "of 'c0'; 2 are needed" in why_invalid(given.task, labels, hundredth)


def test_ill_conditioned_features_are_solved_and_what_is_not_is_said(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 200)) @ (rng.normal(size=(200, 200)) * np.logspace(0, -6, 200))
    given = SurvivalCases(x, rng.exponential(np.exp(-x[:, 0])) + 1e-3, rng.random(300) < 0.6)
    alphas = [10.0**e for e in range(-4, 5)]
    fit = CoxFit(given)
    found = fit.weights(alphas)
    assert fit.gap < 1e-6
    monkeypatch.setattr("bench.protocols.cox.STEPS", 5)
    short = CoxFit(given)
    # The bound holds: what was left after five steps is no further from the minimum than it says.
    for alpha, near, far in zip(alphas, found, short.weights(alphas), strict=True):
        loss = [-likelihood(fit.scaled(x) @ w, given)[0] / 300 + alpha / 2 * w @ w for w in (near, far)]
        assert -1e-9 <= loss[1] - loss[0] <= short.gap
    (told,) = PROTOCOL.predict(problem(60)[0], [Subset("100%", 0, np.arange(80))])
    assert "from its minimum" in told.warnings[0]
