"""Dense protocols against brute force, and the arithmetic they share."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from bench.data.budgets import Subset
from bench.encoders.features import Features
from bench.protocols import _dense, floors
from bench.protocols._dense import OFFSETS, Frame
from bench.protocols.dense_linear import PROTOCOL as LINEAR
from bench.protocols.dense_linear import DenseLinear, PatchSample
from bench.protocols.dense_retrieval import LEAST, DenseRetrieval
from bench.protocols.dense_retrieval import PROTOCOL as RETRIEVAL
from bench.protocols.dense_retrieval_v1 import PROTOCOL as RETRIEVAL_V1


def frame(h: int, w: int) -> Frame:
    return Frame((h, w), (0, 0, 1, 1), 1)


def bilinear(scores: np.ndarray, h: int, w: int) -> np.ndarray:
    """(gh, gw, k) to (h, w, k), written out in float64."""
    gh, gw, k = scores.shape
    out = np.zeros((h, w, k))
    for i in range(h):
        for j in range(w):
            v, u = max((i + 0.5) * gh / h - 0.5, 0), max((j + 0.5) * gw / w - 0.5, 0)
            t, s = min(int(v), gh - 1), min(int(u), gw - 1)
            b, r = min(t + 1, gh - 1), min(s + 1, gw - 1)
            a, c = v - t, u - s
            out[i, j] = (1 - a) * ((1 - c) * scores[t, s] + c * scores[t, r]) + a * (
                (1 - c) * scores[b, s] + c * scores[b, r]
            )
    return out


def dice(mask: np.ndarray, truth: np.ndarray, k: int, empty: bool = False) -> float:
    """Mean over images, then over the classes that are shown; empty: a class that is not there but predicted is 0."""
    classes = []
    for c in range(1, k):
        seen = [
            2 * ((m == c) & (t == c)).sum() / ((m == c).sum() + (t == c).sum())
            for m, t in zip(mask, truth, strict=True)
            if (t == c).any() or (empty and (m == c).any())
        ]
        if (truth == c).any():
            classes.append(np.mean(seen))
    return float(np.mean(classes))


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("k", [2, 3])
def test_retrieval_equals_a_brute_force_float64_reference(k, tuned, problem_of):
    problem = problem_of("mask", k=k)
    whole = DenseRetrieval("whole", share=1.0, tuned=tuned)
    prediction = next(whole.predict(problem, [Subset("100%", 0, np.arange(60))]))
    got = prediction.outputs["test"]

    shares = np.stack([
        [[np.bincount(m[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].ravel(), minlength=k) / 16 for j in range(4)]
         for i in range(4)] for m in problem.train.labels
    ]).reshape(-1, k)  # fmt: skip
    keys = problem.train.features.grid.reshape(-1, 6).astype(np.float64)
    keys /= np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-12)

    def votes_of(image: np.ndarray) -> np.ndarray:
        q = image.reshape(16, 6)
        cosine = q / np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-12) @ keys.T
        near = np.argsort(-cosine, axis=1)[:, :30]
        weight = np.exp(np.take_along_axis(cosine, near, 1) / 0.02)
        vote = (weight[..., None] * shares[near]).sum(1) / weight.sum(1, keepdims=True)
        return bilinear((np.log(vote + LEAST) if tuned else vote).reshape(4, 4, k), 16, 16)

    def masks(grids: np.ndarray, offset: float) -> np.ndarray:
        scores = np.stack([votes_of(g) for g in grids.astype(np.float64)])
        front = scores[..., 1:]
        return np.where(front.max(-1) - scores[..., 0] > offset, front.argmax(-1) + 1, 0)

    offset = 0.0
    if tuned:
        held = [dice(masks(problem.val.features.grid, o), problem.val.labels, k, empty=True) for o in OFFSETS]
        top = np.flatnonzero(np.array(held) >= max(held) - 1e-3)
        offset = prediction.chosen["offset"]
        assert offset in OFFSETS[top]
    # Pixels on the boundary may fall either way in float32.
    assert (masks(problem.tests["test"].features.grid, offset) == got).mean() >= 0.999


def test_a_small_memory_is_even_over_the_classes(problem_of):
    problem = problem_of("mask")
    assert next(RETRIEVAL_V1.predict(problem, [Subset("100%", 0, np.arange(60))])).chosen == {"k": 30, "memory": 96}
    one = next(RETRIEVAL.predict(problem, [Subset("n=1", 0, np.arange(1))]))
    assert one.chosen == {"k": 16, "memory": 16, "offset": 0.0}
    assert "too few" in one.warnings[0]
    small = DenseRetrieval("small", memory=90, tuned=False)
    got = next(small.predict(problem, [Subset("100%", 0, np.arange(60))]))
    assert got.chosen == {"k": 30, "memory": 90}
    again, other = (next(small.predict(problem, [Subset("100%", s, np.arange(60))])) for s in (0, 1))
    np.testing.assert_array_equal(got.outputs["test"], again.outputs["test"])
    assert (got.outputs["test"] != other.outputs["test"]).any()


def test_patch_labels_by_hand(task_of):
    mask = np.zeros((1, 4, 4), np.uint8)
    mask[0, 0, 0], mask[0, 2:, 2:] = 1, 2
    got = _dense.patch_labels(task_of("mask"), mask, (2, 2), frame(4, 4))[0]
    np.testing.assert_allclose(got, [[[0.75, 0.25, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]]])


def test_padding_is_background_and_is_cut_out_again(task_of):
    # A 4 x 8 mask in an 8 x 8 square: two rows of padding above and below.
    padded = Frame((4, 8), (2, 0, 4, 8), 8)
    mask = np.ones((1, 4, 8), np.uint8)
    shares = _dense.patch_labels(task_of("mask", 2), mask, (8, 8), padded)[0, ..., 1]
    assert shares[2:6].min() == 1
    assert shares[:2].max() == shares[6:].max() == 0
    scores = np.full((1, 8, 8, 1), -1.0, np.float32)
    scores[:, 2:6, :4] = 1.0
    got = _dense.predict_masks(scores, 0.0, padded)[0]
    assert got.shape == (4, 8)
    assert got[:, :4].all()
    assert not got[:, 4:].any()


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(("k", "channels"), [(2, 1), (2, 2), (4, 4)])
def test_every_operating_point_equals_counting_pixels(k, channels, empty):
    rng = np.random.default_rng(k)
    scores = 6 * rng.normal(size=(5, 3, 3, channels)).astype(np.float32)
    truth = rng.integers(0, k, (5, 12, 12)).astype(np.uint8)
    truth[0] = 0  # an image without foreground
    truth[1][truth[1] == 1] = 0
    got = _dense.dice_by_offset(scores, truth, k, frame(12, 12), empty=empty)
    for offset, value in zip(OFFSETS, got, strict=True):
        mask = _dense.predict_masks(scores, offset, frame(12, 12))
        assert value == pytest.approx(dice(mask, truth, k, empty), abs=1e-12)


def test_upsampling_is_half_pixel_bilinear():
    scores = np.random.default_rng(0).normal(size=(3, 4, 2))
    got = _dense.upsample(torch.from_numpy(scores).permute(2, 0, 1)[None], frame(9, 11))[0]
    np.testing.assert_allclose(got.permute(1, 2, 0).numpy(), bilinear(scores, 9, 11), atol=1e-12)


@pytest.mark.parametrize("lying", [frame(150, 170), Frame((100, 200), (32, 0, 64, 128), 128)])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_blocks_and_layout_change_no_bit(channels, lying, task_of, monkeypatch):
    rng = np.random.default_rng(channels)
    scores, k = rng.normal(size=(5, 7, 9, channels)).astype(np.float32), max(2, channels)
    masks = rng.integers(0, k, (5, *lying.mask_size)).astype(np.uint8)

    def found():
        shares = _dense.patch_labels(task_of("mask", k), masks, (7, 9), lying)
        areas = [np.concatenate(parts) for parts in zip(*lying.areas(scores, masks, k), strict=True)]
        return [shares, _dense.predict_masks(scores, 0.3, lying), *areas]

    at_once = found()
    monkeypatch.setattr(_dense, "CACHED_VALUES", 1)
    monkeypatch.setattr(_dense.F, "interpolate", spy := Mock(wraps=_dense.F.interpolate))
    for one, other in zip(at_once, found(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {len(call.args[0]) for call in spy.call_args_list} == {1}
    monkeypatch.setattr(torch.Tensor, "contiguous", lambda self: self)
    np.testing.assert_array_equal(at_once[1], _dense.predict_masks(scores, 0.3, lying))


def test_upsampling_leaves_the_padding_out():
    """A ramp over 8 rows of 4 pixels, seen through a window of 20 of 32 rows: each row has the value of its place."""
    ramp = torch.arange(8, dtype=torch.float64)[None, None, :, None].expand(1, 1, 8, 8)
    got = _dense.upsample(ramp, _dense.Frame((20, 32), (6, 0, 20, 32), 32))[0, 0]
    assert got.shape == (20, 32)
    np.testing.assert_allclose(got[:, 5], (np.arange(6, 26) + 0.5) / 4 - 0.5, atol=1e-12)


def test_ties_of_the_operating_point_go_to_the_one_nearest_zero():
    values = np.zeros(65)
    values[[10, 30, 40]] = 0.5
    assert _dense.best_offset(values) == (OFFSETS[30], 0.5)
    assert _dense.best_offset(np.full(65, np.nan))[0] == 0.0


def test_dense_linear_equals_scikit_learn_on_hard_patches(problem_of):
    """With masks aligned to patches the soft labels are hard, and the problem is scikit-learn's."""
    problem = problem_of("mask", k=2)
    coarse = problem.train.labels[:, ::4, ::4]
    labels = coarse.repeat(4, 1).repeat(4, 2)
    train = problem.train.__class__(problem.train.features, labels, None, problem.train.images)
    problem = problem.__class__(problem.task, train, problem.val, problem.tests, problem.mask_size, problem.encoder)
    got = next(LINEAR.predict(problem, [Subset("25%", 0, np.arange(60))]))
    x = problem.train.features.grid.reshape(-1, 6).astype(np.float64)
    mean, sd = x.mean(0), x.std(0)
    sd[sd < 1e-8] = np.inf
    peer = LogisticRegression(C=got.chosen["C"], tol=1e-8, max_iter=5000).fit((x - mean) / sd, coarse.ravel())
    grid = problem.tests["test"].features.grid
    logit = peer.decision_function((grid.reshape(-1, 6) - mean) / sd).reshape(*grid.shape[:3], 1)
    expected = np.stack([bilinear(s, 16, 16)[..., 0] > got.chosen["offset"] for s in logit])
    assert (expected != got.outputs["test"]).mean() < 2e-3


def test_a_sample_stands_for_all_patches():
    rng = np.random.default_rng(0)
    grid, shares = rng.normal(size=(30, 4, 4, 3)), np.zeros((30, 4, 4, 2), np.float32)
    shares[..., 0] = 1
    shares[:10, 0, 0] = [0.5, 0.5]
    sample = PatchSample.of(grid, shares, np.arange(30), 100, np.random.default_rng(1))
    assert len(sample.x) == 100
    assert sample.weight.sum() == pytest.approx(480)
    assert (sample.y[:, 1] > 0).sum() == 10  # foreground is kept whole when it is rare
    np.testing.assert_array_equal(np.sort(sample.image[sample.y[:, 1] > 0]), np.arange(10))


def test_floors_by_hand(task_of):
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, :4, :4] = 1
    task = task_of("mask", 2)
    found = {a.name: a.value for a in floors.anchors(task, masks, masks, (2, 2))}
    assert found["chance"] == 0
    assert found["background-only"] == pytest.approx(1 - 16 / 128)
    assert found["all-foreground"] == pytest.approx(2 * 16 / (64 + 16))
    assert 0.8 < found["ceiling 2x2"] <= 1
    assert floors.grid_ceiling(task, masks, (8, 8)).value == 1
    assert floors.majority(task_of("multi-class"), np.array([0, 1, 1]), np.array([1, 1, 0, 2])).value == 0.5


def test_the_ceiling_rises_with_the_grid(task_of):
    masks = np.zeros((4, 32, 32), np.uint8)
    for i in range(4):
        masks[i, 3 + i : 9 + 2 * i, 5 : 11 + i] = 1
    values = [floors.grid_ceiling(task_of("mask", 2), masks, (g, g)).value for g in (2, 4, 8, 16, 32)]
    assert values == sorted(values)
    assert values[-1] == 1


def test_a_choice_at_the_edge_of_the_grid_is_said(problem_of):
    problem = problem_of("mask", k=2)
    narrow = next(DenseLinear("narrow", [1e-4, 10.0]).predict(problem, [Subset("100%", 0, np.arange(60))]))
    assert any(f"C = {narrow.chosen['C']:g} lies at the edge" in w for w in narrow.warnings)
    wide = next(LINEAR.predict(problem, [Subset("100%", 0, np.arange(60))]))
    assert (wide.chosen["C"] in (1e-6, 1e3)) == any("edge of the grid" in w for w in wide.warnings)


@pytest.mark.parametrize("protocol", [LINEAR, RETRIEVAL], ids=["linear", "retrieval"])
def test_thin_structures_are_found_and_images_without_any_are_left_alone(protocol, problem_of):
    """Lines one pixel wide cover a quarter of a patch: no patch is mostly foreground. Half of the images have none."""
    problem, rng = problem_of("mask", k=2), np.random.default_rng(0)

    def lines(n: int) -> tuple[np.ndarray, np.ndarray]:
        masks = np.zeros((n, 16, 16), np.uint8)
        masks[np.arange(0, n, 2), :, rng.integers(0, 16, len(range(0, n, 2)))] = 1
        covered = masks.reshape(n, 4, 4, 4, 4).mean((2, 4))
        grid = rng.normal(size=(n, 4, 4, 6)) * 0.3
        grid[..., 0], grid[..., 1] = grid[..., 0] + 3, grid[..., 1] + 16 * covered
        return masks, grid.astype(np.float32)

    made = [lines(n) for n in (60, 24, 20)]
    train, val = (
        replace(part, features=Features(part.features.pooled, grid), labels=masks)
        for part, (masks, grid) in zip((problem.train, problem.val), made[:2], strict=True)
    )
    test = problem.tests["test"]
    test = replace(test, features=Features(test.features.pooled, made[2][1]))
    problem = replace(problem, train=train, val=val, tests={"test": test})
    for budget, rows in (("100%", np.arange(60)), ("50%", np.arange(30))):
        found = next(protocol.predict(problem, [Subset(budget, 0, rows)])).outputs["test"]
        whole = dice(np.ones_like(made[2][0]), made[2][0], 2)
        assert dice(found, made[2][0], 2) > 2 * whole
        assert (found[1::2] == 0).all((1, 2)).mean() > 0.5
