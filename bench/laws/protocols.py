"""Laws that every protocol keeps, as tests of pytest.

A test module of a new protocol imports all of this module and says which protocol is meant:

    from bench.laws.protocols import *

    @pytest.fixture
    def protocol():
        return NearestMean()
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from bench.budget import FULL, NONE, Budget
from bench.data.budgets import Subset, subsets, why_invalid
from bench.encoders.features import Features
from bench.errors import DataError
from bench.features.resident import CPU, Resident
from bench.laws.problems import DEPTH, make_problem, volumes_of
from bench.protocols.base import Unlabelled, base_split
from bench.words import SCALARS

BUDGETS = [Budget(text) for text in ("1%", "10%", "25%", "100%", "k=0", "k=2", "k=8", "n=1", "n=16")]
TARGETS = ["binary", "multi-class", "multi-label", "ordinal", "mask", "number", "survival"]
TOLERANCE = 1e-4


@pytest.fixture
def protocol():
    """The protocol under test: to be overridden."""
    raise NotImplementedError("say which protocol is meant: a fixture called 'protocol'")


@pytest.fixture
def seeing_all_rows(protocol):
    """The protocol as it is when no row is left out by chance; overridden where a protocol draws rows."""
    return protocol


@pytest.fixture
def problem_of():
    """`bench.laws.problems.make_problem`."""
    return make_problem


def usual_target(protocol):
    """The target of most tasks that the protocol is for."""
    common = "mask" if protocol.kind == "dense" else "multi-class"
    return common if common in protocol.targets else protocol.targets[0]


def fitting(protocol, problem_of, target, **more):
    """A problem with this target; of volumes where the protocol is for nothing else, as many of them."""
    if protocol.volumes == "only" and target == "mask":
        sizes = tuple(DEPTH * n for n in more.pop("sizes", (60, 24, 20)))
        return volumes_of(problem_of(target, sizes=sizes, **more))
    return problem_of(target, **more)


def usual(protocol, problem_of, **sizes):
    """A problem the protocol is for, and a subset it takes."""
    problem = fitting(protocol, problem_of, usual_target(protocol), **sizes)
    return problem, subsets(problem.task, problem.train.labels, None, usual_budget(protocol, FULL), [0])


def usual_budget(protocol, share):
    """`share` of the labels where the protocol takes a share, else four labels a class, else none."""
    return share if "%" in protocol.takes else "k=4" if "k=" in protocol.takes else NONE


def some(part, rows):
    """Some rows of a split, but for their labels."""
    own = {name: getattr(part, name) for name in ("images", "sizes", "spacing")}
    rest = {name: None if array is None else array[rows] for name, array in own.items()}
    return replace(part, features=part.features.rows(rows), **rest)


def test_same_seed_same_bytes(protocol, problem_of):
    problem, chosen = usual(protocol, problem_of)
    first, again = (list(protocol.predict(problem, chosen)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert a.chosen == b.chosen
        assert a.outputs.keys() == b.outputs.keys()
        assert all(a.outputs[name].tobytes() == b.outputs[name].tobytes() for name in a.outputs)


def test_thread_count_does_not_matter(protocol, problem_of):
    problem, chosen = usual(protocol, problem_of, sizes=(36, 12, 9))
    found, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(next(iter(protocol.predict(problem, chosen))))
    torch.set_num_threads(before)
    assert_close(*found)


def test_order_and_company_of_test_images_do_not_matter(protocol, problem_of):
    problem, chosen = usual(protocol, problem_of)
    test = problem.tests["test"]
    turned = np.random.default_rng(1).permutation(len(test.images))[:9]
    part = some(test, turned)
    whole = next(iter(protocol.predict(problem, chosen)))
    alone = next(iter(protocol.predict(replace(problem, tests={"test": part}), chosen)))
    for name, output in alone.outputs.items():
        assert abs(output.astype(float) - whole.outputs[name][turned]).max() <= TOLERANCE


def test_row_order_of_training_does_not_matter(seeing_all_rows, problem_of):
    protocol = seeing_all_rows
    problem, chosen = usual(protocol, problem_of)
    order = np.random.default_rng(2).permutation(len(problem.train.labels))
    moved = replace(some(problem.train, order), labels=problem.train.labels[order])
    rows = np.sort(np.argsort(order)[chosen[0].rows])
    a = next(iter(protocol.predict(problem, chosen)))
    b = next(iter(protocol.predict(replace(problem, train=moved), [replace(chosen[0], rows=rows)])))
    assert_close(a, b)


@pytest.mark.parametrize("free", [1 << 40, 0], ids=["on a device", "spilled"])
def test_where_features_lie_does_not_matter(protocol, problem_of, free):
    problem, chosen = usual(protocol, problem_of)
    there = Resident(CPU, free=lambda: free)
    a = next(iter(protocol.predict(problem, chosen)))
    b = next(iter(protocol.predict(replace(problem, resident=there), chosen)))
    assert_close(a, b)
    assert there.megabytes["device" if free == 0 else "host"] == 0


def test_only_the_rows_of_the_subset_are_learnt_from(protocol, problem_of):
    problem, _ = usual(protocol, problem_of)
    chosen = subsets(problem.task, problem.train.labels, None, usual_budget(protocol, "25%"), [3])
    labels = problem.train.labels.copy()
    others = np.setdiff1d(np.arange(len(labels)), chosen[0].rows)
    labels[others] = np.roll(labels[others], 1, axis=0)
    spoilt = replace(
        problem, train=replace(problem.train, labels=labels), val=replace(problem.val, labels=problem.val.labels * 0)
    )
    a, b = (next(iter(protocol.predict(p, chosen))) for p in (problem, spoilt))
    assert a.chosen == b.chosen
    assert all(np.array_equal(a.outputs[name], b.outputs[name]) for name in a.outputs)


def test_a_protocol_cannot_read_test_labels():
    assert [f.name for f in fields(Unlabelled)] == ["features", "images", "spacing", "sizes"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_at_every_budget_works_or_is_refused_with_a_reason(protocol, target, problem_of):
    problem = fitting(protocol, problem_of, target)
    if protocol.bags == "only":
        bags = problem.task.model_copy(update={"source": {"reader": "none", "bags": True}})
        problem = replace(problem, task=bags)
    if reason := protocol.refuses(problem.task):
        assert len(reason) > 10
        return
    for budget in BUDGETS:
        if reason := protocol.refuses_budget(budget):
            assert protocol.name in reason
            continue
        try:
            chosen = subsets(problem.task, problem.train.labels, None, budget, [0])
        except DataError:
            assert budget.kind != "%"  # asks for more than there is, or for shots where there are none
            continue
        if reason := why_invalid(problem.task, problem.train.labels, chosen[0]):
            assert "needed" in reason or "no label" in reason
            continue
        check_output(problem, next(iter(protocol.predict(problem, chosen))))


def check_output(problem, prediction):
    assert {base_split(name) for name in prediction.outputs} == set(problem.tests)
    for name, output in prediction.outputs.items():
        n = len(problem.tests[base_split(name)].features) if name in problem.tests else len(output)
        if problem.task.kind == "dense":
            assert output.shape == (n, *problem.mask_size)
            assert output.dtype == np.uint8
            assert output.max() < len(problem.task.classes)
            continue
        assert output.shape == (n, len(problem.task.classes))
        assert output.dtype == np.float32
        if problem.task.target in SCALARS:
            assert np.isfinite(output).all()
            continue
        assert output.min() >= 0
        assert output.max() <= 1 + 1e-6
        if problem.task.target != "multi-label":
            np.testing.assert_allclose(output.sum(1), 1, atol=1e-5)


def test_a_class_without_training_images_does_not_break_it(protocol, problem_of):
    if set(protocol.targets) & {*SCALARS}:
        pytest.skip("a number has no classes")
    problem = fitting(protocol, problem_of, usual_target(protocol), k=4)
    kept = np.flatnonzero(~(problem.train.labels == 3).reshape(len(problem.train.labels), -1).any(1))
    if protocol.kind == "dense":
        labels = np.where(problem.train.labels == 3, 0, problem.train.labels)
        problem, kept = replace(problem, train=replace(problem.train, labels=labels)), np.arange(len(labels))
    check_output(problem, next(iter(protocol.predict(problem, [Subset(FULL, 0, kept)]))))


def test_a_constant_encoder_gives_finite_predictions(protocol, problem_of):
    problem, chosen = usual(protocol, problem_of)

    def flat(part):
        found = (np.ones_like(getattr(part.features, name)) for name in ("pooled", "grid", "members"))
        return replace(part, features=Features(*found))

    tests = {name: flat(test) for name, test in problem.tests.items()}
    constant = replace(problem, train=flat(problem.train), val=flat(problem.val), tests=tests)
    for output in next(iter(protocol.predict(constant, chosen))).outputs.values():
        assert np.isfinite(output).all()


def assert_close(a, b):
    assert a.chosen.keys() == b.chosen.keys()
    for name, value in a.chosen.items():  # a fitted temperature moves with rounding, a chosen C does not
        assert b.chosen[name] == (pytest.approx(value, rel=1e-3) if name == "temperature" else value)
    for name in a.outputs:
        if a.outputs[name].dtype == np.uint8:  # masks: a pixel on the threshold may fall either way
            assert (a.outputs[name] != b.outputs[name]).mean() <= TOLERANCE
        else:
            assert abs(a.outputs[name] - b.outputs[name]).max() <= TOLERANCE
