"""Each protocol and kind of budget on one small frozen task, beside plain code (loops, scikit-learn)."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bench.data.budgets import Subset, subsets
from bench.encoders.features import Features
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.protocols.few_shot import PROTOCOL as FEW_SHOT
from bench.protocols.knn import PROTOCOL as KNN
from bench.protocols.linear import PROTOCOL as LINEAR
from bench.protocols.linear_v1 import PROTOCOL as LINEAR_V1

N, D, K = 240, 10, 3


@pytest.fixture(scope="module")
def frozen():
    """Features with a seldom seen column, three classes of unequal size, two images of each patient."""
    rng = np.random.default_rng(7)
    y = np.repeat(np.arange(K), (120, 80, 40))
    y = y[np.repeat(rng.permutation(N // 2), 2) * 2 + np.tile([0, 1], N // 2)]
    x = rng.normal(size=(N, D)) + 1.1 * np.eye(K, D)[y]
    x[:, -1] = np.where(rng.random(N) < 0.02, 40 * rng.random(N), 1e-3 * rng.random(N))
    query = rng.normal(size=(50, D)) + 1.1 * np.eye(K, D)[np.arange(50) % K]
    query[:5, -1] = 40
    return x.astype(np.float32), y, np.array([f"p{i // 2}" for i in range(N)]), query.astype(np.float32)


def problem_of(frozen, task_of, grouped=True):
    x, y, groups, query = frozen
    none = np.zeros((0, 8, 8, 1), np.uint8)
    train = Labelled(Features(x, None), y, groups if grouped else None, none)
    val = Labelled(Features(x[:0], None), y[:0], None, none)
    return Problem(task_of("multi-class", K, "golden"), train, val, {"test": Unlabelled(Features(query, None), none)})


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng([int.from_bytes(hashlib.sha256(b"golden").digest()[:8], "little"), seed])


def plain_prefix(y, groups, wanted: int, seed: int) -> list[int]:
    """Whole patients, so that every prefix holds each class by its share; a patient is of its rarest class."""
    patients = sorted(set(groups))
    members = defaultdict(list)
    for row, name in enumerate(groups):
        members[name].append(row)
    sizes = [int((y == c).sum()) for c in range(K)]
    kind = {p: min((int(y[r]) for r in members[p]), key=lambda c: (sizes[c], c)) for p in patients}
    order = generator(seed).permutation(len(patients))
    place, by_kind = {}, defaultdict(list)
    for i in order:
        by_kind[kind[patients[i]]].append(patients[i])
    for names in by_kind.values():
        for j, name in enumerate(names):
            place[name] = (j + 0.5) / len(names)
    turn = {patients[i]: t for t, i in enumerate(order)}
    ordered = sorted(patients, key=lambda p: (place[p], turn[p]))
    best, rows, taken = None, [], []
    for name in ordered:
        taken = taken + members[name]
        if best is None or abs(len(taken) - wanted) < best:
            best, rows = abs(len(taken) - wanted), taken
    return sorted(rows)


@pytest.mark.parametrize(("budget", "wanted"), [("1%", 2), ("5%", 12), ("10%", 24), ("25%", 60), ("n=16", 16)])
@pytest.mark.parametrize("grouped", [True, False])
def test_budgets_equal_a_plain_draw(budget, wanted, grouped, frozen, task_of):
    _, y, groups, _ = frozen
    names = groups if grouped else np.array([f"{i:03d}" for i in range(N)])
    task = task_of("multi-class", K, "golden")
    for seed in (0, 3):
        got = subsets(task, y, groups if grouped else None, budget, [seed])[0].rows
        assert got.tolist() == plain_prefix(y, names, wanted, seed)


def test_shots_equal_a_plain_draw(frozen, task_of):
    _, y, groups, _ = frozen
    got = subsets(task_of("multi-class", K, "golden"), y, groups, "k=4", [2])[0].rows
    rng, expected = generator(2), []
    for c in range(K):
        seen, first, later = set(), [], []
        for row in rng.permutation(np.flatnonzero(y == c)):
            (later if groups[row] in seen else first).append(int(row))
            seen.add(groups[row])
        expected += (first + later)[:4]
    assert got.tolist() == sorted(expected)


def test_few_shot_equals_distances_to_class_means(frozen, task_of):
    x, y, _, query = frozen
    problem = problem_of(frozen, task_of)
    subset = subsets(problem.task, y, None, "k=4", [1])[0]
    got = next(FEW_SHOT.predict(problem, [subset])).outputs["test"]
    support, labels = x[subset.rows].astype(float), y[subset.rows]
    centre = support.mean(0)
    support = np.stack([(v - centre) / np.linalg.norm(v - centre) for v in support])
    means = [support[labels == c].mean(0) for c in range(K)]
    assert np.ptp([np.linalg.norm(m) for m in means]) > 0.02  # their lengths matter
    for row, found in zip(query.astype(float), got, strict=True):
        v = (row - centre) / np.linalg.norm(row - centre)
        score = np.exp([-np.square(v - m).sum() / 2 for m in means])
        np.testing.assert_allclose(found, score / score.sum(), atol=1e-6)


def test_knn_inside_a_budget(frozen, task_of):
    x, y, groups, query = frozen
    problem = problem_of(frozen, task_of)
    subset = subsets(problem.task, y, groups, "10%", [0])[0]
    got = next(KNN.predict(problem, [subset]))
    support = x[subset.rows].astype(float)
    k = min(20, len(support) // 2)
    assert got.chosen == {"k": k}
    centre = support.mean(0)
    for row, found in zip(query.astype(float) - centre, got.outputs["test"], strict=True):
        cosine = [row @ (s - centre) / np.linalg.norm(row) / np.linalg.norm(s - centre) for s in support]
        near = sorted(range(len(support)), key=lambda i: -cosine[i])[:k]
        vote = np.zeros(K)
        for i in near:
            vote[y[subset.rows[i]]] += np.exp(cosine[i] / 0.07)
        np.testing.assert_allclose(found, vote / vote.sum(), atol=1e-5)


def plain_folds(y, groups, seed: int, folds: int) -> np.ndarray:
    """Patients shuffled, sorted by class, dealt out in turn."""
    patients = sorted(set(groups))
    order = np.random.default_rng([seed, folds]).permutation(len(patients))
    last = {p: int(y[np.flatnonzero(groups == p)[-1]]) for p in patients}
    dealt = sorted((patients[i] for i in order), key=lambda p: last[p])
    return np.array([dealt.index(g) % folds for g in groups])


def peer(x, y, c: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(C=c, tol=1e-10, max_iter=20000).fit(x, y)


@pytest.mark.parametrize("protocol", [LINEAR_V1, LINEAR], ids=["v1", "v2"])
def test_linear_inside_a_budget(protocol, frozen, task_of):
    x, y, groups, query = frozen
    problem = problem_of(frozen, task_of)
    subset = Subset("50%", 4, np.asarray(plain_prefix(y, groups, 120, 4)))
    got = next(protocol.predict(problem, [subset]))
    x, y, groups = x[subset.rows].astype(float), y[subset.rows], groups[subset.rows]
    mean, sd, limit = x.mean(0), x.std(0), 10 if protocol is LINEAR else np.inf
    x, query = (np.clip((v - mean) / sd, -limit, limit) for v in (x, query.astype(float)))
    fold, grid = plain_folds(y, groups, 4, 5), [10.0**e for e in range(-6, 6)]
    values = np.array([
        [roc_auc_score(y[fold == f], peer(x[fold != f], y[fold != f], c).predict_proba(x[fold == f]), multi_class="ovr")
         for c in grid] for f in range(5)
    ])  # fmt: skip
    means = values.mean(0)
    best = int(np.flatnonzero(means >= means.max() - 1e-12)[0])
    if protocol is LINEAR:
        error = np.std(values[:, best], ddof=1) / np.sqrt(5)
        near = [i for i in range(12) if means[i] >= means[best] - error]
        best = min(near, key=lambda i: (abs(i - 4), i))
    assert got.chosen["C"] == grid[best]
    np.testing.assert_allclose(got.outputs["test"], peer(x, y, grid[best]).predict_proba(query), atol=1e-4)


def test_linear_folds_never_split_a_patient_and_there_are_five(frozen):
    from bench.protocols.linear import held_out

    _, y, groups, _ = frozen
    folds = held_out(np.eye(K)[y], groups, 0)
    assert len(folds) == 5
    np.testing.assert_array_equal(folds.argmax(0), plain_folds(y, groups, 0, 5))
    for name in set(groups):
        assert len(set(folds.argmax(0)[groups == name])) == 1


def test_where_nothing_can_be_tuned_each_version_has_its_own_default(frozen, task_of):
    problem = problem_of(frozen, task_of)
    rows = np.sort(np.concatenate([np.flatnonzero(frozen[1] == c)[:2] for c in range(K)]))
    chosen = [next(p.predict(problem, [Subset("1%", 0, rows)])).chosen["C"] for p in (LINEAR_V1, LINEAR)]
    assert chosen == [1.0, 0.01]


def test_the_nearest_of_equal_candidates_is_the_smaller_c():
    # Everything is within one standard error: 0.01 itself; without it, the smaller of its two neighbours.
    values = np.array([[0.5, 0.6, 0.7, 0.6], [0.9, 0.8, 0.7, 0.8]])
    from bench.protocols.linear import Linear

    assert Linear("a", "A", [1e-3, 1e-2, 1e-1, 1.0])._pick(values)[0] == 1
    assert Linear("b", "B", [1e-4, 1e-3, 1e-1, 1.0])._pick(values)[0] == 1
    apart = np.array([[0.5, 0.6, 0.9, 0.6], [0.5, 0.6, 0.9, 0.6]])
    assert Linear("c", "C", [1e-3, 1e-2, 1e-1, 1.0])._pick(apart)[0] == 2
