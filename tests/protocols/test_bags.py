"""Bags: attention as it is published, and what tells a bag with one telling image from one without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from bench.data.budgets import subsets
from bench.encoders.features import Features
from bench.errors import NotForThisEncoderError
from bench.laws.problems import make_problem, make_task
from bench.protocols.bag_attention import BagAttention, GatedAttention
from bench.protocols.bag_max import PROTOCOL as BAG_MAX
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.protocols.linear import PROTOCOL as LINEAR


def head(width: int = 5, hidden: int = 3) -> GatedAttention:
    made = GatedAttention(width, 2, hidden, torch.Generator().manual_seed(0))
    with torch.no_grad():
        made.classify.normal_(generator=torch.Generator().manual_seed(1))
        made.bias.copy_(torch.tensor([0.3, -0.2]))
    return made


def test_attention_is_that_of_equations_7_to_9() -> None:
    """Each weight, by hand and in float64: exp(w . (tanh(V h) sigm(U h))) over the sum of the bag."""
    made, h = head(), np.random.default_rng(0).normal(size=(1, 4, 5))
    v, u, w = (p.detach().double().numpy() for p in (made.content, made.gate, made.weigh))
    scores = [float((w @ (np.tanh(v @ x) / (1 + np.exp(-u @ x))))[0]) for x in h[0]]
    weights = np.exp(scores) / np.exp(scores).sum()
    there = torch.ones(1, 4, dtype=torch.bool)
    found = made.attention(torch.from_numpy(h).float(), there)[0].detach()
    np.testing.assert_allclose(found, weights, atol=1e-6)
    right = made.classify.detach().numpy() @ (weights @ h[0]) + made.bias.detach().numpy()
    np.testing.assert_allclose(made(torch.from_numpy(h).float(), there)[0].detach(), right, atol=1e-5)


def test_room_after_the_last_image_weighs_nothing() -> None:
    made, h = head(), torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(2))
    there = torch.arange(6) < torch.tensor([[4], [6]])
    changed = h.clone()
    changed[0, 4:] = 1e3
    assert torch.equal(made(h, there), made(changed, there))
    torch.testing.assert_close(made.attention(h, there).sum(1), torch.ones(2))


@pytest.fixture(scope="module")
def needle() -> tuple[Problem, np.ndarray]:
    """Bags of 2 to 12 images of noise; of half of them one image is far along one feature."""
    rng = np.random.default_rng(0)

    def part(n: int) -> tuple[Features, np.ndarray, np.ndarray]:
        sizes, labels = rng.integers(2, 13, n), np.arange(n) % 2
        images = rng.normal(size=(n, 12, 8)).astype(np.float32)
        images[labels == 1, 0, 3] += 5
        images[np.arange(12) >= sizes[:, None]] = 0
        mean = images.sum(1) / sizes[:, None]
        return Features(mean.astype(np.float32), None, images), labels, sizes

    nothing = np.zeros((0, 1, 1, 1), np.uint8)
    train, val, (features, truth, sizes) = part(120), part(60), part(200)
    known = [Labelled(f, y, None, nothing, s) for f, y, s in (train, val)]
    task = make_task("binary").model_copy(update={"source": {"reader": "none", "bags": True}})
    return Problem(task, *known, {"test": Unlabelled(features, nothing, None, sizes)}), truth


@pytest.mark.parametrize("protocol", [BAG_MAX, BagAttention(epochs=40, steps=600, lr=2e-3)], ids=["max", "attention"])
def test_one_telling_image_is_found_where_the_mean_drowns_it(needle, protocol) -> None:
    problem, truth = needle
    chosen = subsets(problem.task, problem.train.labels, None, "100%", [0])

    def auroc(p) -> float:
        return roc_auc_score(truth, next(iter(p.predict(problem, chosen))).outputs["test"][:, 1])

    assert auroc(protocol) > auroc(LINEAR) + 0.05
    assert auroc(protocol) > 0.9


def test_the_largest_value_is_of_the_images_alone() -> None:
    """A bag whose every feature is below 0 has its own maximum, not the 0 of the empty room."""
    problem = make_problem("binary")
    low = replace(problem.train.features, members=problem.train.features.members - 100)
    other = replace(problem.train.features, members=np.where(
        (np.arange(16) < problem.train.sizes[:, None])[..., None], low.members, 0).astype(np.float32))  # fmt: skip
    chosen = subsets(problem.task, problem.train.labels, None, "100%", [0])
    a, b = (
        next(iter(BAG_MAX.predict(replace(problem, train=replace(problem.train, features=f)), chosen)))
        for f in (low, other)
    )
    assert a.outputs["test"].tobytes() == b.outputs["test"].tobytes()


@pytest.mark.parametrize("protocol", [BAG_MAX, BagAttention()], ids=["max", "attention"])
def test_features_of_whole_bags_and_tasks_without_bags_are_refused(protocol) -> None:
    problem = make_problem("binary")
    assert "bags" in protocol.refuses(problem.task)
    whole = replace(problem, train=replace(problem.train, features=replace(problem.train.features, members=None)))
    with pytest.raises(NotForThisEncoderError, match="whole bags"):
        list(protocol.predict(whole, subsets(problem.task, problem.train.labels, None, "100%", [0])))
