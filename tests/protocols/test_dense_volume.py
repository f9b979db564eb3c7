"""The dense probe of volumes: grids over masks by hand and beside torch, what is cut off, all beside scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import bench
from bench.data.budgets import Subset, subsets
from bench.encoders.card import Preprocessing
from bench.encoders.features import Features
from bench.encoders.volumes import fit_volumes, placed_volumes
from bench.laws.problems import make_problem, make_task, volumes_of
from bench.metrics.overlap import dice_per_image
from bench.protocols import dense_linear
from bench.protocols._dense import OFFSETS, best_offset, dice_by_offset
from bench.protocols._dense_volume import VolumeFrames, between, filled, is_inside
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.protocols.dense_volume import PROTOCOL

TASK, WHOLE = make_task("mask", 3), np.array([0.0, 1.0])
RNG = np.random.default_rng(0)


def whole(n: int, mask_size: tuple[int, ...]) -> VolumeFrames:
    return VolumeFrames(mask_size, np.tile(WHOLE, (n, 3, 1)))


def test_shares_of_cells_are_averages_over_blocks():
    masks = RNG.integers(0, 3, (2, 4, 6, 8)).astype(np.uint8)
    found = whole(2, masks.shape[1:]).labels(TASK, masks, (2, 3, 2))
    tiles = masks.reshape(2, 2, 2, 3, 2, 2, 4)
    expected = np.stack([(tiles == c).mean((2, 4, 6)) for c in range(3)], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_cell_that_no_voxel_fills_whole_is_shared_by_its_overlap():
    """Three voxels over two cells: the middle one lies half in each."""
    np.testing.assert_allclose(filled(3, 2, WHOLE), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


def test_padding_fills_cells_with_background():
    np.testing.assert_allclose(filled(2, 4, np.array([0.25, 0.75])), [[0, 0], [1, 0], [0, 1], [0, 0]])
    frames = VolumeFrames((1, 2, 4), np.array([[WHOLE, [0.25, 0.75], WHOLE]]))
    shares = frames.labels(TASK, np.ones((1, 1, 2, 4), np.uint8), (1, 4, 4))
    assert shares[0, 0, :, 0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("columns", [1, 3])
def test_scores_are_brought_to_the_mask_as_torch_does(columns):
    scores = RNG.normal(size=(2, 3, 4, 5, columns)).astype(np.float32)
    up = F.interpolate(torch.from_numpy(scores).permute(0, 4, 1, 2, 3), (7, 9, 11), mode="trilinear").numpy()
    margin, which = (up[:, 0], 1) if columns == 1 else (up[:, 1:].max(1) - up[:, 0], up[:, 1:].argmax(1) + 1)
    found = whole(2, (7, 9, 11)).answers(scores, 0.25)
    near = np.abs(margin - 0.25) < 1e-4
    assert ((found == which * (margin > 0.25)) | near).all()
    assert 0 < (found > 0).mean() < 1


def test_slices_keep_their_own_scores():
    np.testing.assert_array_equal(between(5, 5, WHOLE), np.eye(5))
    np.testing.assert_allclose(filled(5, 5, WHOLE), np.eye(5), atol=1e-12)


def test_dice_at_every_offset_is_that_of_the_answers(monkeypatch):
    scores = RNG.normal(size=(3, 2, 4, 4, 3)).astype(np.float32)
    masks = RNG.integers(0, 3, (3, 6, 8, 8)).astype(np.uint8)
    frames = whole(3, masks.shape[1:])
    monkeypatch.setattr("bench.protocols._dense_volume.CHUNK_VALUES", 1)  # one plane at a time
    curve = dice_by_offset(scores, masks, 3, frames)
    for at in (0, 20, 32, 40):
        answers = frames.answers(scores, OFFSETS[at])
        assert curve[at] == pytest.approx(dice_per_image(answers, masks, 3).mean(0).mean(), abs=1e-9)


def test_what_is_cut_off_is_background_at_any_offset():
    span = np.array([-0.5, 1.5])  # the middle half of eight voxels
    assert is_inside(8, span).tolist() == [False] * 2 + [True] * 4 + [False] * 2
    frames = VolumeFrames((8, 1, 1), np.array([[span, WHOLE, WHOLE]]))
    answer = frames.answers(np.full((1, 4, 1, 1, 1), 9.0, np.float32), float(OFFSETS[0]))
    assert answer.ravel().tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert frames.unseen(np.ones((1, 8, 1, 1), np.uint8)) == 0.5
    assert whole(1, (8, 1, 1)).unseen(np.ones((1, 8, 1, 1), np.uint8)) == 0


@pytest.mark.parametrize("mm", [(4.0, 1.0, 1.0), (1.0, 2.0, 0.5)])
def test_a_volume_lies_in_the_input_where_it_was_put(mm):
    """A plane that is white at one place is found at the place that the frame says."""
    how = Preprocessing(size=16, depth=12, spacing=[2.0, 1.0, 1.0], channels=1, mean=[0.0], std=[1.0])
    spacing = torch.tensor([mm], dtype=torch.float64)
    spans = placed_volumes((10, 12, 14), how, spacing)[0].numpy()
    for axis, (n, place) in enumerate(((10, 5), (12, 7), (14, 6))):
        volume = torch.zeros(1, 1, 10, 12, 14)
        volume.select(2 + axis, place)[:] = 255.0
        seen = fit_volumes(volume, how, spacing)[0, 0].numpy()
        profile = seen.sum(tuple({0, 1, 2} - {axis}))
        centre = (profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum() / len(profile)
        expected = spans[axis, 0] + (spans[axis, 1] - spans[axis, 0]) * (place + 0.5) / n
        assert centre == pytest.approx(expected, abs=0.05)


def part(n: int, rng: np.random.Generator, spacing=(3.0, 1.0, 1.0)) -> Labelled:
    masks = np.zeros((n, 4, 16, 16), np.uint8)
    for mask in masks[: 2 * n // 3]:
        top, left = rng.integers(0, 10, 2)
        mask[rng.integers(0, 3) :, top : top + 6, left : left + 6] = 1
    shares = masks.reshape(n, 4, 4, 4, 4, 4).mean((3, 5))
    grid = rng.normal(size=(n, 4, 4, 4, 5)) + 3.0 * shares[..., None] * np.eye(5)[0]
    images = np.zeros((n, 4, 16, 16, 1), np.uint8)
    return Labelled(Features(None, grid.astype(np.float32)), masks, None, images, None, np.tile(spacing, (n, 1)))


def golden(**more) -> Problem:
    rng = np.random.default_rng(5)
    train, val, test = (part(n, rng) for n in (24, 12, 10))
    task = make_task("mask", 2, "golden-volume").model_copy(update={"source": {"reader": "none", "volume": True}})
    tests = {"test": Unlabelled(test.features, test.images, test.spacing)}
    return Problem(task, train, val, tests, (4, 16, 16), **more)


def test_the_whole_beside_scikit_learn():
    """Every cell is learnt from (fewer than the limit): C by Dice on val, the fit on train and val, masks by offset."""
    from sklearn.linear_model import LogisticRegression

    problem = golden()
    found = next(iter(PROTOCOL.predict(problem, subsets(problem.task, problem.train.labels, None, "100%", [0]))))
    frames = {n: whole(n, (4, 16, 16)) for n in (24, 12, 10)}
    x = {name: p.features.grid.reshape(-1, 5) for name, p in (("train", problem.train), ("val", problem.val))}
    y = {
        name: frames[len(p.labels)].labels(problem.task, p.labels, (4, 4, 4))[..., 1].ravel()
        for name, p in (("train", problem.train), ("val", problem.val))
    }
    mean, scale = x["train"].mean(0), x["train"].std(0)

    def fitted(rows, shares, c):
        twice = np.concatenate([rows, rows])
        labels = np.repeat([1, 0], len(rows))
        model = LogisticRegression(C=c, tol=1e-10, max_iter=5000)
        return model.fit((twice - mean) / scale, labels, sample_weight=np.concatenate([shares, 1 - shares]))

    def scores(model, grid):
        return model.decision_function((grid.reshape(-1, 5) - mean) / scale).reshape(*grid.shape[:-1], 1).astype("f4")

    curves = [
        dice_by_offset(scores(fitted(x["train"], y["train"], c), problem.val.features.grid), problem.val.labels, 2,
                       frames[12]) for c in dense_linear.STRENGTHS
    ]  # fmt: skip
    dice = [best_offset(curve)[1] for curve in curves]
    chosen = dense_linear.STRENGTHS.index(found.chosen["C"])
    assert dice[chosen] >= max(dice) - 1e-3, "the largest C all but tie: their order is that of the processor"
    assert max(dice) > min(dice) + 0.1
    assert found.chosen["offset"] == best_offset(curves[chosen])[0]
    last = fitted(np.concatenate([*x.values()]), np.concatenate([*y.values()]), found.chosen["C"])
    expected = frames[10].answers(scores(last, problem.tests["test"].features.grid), found.chosen["offset"])
    assert (found.outputs["test"] != expected).mean() < 1e-3
    assert found.outputs["test"].any()


def test_grids_are_read_volume_by_volume():
    """Never all grids of a task at once: they may be larger than memory."""
    problem, seen = golden(), []

    class Watched(np.ndarray):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            if isinstance(found, np.ndarray) and found.ndim == 5:
                seen.append(len(found))
            return found

    def watched(p):
        return replace(p, features=Features(None, p.features.grid.view(Watched)))

    tests = {name: watched(test) for name, test in problem.tests.items()}
    spied = replace(problem, train=watched(problem.train), val=watched(problem.val), tests=tests)
    for budget in ("50%", "100%"):
        rows = np.arange(12 if budget == "50%" else 24)
        list(PROTOCOL.predict(spied, [Subset(budget, 0, rows)]))
    assert seen
    assert set(seen) == {1}


def test_an_encoder_that_cuts_says_how_much_it_does_not_see():
    encoder = bench.wrap(torch.nn.Conv3d(1, 5, 4, 4), name="cut", size=16, depth=4, spacing=(3.0, 0.5, 0.5),
                         mean=(0.0,), std=(1.0,))  # fmt: skip
    problem = golden(encoder=encoder)
    found = next(iter(PROTOCOL.predict(problem, [Subset("100%", 0, np.arange(24))])))
    inner = np.zeros((16, 16), bool)
    inner[4:12, 4:12] = True
    lost = 1 - (problem.train.labels * inner).sum() / problem.train.labels.sum()
    assert f"{lost:.1%} of the foreground of the training volumes lies outside" in found.warnings[-1]
    assert not found.outputs["test"][..., ~inner].any()


def test_flat_masks_and_volumes_each_have_their_protocol():
    flat, deep = make_problem("mask", sizes=(8, 4, 4)).task, volumes_of(make_problem("mask", sizes=(8, 4, 4))).task
    assert PROTOCOL.refuses(deep) is None
    assert PROTOCOL.refuses(flat) == "dense-volume-v1 is for volumes"
    assert dense_linear.PROTOCOL.refuses(deep) == "dense-linear-v2 is for flat images"
