"""The contract of a pretraining objective: a backbone, throw-away heads, and a loss."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from lightly.models.utils import update_momentum
from torch import Tensor, nn

from bench import words
from bench.pretrain.backbone import Backbone
from bench.pretrain.recipe import Recipe


@dataclass(frozen=True)
class Batch:
    """What a step sees.

    images: float32 (n, 3, size, size) in [0, 1], not augmented. labels: name -> int64 (n,), for supervision only.
    progress: share of the schedule that is done, in [0, 1).
    """

    images: Tensor
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    progress: float = 0.0


class Objective(nn.Module, ABC):
    """One way to train a backbone. A child is one module of `bench/pretrain/objectives` with `OBJECTIVE = Child`.

    A whole child sets the class constants, builds its heads in `__init__`, and writes `losses`; one with teachers says
    whom they follow in `teachers`. Augmentations draw from torch's global generator, which the trainer seeds at each
    step.
    """

    name: ClassVar[str]
    paradigm: ClassVar[words.Paradigm]
    kind: ClassVar[words.Objective]
    method: ClassVar[str]
    citation: ClassVar[str]
    views: ClassVar[int] = 2
    """Gradient views of each image (forward and backward through the backbone)."""
    teacher_views: ClassVar[int] = 0
    """Views of each image that go through a teacher, forward only."""
    teachers: ClassVar[Mapping[str, str]] = {}
    """Attribute that holds a teacher -> that of the module whose moving average it is."""
    backbones: ClassVar[tuple[str, ...]] = ("vit", "cnn")
    supervised: ClassVar[bool] = False
    """Whether it needs the labels of the corpus."""
    trains: ClassVar[bool] = True
    control: ClassVar[str] = ""
    """Of a pathology-aware objective: the objective whose loss it adds to, trained at the same rate beside it."""

    def __init__(self, backbone: Backbone, recipe: Recipe, classes: Mapping[str, int]) -> None:
        """`classes`: number of classes of each label of the corpus (empty when it has none)."""
        super().__init__()
        self.backbone, self.recipe = backbone, recipe

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Parts of the loss by name, each a weighted scalar; their sum is minimised."""

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step: teachers take a step towards whom they follow."""
        for teacher, student in self.teachers.items():
            update_momentum(getattr(self, student), getattr(self, teacher), self.momentum(progress))

    def momentum(self, progress: float) -> float:
        """Teacher momentum: from `recipe.ema` to 1 along a half cosine (BYOL, arXiv 2006.07733, section 3.3)."""
        return 1 - (1 - self.recipe.ema) * (math.cos(math.pi * progress) + 1) / 2


def frozen(module: nn.Module) -> nn.Module:
    """`module` without gradients: a teacher."""
    return module.requires_grad_(False)


def both(network: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of `network` for two view batches, computed as one batch."""
    out = network(torch.cat([first, second]))
    return out[: len(first)], out[len(first) :]
