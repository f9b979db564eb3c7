"""The ridge probe: scikit-learn's solution, the penalty that held-out images ask for, patients on one side."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from bench.data.budgets import Subset
from bench.encoders.features import Features
from bench.laws.problems import make_problem
from bench.protocols.ridge import PROTOCOL, Rows, solved


def data(seed, n=80, d=12, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.5, 3, d) + rng.normal(size=d)
    return Rows(x, x @ rng.normal(size=d) + noise * rng.normal(size=n) + 40, None)


@pytest.mark.parametrize("shape", [(80, 12), (20, 60)])
def test_the_solution_is_that_of_another_program(shape):
    known = data(0, *shape)
    new = known.x[::-1] + np.random.default_rng(1).normal(0, 0.1, shape)
    scale = known.x.std(0)
    for alpha in (1e-3, 1.0, 100.0):
        reference = Reference(alpha=alpha * len(known.y)).fit((known.x - known.x.mean(0)) / scale, known.y)
        expected = reference.predict((new - known.x.mean(0)) / scale)
        np.testing.assert_allclose(solved(known, new, [1.0, alpha])[1], expected, rtol=1e-7, atol=1e-7)


def test_features_far_outside_are_clipped():
    known = data(0)
    far = known.x[:1].copy()
    far[0, 0] = 1e9
    assert abs(solved(known, far, [1.0])[0, 0] - 40) < 200


def test_clipped_features_are_centred_anew():
    """One row far outside: its score is cut off at 10, so that the mean of the scores is no longer 0."""
    known = data(0, 160)
    known.x[0, :3] = 1e6
    z = np.clip((known.x - known.x.mean(0)) / known.x.std(0), -10, 10)
    assert abs(z.mean(0)).max() > 0.01
    expected = Reference(alpha=160.0).fit(z, known.y).predict(z)
    np.testing.assert_allclose(solved(known, known.x, [1.0])[0], expected, rtol=1e-7, atol=1e-7)


def problem(noise_features):
    """A made-up problem whose number is a feature, beside features that say nothing."""
    made, rng = make_problem("number", sizes=(60, 24, 20)), np.random.default_rng(0)

    def with_features(part, labels):
        told = labels[:, None] + rng.normal(0, 3, (len(labels), 1))
        x = np.concatenate([told, rng.normal(size=(len(labels), noise_features))], axis=1)
        return replace(part, features=Features(x.astype(np.float32), None))

    test_labels = rng.choice(made.train.labels, 20)
    return replace(
        made,
        train=with_features(made.train, made.train.labels),
        val=with_features(made.val, made.val.labels),
        tests={"test": with_features(made.tests["test"], test_labels)},
    ), test_labels


def test_useless_features_ask_for_a_larger_penalty():
    chosen = []
    for count in (1, 150):
        made, truth = problem(count)
        found = next(iter(PROTOCOL.predict(made, [Subset("100%", 0, np.arange(60))])))
        chosen.append(found.chosen["alpha"])
        assert np.corrcoef(found.outputs["test"][:, 0], truth)[0, 1] > (0.9 if count == 1 else 0.3)
    assert chosen[0] < chosen[1]


def test_folds_keep_patients_whole():
    """Features that know each patient, and numbers of patients: only whole patients show that nothing carries over."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(12), 5)
    x = np.eye(12)[patient] * 5
    made = make_problem("number", sizes=(60, 24, 20))
    labels = rng.normal(size=12)[patient]
    train = replace(made.train, features=Features(x.astype(np.float32), None), labels=labels)
    tests = {"test": replace(made.tests["test"], features=Features(x[:20].astype(np.float32), None))}

    def found(groups):
        given = replace(made, train=replace(train, groups=groups), tests=tests)
        return next(iter(PROTOCOL.predict(given, [Subset("10%", 0, np.arange(60))])))

    alone, grouped = found(None), found(patient.astype(str))
    assert alone.chosen["alpha"] < grouped.chosen["alpha"]


def test_few_images_are_not_tuned_and_classes_are_refused():
    made, _ = problem(1)
    assert next(iter(PROTOCOL.predict(made, [Subset("n=3", 0, np.arange(3))]))).chosen["alpha"] == 1.0
    assert "not for the target 'binary'" in PROTOCOL.refuses(make_problem("binary").task)
