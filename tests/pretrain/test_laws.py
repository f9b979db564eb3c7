"""Every objective of the package keeps the laws; a new one in the folder is tested at once."""

from __future__ import annotations

import pytest
import torch

from bench.laws import objectives as laws
from bench.laws.objectives import *  # noqa: F403
from bench.pretrain.job import objectives
from bench.pretrain.objectives.dino import Dino
from bench.pretrain.objectives.simclr import SimClr


@pytest.fixture(params=objectives().values(), ids=objectives())
def objective(request):
    return request.param


class Peeking(SimClr):
    """Reads the labels."""

    def losses(self, batch):
        known = batch.labels["bright"]
        return super().losses(batch) | {"peek": (known * torch.arange(len(known))).sum()}


class Careless(SimClr):
    """Writes into the batch."""

    def losses(self, batch):
        batch.images.mul_(0.5)
        return super().losses(batch)


class Fickle(SimClr):
    """Draws from a generator of its own."""

    seen = torch.Generator().manual_seed(0)

    def losses(self, batch):
        return {name: value + torch.rand((), generator=self.seen) for name, value in super().losses(batch).items()}


class Detached(SimClr):
    """Its loss does not reach the backbone."""

    def losses(self, batch):
        return {name: value.detach().requires_grad_() for name, value in super().losses(batch).items()}


class Late(Dino):
    """Its teacher stays where it is."""

    def after_step(self, progress):
        pass


class Miscounted(SimClr):
    """Says it uses one view."""

    views = 1


FAULTS = {
    "same_seed_same_loss": Fickle,
    "the_gradient_reaches_the_backbone_and_no_teacher": Detached,
    "the_views_that_are_declared_are_those_that_are_computed": Miscounted,
    "a_teacher_starts_as_its_student_and_follows_it": Late,
    "it_learns_a_batch_by_heart": Detached,
    "labels_are_for_the_supervised_alone": Peeking,
    "images_stay_as_they_were": Careless,
}


@pytest.mark.parametrize("law", FAULTS)
def test_a_law_sees_the_fault_it_is_for(law, recipe, corpus):
    with pytest.raises(AssertionError):
        getattr(laws, f"test_{law}")(FAULTS[law], recipe, corpus)


def test_every_law_has_a_fault():
    assert {name for name in vars(laws) if name.startswith("test_")} == {f"test_{law}" for law in FAULTS}
