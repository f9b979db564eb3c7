"""The dense protocols, their inner choices too, on one small frozen task beside plain numpy and scikit-learn."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from bench.data.budgets import Subset
from bench.encoders.features import Features
from bench.laws.problems import make_task
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.protocols.dense_linear import PROTOCOL as LINEAR
from bench.protocols.dense_retrieval import PROTOCOL as RETRIEVAL

K, SIDE, GRID, D = 3, 16, 4, 5
OFFSETS = np.arange(-8, 8.25, 0.25)
STRENGTHS = [10.0**e for e in range(-6, 4)]


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Small findings of two classes, a third of the images without any; patches that half tell them."""
    rng = np.random.default_rng(11)

    def part(n: int) -> Labelled:
        masks = np.zeros((n, SIDE, SIDE), np.uint8)
        for mask in masks[: 2 * n // 3]:
            for c in np.flatnonzero(rng.random(K - 1) < 0.6) + 1:
                top, left = rng.integers(0, SIDE - 5, 2)
                mask[top : top + rng.integers(2, 6), left : left + rng.integers(2, 6)] = c
        grid = rng.normal(size=(n, GRID, GRID, D)) + 2.5 * shares_of(masks) @ np.eye(K, D)
        return Labelled(Features(None, grid.astype(np.float32)), masks, None, np.zeros((n, 1, 1, 1), np.uint8))

    train, val, test = part(30), part(18), part(15)
    return Problem(make_task("mask", K, "golden"), train, val, {"test": Unlabelled(test.features, test.images)},
                   (SIDE, SIDE))  # fmt: skip


def shares_of(masks: np.ndarray) -> np.ndarray:
    """(n, 4, 4, k): the share of each class in each patch of 4 x 4 pixels."""
    tiles = masks.reshape(len(masks), GRID, 4, GRID, 4)
    return np.stack([(tiles == c).mean((2, 4)) for c in range(K)], axis=-1)


def enlarged(scores: np.ndarray) -> np.ndarray:
    """(n, 4, 4, k) to (n, 16, 16, k): bilinear, half-pixel centres, edges repeated."""
    place = np.clip((np.arange(SIDE) + 0.5) * GRID / SIDE - 0.5, 0, GRID - 1)
    weight = np.maximum(1 - np.abs(place[:, None] - np.arange(GRID)), 0)
    return np.einsum("hi,wj,nijk->nhwk", weight, weight, scores)


def masks_at(scores: np.ndarray, offset: float) -> np.ndarray:
    front = scores[..., 1:]
    return np.where(front.max(-1) - scores[..., 0] > offset, front.argmax(-1) + 1, 0)


def mean_dice(masks: np.ndarray, truth: np.ndarray) -> float:
    """Over images that show a class or are said to, then over classes."""
    classes = []
    for c in range(1, K):
        ours, theirs = (masks == c).sum((1, 2)), (truth == c).sum((1, 2))
        counts = ours + theirs > 0
        both = ((masks == c) & (truth == c)).sum((1, 2))
        classes.append((2 * both[counts] / (ours + theirs)[counts]).mean())
    return float(np.mean(classes))


def operating_point(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Dice and offset: the best, the nearest to 0 of equal ones."""
    up = enlarged(scores)
    dice = [mean_dice(masks_at(up, o), truth) for o in OFFSETS]
    return max(dice), min((o for o, d in zip(OFFSETS, dice, strict=True) if d >= max(dice) - 1e-12), key=abs)


def folds_of(masks: np.ndarray, seed: int) -> np.ndarray:
    """Images shuffled, sorted by the rarest class they show (none: last), dealt out to three folds."""
    shown = np.stack([(masks == c).any((1, 2)) for c in range(1, K)], axis=1)
    counts = shown.sum(0)
    kind = [min((c for c in range(K - 1) if row[c]), key=lambda c: (counts[c], c), default=K - 1) for row in shown]
    order = np.random.default_rng([seed, 3]).permutation(len(masks))
    dealt = sorted(order, key=lambda i: kind[i])
    return np.array([dealt.index(i) % 3 for i in range(len(masks))])


def peer(x: np.ndarray, shares: np.ndarray, c: float) -> LogisticRegression:
    """Each patch once a class, weighted by its share."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels, weights = np.repeat(np.arange(K), len(x)), shares.T.ravel()
        return LogisticRegression(C=c, tol=1e-9, max_iter=5000).fit(np.tile(x, (K, 1)), labels, weights)


SUBSETS = [Subset("50%", 3, np.sort(np.random.default_rng(5).permutation(30)[:18])), Subset("100%", 0, np.arange(30))]


@pytest.mark.parametrize("subset", SUBSETS, ids=lambda s: s.budget)
def test_dense_linear(subset: Subset, problem: Problem):
    got = next(LINEAR.predict(problem, [subset]))
    grid, masks = problem.train.features.grid[subset.rows].astype(float), problem.train.labels[subset.rows]
    flat = grid.reshape(-1, D)
    mean, sd = flat.mean(0), flat.std(0)
    z, shares = (grid - mean) / sd, shares_of(masks)
    points = []
    for c in STRENGTHS:
        if subset.full:
            seen, truth = (problem.val.features.grid - mean) / sd, problem.val.labels
            scores = logits(peer(z.reshape(-1, D), shares.reshape(-1, K), c), seen)
        else:
            fold, truth, scores = folds_of(masks, subset.seed), masks, np.zeros((*z.shape[:3], K))
            for f in range(3):
                fit = peer(z[fold != f].reshape(-1, D), shares[fold != f].reshape(-1, K), c)
                scores[fold == f] = logits(fit, z[fold == f])
        points.append((*operating_point(scores, truth), c))
    best = max(dice for dice, _, _ in points)
    _, offset, c = next(p for p in points if p[0] >= best - 1e-12)
    assert (got.chosen["C"], got.chosen["offset"]) == (c, offset)
    if subset.full:
        z = np.concatenate([z, (problem.val.features.grid - mean) / sd])
        shares = np.concatenate([shares, shares_of(problem.val.labels)])
    final = peer(z.reshape(-1, D), shares.reshape(-1, K), c)
    expected = masks_at(enlarged(logits(final, (problem.tests["test"].features.grid - mean) / sd)), offset)
    assert len(np.unique(expected)) == K
    assert (expected != got.outputs["test"]).mean() < 1e-3  # a pixel on the border may fall either way


def logits(fit: LogisticRegression, z: np.ndarray) -> np.ndarray:
    return fit.decision_function(z.reshape(-1, D)).reshape(*z.shape[:3], K)


@pytest.mark.parametrize("subset", SUBSETS, ids=lambda s: s.budget)
def test_dense_retrieval(subset: Subset, problem: Problem):
    got = next(RETRIEVAL.predict(problem, [subset]))
    grid, masks = problem.train.features.grid[subset.rows].astype(float), problem.train.labels[subset.rows]
    if subset.full:
        scores, truth = votes(grid, masks, problem.val.features.grid, subset.seed), problem.val.labels
    else:
        fold, truth, scores = folds_of(masks, subset.seed), masks, np.zeros((*grid.shape[:3], K))
        for f in range(3):
            scores[fold == f] = votes(grid[fold != f], masks[fold != f], grid[fold == f], subset.seed)
    _, offset = operating_point(scores, truth)
    assert got.chosen["offset"] == offset != 0
    test = problem.tests["test"].features.grid
    expected = masks_at(enlarged(votes(grid, masks, test, subset.seed)), offset)
    assert len(np.unique(expected)) == K
    assert (expected != got.outputs["test"]).mean() < 1e-3


def votes(grid: np.ndarray, masks: np.ndarray, asked: np.ndarray, seed: int) -> np.ndarray:
    """Logarithm of the shares of 30 neighbours in a memory of a tenth of the patches, even over rarest classes."""
    keys, shares = grid.reshape(-1, D), shares_of(masks).reshape(-1, K)
    counts = [(shares[:, c] > 0).sum() for c in range(K)]
    kind = np.array([min((c for c in range(K) if row[c]), key=lambda c: (counts[c], c)) for row in shares])
    name = int.from_bytes(hashlib.sha256(b"golden").digest()[:8], "little")
    draw, left, rows = np.random.default_rng([name, seed]), max(30, round(0.1 * len(keys))), []
    classes = sorted(range(K), key=lambda c: (kind == c).sum())
    for place, c in enumerate(classes):
        take = min((kind == c).sum(), left // (K - place))
        rows += sorted(draw.choice(np.flatnonzero(kind == c), take, replace=False))
        left -= take
    keys, shares = unit(keys[sorted(rows)]), shares[sorted(rows)]
    cosine = unit(asked.reshape(-1, D).astype(float)) @ keys.T
    near = np.argsort(-cosine, axis=1)[:, :30]
    weight = np.exp(np.take_along_axis(cosine, near, 1) / 0.02)
    share = (weight[..., None] * shares[near]).sum(1) / weight.sum(1, keepdims=True)
    return np.log(share + 1e-3).reshape(*asked.shape[:3], K)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)
