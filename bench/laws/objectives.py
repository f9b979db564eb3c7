"""Laws that every pretraining objective keeps, as tests of pytest.

A test module of a new objective imports all of this module and says which objective is meant:

    from bench.laws.objectives import *

    @pytest.fixture
    def objective():
        return UprightOrNot
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from bench.pretrain.corpus import Corpus
from bench.pretrain.feed import batch_of
from bench.pretrain.job import Job
from bench.pretrain.objective import Batch, Objective
from bench.pretrain.recipe import Recipe, read_recipe

MINI = {"name": "mini", "size": 32, "corpus_size": 40, "crop_area": [0.3, 1.0], "corpus_images": 96, "steps": 6,
        "views_per_step": 16, "evaluations": 2, "checkpoints": 3, "learning_rates": {},
        "vit": {"patch": 8, "dim": 16, "depth": 1, "heads": 2}, "cnn": {"widths": [8, 8, 8, 16]},
        "heads": {"hidden": 16, "out": 8, "prototypes": 12, "decoder_dim": 16, "decoder_depth": 1}}  # fmt: skip
STEPS = 10
"""Steps on one batch, after which it must be known by heart a little."""


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """A recipe so small that a step takes milliseconds."""
    return Recipe.parse(read_recipe("tiny").model_dump(by_alias=True) | MINI, where="mini")


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """Bright and dark noise with a label each, and one label that is sometimes unknown."""
    rng = np.random.default_rng(0)
    bright = rng.integers(0, 2, 96)
    images = (rng.integers(0, 128, (96, 40, 40, 3)) + 120 * bright[:, None, None, None]).astype(np.uint8)
    return Corpus("own", images, {"bright": bright, "some": np.where(rng.random(96) < 0.3, -1, 2 - bright)}, "c0ffee")


@pytest.fixture
def objective() -> type[Objective]:
    """The objective under test: to be overridden."""
    raise NotImplementedError("say which objective is meant: a fixture called 'objective'")


@dataclass(frozen=True)
class Trial(Job):
    """A run of an objective that need not be installed."""

    tried: type[Objective] | None = None

    @property
    def kind(self) -> type[Objective]:
        return self.tried or super().kind


def jobs(objective: type[Objective], recipe: Recipe) -> Iterator[Job]:
    """A run for each backbone it can train; none of a reference without training."""
    if not objective.trains:
        pytest.skip("is not trained")
    return (Trial(objective.name, recipe, backbone, tried=objective) for backbone in objective.backbones)


def losses(model: Objective, batch: Batch) -> dict[str, torch.Tensor]:
    """The parts of the loss, under the same draws each time."""
    torch.manual_seed(5)
    return model.losses(batch)


def numbers(parts: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in parts.items()}


def test_same_seed_same_loss(objective, recipe, corpus):
    for job in jobs(objective, recipe):
        first, again = (numbers(losses(job.build(corpus), batch_of(job, corpus, 1))) for _ in range(2))
        assert first
        assert first == again
        assert all(np.isfinite(value) for value in first.values())


def test_the_gradient_reaches_the_backbone_and_no_teacher(objective, recipe, corpus):
    for job in jobs(objective, recipe):
        model = job.build(corpus)
        sum(losses(model, batch_of(job, corpus, 1)).values()).backward()
        grads = [p.grad for p in model.backbone.network.parameters()]
        assert all(grad is None or bool(grad.isfinite().all()) for grad in grads)
        reached = [grad is not None and bool(grad.abs().sum() > 0) for grad in grads]
        assert sum(reached) > 0.5 * len(grads)  # residual branches of the CNN start at zero
        taught = tuple(model.teachers)
        assert all(p.grad is None for n, p in model.named_parameters() if taught and n.startswith(taught))


def test_the_views_that_are_declared_are_those_that_are_computed(objective, recipe, corpus):
    for job in jobs(objective, recipe):
        model, counts = job.build(corpus), {True: 0, False: 0}

        def count(module, inputs, counts=counts):
            counts[torch.is_grad_enabled()] += len(inputs[0])

        for network in (m for m in model.modules() if hasattr(m, "forward_features")):
            (network.patch_embed if job.backbone == "vit" else network.conv1).register_forward_pre_hook(count)
        model.losses(batch_of(job, corpus, 0))
        n = job.images_per_step
        assert counts == {True: n * objective.views, False: n * objective.teacher_views}
        assert n * objective.views == recipe.views_per_step


def test_a_teacher_starts_as_its_student_and_follows_it(objective, recipe, corpus):
    for job in jobs(objective, recipe):
        model = job.build(corpus)
        pairs = [(getattr(model, t), getattr(model, s)) for t, s in model.teachers.items()]
        for teacher, student in pairs:
            first, now = teacher.state_dict(), student.state_dict()
            assert first.keys() <= now.keys()
            assert all(torch.equal(value, now[name]) for name, value in first.items())
            with torch.no_grad():
                for p in student.parameters():
                    p.add_(1)
        before = [[p.detach().clone() for p in teacher.parameters()] for teacher, _ in pairs]
        model.after_step(0.5)
        m = model.momentum(0.5)
        for (teacher, student), old in zip(pairs, before, strict=True):
            for was, p, q in zip(old, teacher.parameters(), student.parameters(), strict=True):
                torch.testing.assert_close(p, m * was + (1 - m) * q)


def test_it_learns_a_batch_by_heart(objective, recipe, corpus):
    """Under the same draws in each step, and with queues and running means as they were, its loss falls."""
    for job in jobs(objective, recipe):
        model, batch = job.build(corpus), batch_of(job, corpus, 0)
        losses(model, batch)  # fills what fills with the first batch
        held = {name: value.clone() for name, value in model.named_buffers()}
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
        seen = []
        for _ in range(STEPS):
            model.load_state_dict(held, strict=False)
            loss = sum(losses(model, batch).values())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            model.after_step(0.5)
            seen.append(loss.item())
        assert seen[-1] < seen[0], (job.backbone, seen)


def test_labels_are_for_the_supervised_alone(objective, recipe, corpus):
    for job in jobs(objective, recipe):
        batch = batch_of(job, corpus, 0)
        turned = replace(batch, labels={name: value.flip(0) for name, value in batch.labels.items()})
        with_labels, with_others = (numbers(losses(job.build(corpus), b)) for b in (batch, turned))
        assert (with_labels != with_others) == objective.supervised


def test_images_stay_as_they_were(objective, recipe, corpus):
    for job in jobs(objective, recipe):
        batch = batch_of(job, corpus, 0)
        before = batch.images.clone()
        losses(job.build(corpus), batch)
        assert torch.equal(batch.images, before)
