"""What one pretraining run is, and the names and numbers that follow from it."""

import math
from dataclasses import dataclass

import torch

from bench.discover import members, pick
from bench.errors import UserError
from bench.files import canonical_json, sha256_text
from bench.pretrain.backbone import BACKBONES
from bench.pretrain.corpus import Corpus, as_floats
from bench.pretrain.objective import Objective
from bench.pretrain.recipe import Recipe

START_IMAGES = 256
"""Images of the corpus that a backbone may start from."""


def objectives() -> dict[str, type[Objective]]:
    """Name -> objective, one from each module of `bench/pretrain/objectives`."""
    return members("bench.pretrain.objectives", "OBJECTIVE")


@dataclass(frozen=True)
class Job:
    """One run. Raises UserError when the objective does not exist or cannot train the backbone."""

    objective: str
    recipe: Recipe
    backbone: str = "vit"
    seed: int = 0

    def __post_init__(self) -> None:
        pick(BACKBONES, self.backbone, what="backbone")
        if self.backbone not in self.kind.backbones:
            able = ", ".join(sorted(n for n, o in objectives().items() if self.backbone in o.backbones))
            raise UserError(f"{self.objective!r} cannot train a {self.backbone}", fix=f"these can: {able}")

    @property
    def kind(self) -> type[Objective]:
        """The class of the objective."""
        return pick(objectives(), self.objective, what="objective")

    @property
    def name(self) -> str:
        """Name of the encoder: recipe, backbone, objective, and the seed unless it is 0."""
        return f"{self.recipe.name}-{self.backbone}-{self.objective}" + (f"-seed{self.seed}" if self.seed else "")

    @property
    def steps(self) -> int:
        """Optimiser steps: 0 for the untrained reference."""
        return self.recipe.steps if self.kind.trains else 0

    @property
    def images_per_step(self) -> int:
        """Images of a batch, so that gradient views a step are the same for every objective."""
        return self.recipe.views_per_step // self.kind.views

    @property
    def rate(self) -> float:
        """Peak learning rate."""
        return self.recipe.rate(self.objective)

    def command(
        self, images: str, *, threads: int, rate: float | None = None, device: str = "cpu", compiled: bool = False,
        recipe: str | None = None,
    ) -> str:  # fmt: skip
        """The command that makes this encoder again. images: "--corpus NAME" or "--data FILE".

        rate: where it is not the recipe's own. recipe: how the recipe is called, where not by its name.
        """
        text = f"medssl pretrain --objective {self.objective} {images} --recipe {recipe or self.recipe.name}"
        text += f" --backbone {self.backbone} --seed {self.seed}" + (f" --rate {rate:g}" if rate else "")
        text += f" --threads {threads}" + ("" if device == "cpu" else f" --device {device}")
        return text + (" --compile" if compiled else "")

    def identity(self, corpus_sha256: str) -> str:
        """Hash of all that decides the weights (the tuning section does not; code and thread count are not in it)."""
        values = [self.objective, self.backbone, self.seed, self.rate]
        return sha256_text(canonical_json([*values, self.recipe.deciding(), corpus_sha256]))

    def build(self, corpus: Corpus) -> Objective:
        """The model at step 0; its backbone is the same for every objective. Reseeds torch's global generator."""
        torch.manual_seed(stream(self.seed, "backbone"))
        backbone = BACKBONES[self.backbone](self.recipe)
        backbone.start_from(as_floats(corpus.images[corpus.trained[:START_IMAGES]]))
        torch.manual_seed(stream(self.seed, "heads"))
        return self.kind(backbone, self.recipe, corpus.classes)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine to 0 (arXiv 1608.03983, one cycle)."""
        warm = max(1, round(self.recipe.warmup * self.steps))
        if step < warm:
            return self.rate * (step + 1) / warm
        return self.rate * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm))) / 2


def stream(seed: int, *keys: str | int) -> int:
    """A 63-bit seed for one purpose, from the run's seed: nothing need be remembered to resume."""
    return int(sha256_text(canonical_json([seed, *keys]))[:16], 16) >> 1
